//! Further processes in a running container.

use hull_protocol::agent::TerminalSize;

use crate::api::attach::{Attachment, DetachKeys};
use crate::id::{ContainerId, ExecId};

/// What `exec_create` is asked for.
#[derive(Clone, Debug, Default)]
pub struct ExecSpec {
    /// The program and its arguments.
    pub cmd: Vec<String>,
    /// Added to the container's environment.
    pub env: Vec<String>,
    /// Empty: the container's.
    pub user: String,
    /// Empty: the container's.
    pub working_dir: String,
    /// A terminal instead of pipes.
    pub tty: bool,
    /// Every capability.
    pub privileged: bool,
    /// Send to its stdin.
    pub attach_stdin: bool,
    /// Receive its stdout.
    pub attach_stdout: bool,
    /// Receive its stderr.
    pub attach_stderr: bool,
    /// The keys that end the attachment.
    pub detach_keys: DetachKeys,
    /// The terminal's size.
    pub size: Option<TerminalSize>,
}

/// What `exec_start` is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExecStart {
    /// Do not attach.
    pub detach: bool,
    /// The terminal's size.
    pub size: Option<TerminalSize>,
}

/// What `exec_start` gives.
#[derive(Debug)]
pub enum ExecStarted {
    /// It runs by itself.
    Detached,
    /// It runs, attached.
    Attached(Attachment),
}

/// What is known about an exec.
#[derive(Clone, Debug)]
pub struct ExecInspect {
    /// Who.
    pub id: ExecId,
    /// Where.
    pub container: ContainerId,
    /// As asked for.
    pub spec: ExecSpec,
    /// Whether it runs now.
    pub running: bool,
    /// Once it has ended.
    pub exit_code: Option<i32>,
    /// In the guest's own pid namespace; 0 before it runs.
    pub pid: u32,
}
