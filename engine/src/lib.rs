//! Containers, each inside a microVM of its own.
//!
//! ```text
//!  Engine ──► one task per container ──► hull-vmm (process, control socket)
//!    │             │                └──► hull-agent (vsock: requests, stdio)
//!    │             └── state machine (pure), log pump, attached clients
//!    ├── store (SQLite): what a container is and was
//!    └── images: which layers it stands on
//! ```
//!
//! This crate knows nothing of HTTP. Callers use [`Engine`]; what goes in and comes out is in
//! [`api`]. When the process dies, VMs live on, and the next [`Engine::open`] finds them again.

mod admission;
pub mod agent;
pub mod api;
mod bytes;
mod commit;
mod console;
mod container;
mod context;
mod engine;
mod error;
mod events;
mod files;
mod health;
mod id;
mod images;
mod layout;
mod listing;
mod lock;
mod log;
mod names;
mod opening;
mod random;
mod recovery;
mod registry;
mod restart;
mod signal;
mod state;
mod stats;
pub mod store;
mod time;
mod top;
mod update;
pub mod vm;
mod waiting;

pub use bytes::{ByteSize, NotASize};
pub use engine::{Engine, Info};
pub use error::{EngineError, ErrorKind, RuntimeFailure};
pub use events::{Event, EventStream, Window};
pub use files::{Change, ChangeKind, FileArchive, PathStat};
pub use hull_protocol::agent::TerminalSize;
pub use id::{ContainerId, ContainerName, ExecId};
pub use images::{
    Archive, DiskUsage, HistoryStep, ImageInspect, ImageSummary, Images, ImportOptions, ImportStep,
    LoadOptions, LoadStep, Platform, PruneOptions, Pruned, Removal, RemoveOptions,
};
pub use log::LogConfigError;
pub use stats::StatsStream;
pub use time::{NotATime, Timestamp};
