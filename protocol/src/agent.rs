//! Between the engine and the agent in a guest: requests and replies on [`VsockPort::CONTROL`].
//!
//! The first request on a connection is [`Call::Hello`]; the agent answers nothing else before
//! it. Requests carry an id and are answered in any order; a request's deadline is how long the
//! agent may take before it answers [`ErrorKind::Deadline`]. The agent never speaks first.
//!
//! The life of a guest: `Hello`, `Create`, `Start`, then any of `Exec`, `Signal`, `Resize`,
//! `Wait`, `Processes`, `Stats`, and at last `Shutdown`. An agent keeps a process's exit status and unread
//! output until `Forget` or `Shutdown`, whatever becomes of the connection.
//!
//! [`VsockPort::CONTROL`]: crate::VsockPort::CONTROL

mod stats;

use std::fmt;

pub use stats::{CpuStats, IoStats, MemoryStats, PidsStats, Stats};

use oci_spec::runtime::Spec;
use serde::{Deserialize, Serialize};

/// A request from the host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Chosen by the host, repeated in the reply.
    pub id: u64,
    /// How long the agent may take, in milliseconds; without it, as long as it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// What is asked.
    pub call: Call,
}

/// The answer to the request of the same id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The request's id.
    pub id: u64,
    /// What came of it.
    pub result: Result<Answer, AgentError>,
}

/// What the host can ask.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// Agree on the version. Answered by [`Answer::Hello`].
    Hello {
        /// [`crate::VERSION`] of the host.
        version: u32,
        /// The host's clock, nanoseconds since 1970: the guest sets its own by it where they are
        /// more than a moment apart (after a pause or a restore).
        time: u64,
        /// Entropy for the guest's random number generator, 32 bytes.
        seed: Vec<u8>,
    },
    /// Assemble the root filesystem and make ready the container's first process, up to but not
    /// including its `execve`. Answered by [`Answer::Created`].
    Create(Box<Create>),
    /// Assemble the root filesystem and run nothing: for its files ([`crate::files`]) while the
    /// container does not run. Instead of `Create`. Answered by [`Answer::Done`].
    Mount(RootFs),
    /// Let the first process run. Answered by [`Answer::Done`] once its program runs. A program
    /// that was found but cannot be executed (a missing interpreter, no executable format) has
    /// started as well, as with Docker: it ends with 255 and the reason on its own stderr.
    Start,
    /// Start another process in the container. Answered by [`Answer::Created`] once it runs.
    Exec(Box<Exec>),
    /// Send a signal. Answered by [`Answer::Done`].
    Signal {
        /// To whom.
        process: ProcessId,
        /// Its number.
        signal: i32,
    },
    /// Set the size of a process's terminal. Answered by [`Answer::Done`].
    Resize {
        /// Whose.
        process: ProcessId,
        /// The new size.
        size: TerminalSize,
    },
    /// Answered by [`Answer::Exited`] when the process has ended and all its output is in the
    /// journal; at once if it already has.
    Wait {
        /// Whose end.
        process: ProcessId,
    },
    /// Drop what is kept of an ended process. Answered by [`Answer::Done`].
    Forget {
        /// Whose.
        process: ProcessId,
    },
    /// The container's processes. Answered by [`Answer::Processes`].
    Processes,
    /// What the container uses. Answered by [`Answer::Stats`].
    Stats,
    /// Limit the container anew. Answered by [`Answer::Done`].
    Limit(Limits),
    /// End every process, flush and unmount every filesystem, answer [`Answer::Done`], and power
    /// off.
    Shutdown,
}

/// A process the host knows: the container's first, or an exec.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProcessId(pub String);

impl ProcessId {
    /// The container's first process.
    pub fn init() -> Self {
        Self("init".to_owned())
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The container to make.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Create {
    /// Its root filesystem.
    pub root: RootFs,
    /// How it runs. `root.path` is the agent's business and ignored; namespaces are those the
    /// agent always makes; `process.user` counts only where [`Create::user`] is empty.
    pub spec: Spec,
    /// Who it runs as.
    #[serde(default)]
    pub user: User,
    /// Its stdio.
    pub stdio: Stdio,
    /// Run the agent's own small init as PID 1 and the process as its child (`--init`).
    #[serde(default)]
    pub init: bool,
    /// Files the engine provides, such as `/etc/hosts`: shown at these absolute paths, writable,
    /// never part of the container's layer.
    #[serde(default)]
    pub files: Vec<ProvidedFile>,
}

/// What the root filesystem is assembled from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// How many layer folders the virtio-fs export has.
    pub layers: u32,
    /// The disk for what the container writes, such as `/dev/vda`, with an ext4 filesystem that
    /// holds, or gets, the folders `upper` and `work`. Without one, a tmpfs.
    #[serde(default)]
    pub scratch: Option<String>,
}

/// Who a process runs as, by the names of the container's own `/etc/passwd` and `/etc/group`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// `user`, `uid`, `user:group`, `uid:gid` or empty, as Docker's `--user`.
    #[serde(default)]
    pub name: String,
    /// Additional groups, by name or number.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// A file that the engine provides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvidedFile {
    /// Where the container sees it.
    pub path: String,
    /// What it holds.
    pub content: String,
    /// Its permission bits.
    pub mode: u32,
}

