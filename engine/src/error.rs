//! What an engine call can fail with, in Docker's words where Docker has some.
//!
//! Callers decide by [`EngineError::kind`] and show the `Display` text: scripts grep it.

use std::path::PathBuf;

use crate::id::ContainerId;

/// The class of a failure: an HTTP status or an exit code derives from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The thing asked for does not exist.
    NotFound,
    /// The state of the thing forbids it.
    Conflict,
    /// The request itself is wrong.
    InvalidParameter,
    /// It already is as asked.
    NotModified,
    /// Docker has it, Hull does not yet.
    NotImplemented,
    /// This host cannot do it now: no KVM, no space, shutting down.
    Unavailable,
    /// Something failed that should not have.
    System,
}

/// Why an engine call failed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// No container by that name, id or prefix.
    #[error("No such container: {0}")]
    NoSuchContainer(String),
    /// A prefix that several containers share.
    #[error("multiple IDs found with provided prefix: {0}")]
    AmbiguousPrefix(String),
    /// No image by that reference.
    #[error("No such image: {0}")]
    NoSuchImage(String),
    /// No exec by that id.
    #[error("No such exec instance: {0}")]
    NoSuchExec(String),
    /// The name is another container's.
    #[error(
        "Conflict. The container name \"/{name}\" is already in use by container \"{by}\". You have to remove (or rename) that container to be able to reuse that name."
    )]
    NameInUse {
        /// The name.
        name: String,
        /// Whose it is.
        by: ContainerId,
    },
    /// Not a container name.
    #[error("Invalid container name ({0}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")]
    InvalidName(String),
    /// A field of the request that cannot be.
    #[error("{0}")]
    Invalid(String),
    /// Neither the request nor the image says what to run.
    #[error("no command specified")]
    NoCommand,
    /// The image is for another architecture.
    #[error(
        "image with reference {reference} was found but does not provide the specified platform ({wanted}), it is {found}"
    )]
    WrongPlatform {
        /// The image.
        reference: String,
        /// What this host runs.
        wanted: String,
        /// What the image is for.
        found: String,
    },
    /// Docker has it, Hull does not yet.
    #[error("not supported by Hull yet: {0}")]
    NotSupported(String),
    /// This host cannot limit that.
    #[error("{0} cannot be had: this host's control groups have no {1} controller")]
    NoController(&'static str, &'static str),
    /// It runs, or has stopped, already.
    #[error("container {0} is already in the desired state")]
    NotModified(ContainerId),
    /// Needs a running container.
    #[error("container {0} is not running")]
    NotRunning(ContainerId),
    /// Not while it is paused.
    #[error("container {0} is paused, unpause the container before {1}")]
    Paused(ContainerId, &'static str),
    /// Not between two runs; the subject begins the sentence.
    #[error("{0} is restarting, wait until the container is running")]
    Restarting(String),
    /// `start` of a paused one.
    #[error("cannot start a paused container, try unpause instead")]
    StartPaused,
    /// `pause` twice.
    #[error("container {0} is already paused")]
    AlreadyPaused(ContainerId),
    /// `unpause` without `pause`.
    #[error("container {0} is not paused")]
    NotPaused(ContainerId),
    /// `rm` without force.
    #[error(
        "cannot remove container \"{name}\": container is {state}: stop the container before removing or force remove"
    )]
    RemoveRunning {
        /// The container's name.
        name: String,
        /// `running`, `paused` or `restarting`.
        state: &'static str,
    },
    /// Docker's wording when an update cannot be.
    #[error("Cannot update container {id}: {why}")]
    CannotUpdate {
        /// Which.
        id: ContainerId,
        /// Why.
        why: String,
    },
    /// Its files or its record could not be removed.
    #[error("container {id}: {why}")]
    RemoveFailed {
        /// Which.
        id: ContainerId,
        /// Why.
        why: String,
    },
    /// Another `rm` is at it.
    #[error("removal of container {0} is already in progress")]
    RemovalInProgress(ContainerId),
    /// Nothing at a path of a container.
    #[error("Could not find the file {path} in container {who}")]
    NoSuchFile {
        /// As the caller wrote it.
        path: String,
        /// As the caller named it.
        who: String,
    },
    /// A copy into a container that may not be written.
    #[error("container rootfs is marked read-only")]
    ReadOnlyRoot,
    /// Nothing can be done with it any more but remove it.
    #[error("container {0} is marked for removal and cannot be started")]
    Dead(ContainerId),
    /// An exec that cannot be started again.
    #[error("exec {0} has already been started")]
    ExecAlreadyStarted(String),
    /// A resize before the exec runs or after it ended; clients try again.
    #[error("cannot resize: exec {0} is not running")]
    ExecNotRunning(String),
    /// The program could not be started; the text is what an OCI runtime prints.
    #[error(
        "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: {0}"
    )]
    StartFailed(RuntimeFailure),
    /// The same of an exec.
    #[error("OCI runtime exec failed: exec failed: unable to start container process: {0}")]
    ExecFailed(RuntimeFailure),
    /// The VM did not come up, or went down while it was needed.
    #[error("{0}")]
    Vm(#[from] crate::vm::VmError),
    /// The conversation with the guest failed.
    #[error("{0}")]
    Agent(#[from] crate::agent::AgentFailure),
    /// The state database failed.
    #[error("state database: {0}")]
    Store(#[from] crate::store::StoreError),
    /// The container's log cannot be read or written.
    #[error("log of container {id}: {source}")]
    Log {
        /// Whose log.
        id: ContainerId,
        /// Why.
        source: std::io::Error,
    },
    /// Docker's wording where a log driver keeps nothing.
    #[error("configured logging driver does not support reading")]
    NoLog,
    /// No log can be kept so.
    #[error("{0}")]
    LogConfig(#[from] crate::log::LogConfigError),
    /// A directory or file of the engine's own.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The image store failed.
    #[error("{0}")]
    Image(String, ErrorKind),
    /// Two engines cannot share a data root.
    #[error("another engine uses {} (its lock is held)", .0.display())]
    InUse(PathBuf),
    /// The engine is closing.
    #[error("the engine is shutting down")]
    Closing,
}

/// Why a process could not be started, with the exit code Docker records for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RuntimeFailure {
    /// As an OCI runtime words it.
    pub message: String,
    /// 127: not found, 126: not executable, 128: anything else.
    pub exit_code: u8,
}

impl EngineError {
    /// The class of the failure.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoSuchContainer(_)
            | Self::NoSuchImage(_)
            | Self::NoSuchExec(_)
            | Self::NoSuchFile { .. } => ErrorKind::NotFound,
            Self::NameInUse { .. }
            | Self::NotRunning(_)
            | Self::Paused(..)
            | Self::AlreadyPaused(_)
            | Self::Restarting(_)
            | Self::StartPaused
            | Self::NotPaused(_)
            | Self::RemoveRunning { .. }
            | Self::RemovalInProgress(_)
            | Self::CannotUpdate { .. }
            | Self::Dead(_)
            | Self::ExecAlreadyStarted(_) => ErrorKind::Conflict,
            Self::AmbiguousPrefix(_)
            | Self::InvalidName(_)
            | Self::Invalid(_)
            | Self::NoCommand
            | Self::LogConfig(_)
            | Self::ReadOnlyRoot
            | Self::WrongPlatform { .. }
            | Self::ExecNotRunning(_) => ErrorKind::InvalidParameter,
            Self::StartFailed(f) | Self::ExecFailed(f) => match f.exit_code {
                126 | 127 => ErrorKind::InvalidParameter,
                _ => ErrorKind::System,
            },
            Self::NotModified(_) => ErrorKind::NotModified,
            Self::NotSupported(_) | Self::NoLog => ErrorKind::NotImplemented,
            Self::Vm(e) => e.kind(),
            Self::Image(_, kind) => *kind,
            Self::Closing | Self::InUse(_) | Self::NoController(..) => ErrorKind::Unavailable,
            Self::Agent(_)
            | Self::Store(_)
            | Self::RemoveFailed { .. }
            | Self::Log { .. }
            | Self::File { .. } => ErrorKind::System,
        }
    }
}
