//! The data of the engine's public calls: what goes in, what comes out. No behaviour.

mod attach;
mod exec;
mod filter;
mod health;
mod options;
mod request;
mod spec;
mod stats;
mod transfer;
mod view;

pub use attach::{
    AttachOptions, Attachment, DetachKeys, LogLine, LogLines, LogOptions, LogStream, OutputFrame,
    Replay, StdStream, Tail,
};
pub use exec::{ExecInspect, ExecSpec, ExecStart, ExecStarted};
pub use filter::{Filters, ListOptions};
pub use health::{Checked, Health, HealthStatus};
pub use hull_images::{Healthcheck, Store as ImageStore};
pub use options::{Defaults, Options};
pub use request::{
    CommitOptions, CopyOptions, Created, Pruned, RemoveOptions, StopOptions, Top, WaitCondition,
    WaitOutcome, Waiting,
};
pub use spec::{
    Config, CreateSpec, HostConfig, LogConfig, Mount, RestartPolicy, ThrottleDevice, TmpfsOptions,
    Ulimit,
};
pub use stats::{CpuUsage, DeviceUsage, MemoryUsage, StatsSample, Usage};
pub use transfer::{
    Credentials, Described, Down, Hit, InsecureRegistry, Login, Mirror, PullOptions, PushOptions,
    RegistryOptions, SearchOptions, Transfer, Up,
};
pub use view::{ContainerInspect, ContainerSizes, ContainerState, ContainerSummary, Status};