/// What a container that runs is limited to from now on. What is absent stays as it is; -1 is
/// without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory of its processes, in bytes.
    #[serde(default)]
    pub memory: Option<i64>,
    /// Processes and threads.
    #[serde(default)]
    pub pids: Option<i64>,
}

/// How a process's stdin, stdout and stderr are wired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stdio {
    /// Keep stdin open for a stream connection; otherwise it is `/dev/null`.
    #[serde(default)]
    pub stdin: bool,
    /// A terminal of this size instead of pipes.
    #[serde(default)]
    pub terminal: Option<TerminalSize>,
}

/// Rows and columns of a terminal. Zeros mean unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalSize {
    /// Height.
    pub rows: u16,
    /// Width.
    pub columns: u16,
}

/// Another process in the container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exec {
    /// What the host will call it. Not `init`, not in use.
    pub process: ProcessId,
    /// The program and its arguments.
    pub args: Vec<String>,
    /// Its whole environment; the container's own is not inherited.
    pub env: Vec<String>,
    /// Its working directory, absolute; made if absent as Docker does not: it must exist.
    pub cwd: String,
    /// Who it runs as; empty is as the container's first process.
    #[serde(default)]
    pub user: User,
    /// Its stdio.
    pub stdio: Stdio,
    /// All capabilities and no seccomp filter.
    #[serde(default)]
    pub privileged: bool,
}

/// What the agent answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Nothing to add.
    Done,
    /// To `Hello`.
    Hello {
        /// [`crate::VERSION`] of the agent.
        version: u32,
        /// The guest's `uname -r`.
        kernel: String,
    },
    /// To `Create` and `Exec`.
    Created {
        /// The process, in the guest's own pid namespace.
        pid: u32,
    },
    /// To `Wait`.
    Exited(Exit),
    /// To `Processes`.
    Processes {
        /// One each, by pid.
        list: Vec<ProcessEntry>,
    },
    /// To `Stats`.
    Stats(Box<Stats>),
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// 0 to 255; 128 + n where signal n ended it.
    pub code: u8,
    /// Whether the kernel killed it for want of memory.
    pub oom_killed: bool,
    /// When, in nanoseconds since 1970 by the guest's clock.
    pub time: u64,
}

/// One line of `top`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessEntry {
    /// In the container's own pid namespace.
    pub pid: u32,
    /// Its parent there.
    pub parent: u32,
    /// Its process group there.
    pub group: u32,
    /// Its session there.
    pub session: u32,
    /// Its effective user.
    pub uid: u32,
    /// CPU time used, in milliseconds.
    pub cpu_ms: u64,
    /// When it started, seconds since 1970.
    pub started: u64,
    /// Its terminal, as `ps` shows it (`?` for none).
    pub tty: String,
    /// `R`, `S`, `D`, `Z`, `T` …
    pub state: String,
    /// The kernel's priority.
    pub priority: i32,
    /// -20 to 19.
    pub nice: i32,
    /// How many it has.
    pub threads: u32,
    /// Its address space, in KiB.
    pub virtual_kb: u64,
    /// What of it is in memory, in KiB.
    pub resident_kb: u64,
    /// Its program's name, bounded by the kernel.
    pub name: String,
    /// Its command line, bounded; `[name]` where it has none.
    pub command: String,
}

/// What went wrong in the guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct AgentError {
    /// For programs.
    pub kind: ErrorKind,
    /// For people; names what failed and on what. Bounded by the host when it is shown.
    pub message: String,
}

/// The kinds of failure the host tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The versions differ, or `Hello` has not been said.
    Version,
    /// The request cannot be understood or contradicts itself.
    Invalid,
    /// Not possible in this state, such as `Start` before `Create`.
    State,
    /// There is no such process.
    NoSuchProcess,
    /// The program to run is not there (Docker's 127).
    ProgramNotFound,
    /// The program to run may not be executed (Docker's 126).
    ProgramDenied,
    /// `user` or `group` is not in the container.
    NoSuchUser,
    /// The working directory cannot be used.
    WorkingDirectory,
    /// There is nothing at the path.
    NoSuchPath,
    /// The path is not of the kind it has to be: a folder, or not a folder.
    WrongKind,
    /// An archive that is to be unpacked is damaged.
    BadArchive,
    /// The deadline passed; the work may still be going on.
    Deadline,
    /// A system call failed.
    System,
}

#[cfg(test)]
mod tests;
