//! Why a process could not be made ready: the errors of the child between `fork` and `execve`,
//! which cross a pipe back to the agent.

use std::io;

use hull_protocol::agent::{AgentError, ErrorKind};

use crate::container::program::ProgramError;
use crate::container::user::UserError;
use crate::errno;

/// What the child could not do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    #[error("{step} {subject}: {}", errno::of(.source))]
    Step {
        step: &'static str,
        subject: String,
        source: io::Error,
    },
    #[error("Cannot mkdir: {0} is not a directory")]
    CwdNotDirectory(String),
    #[error("mkdir {cwd}: {}", errno::of(.source))]
    MakeCwd { cwd: String, source: io::Error },
    #[error("chdir to cwd ({cwd:?}) set in config.json failed: {}", errno::of(.source))]
    Chdir { cwd: String, source: io::Error },
    #[error("{what} holds a zero byte")]
    Nul { what: &'static str },
    #[error(transparent)]
    User(#[from] UserError),
    #[error(transparent)]
    Program(#[from] ProgramError),
}

impl SetupError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Step { .. } => ErrorKind::System,
            Self::CwdNotDirectory(_) | Self::MakeCwd { .. } | Self::Chdir { .. } => {
                ErrorKind::WorkingDirectory
            }
            Self::Nul { .. } => ErrorKind::Invalid,
            Self::User(_) => ErrorKind::NoSuchUser,
            Self::Program(e) if e.is_absent() => ErrorKind::ProgramNotFound,
            Self::Program(_) => ErrorKind::ProgramDenied,
        }
    }
}

impl From<SetupError> for AgentError {
    fn from(error: SetupError) -> Self {
        Self {
            kind: error.kind(),
            message: error.to_string(),
        }
    }
}

/// Names the step and its subject in an error of the kernel.
pub(crate) trait Step<T> {
    fn step(self, step: &'static str, subject: impl ToString) -> Result<T, SetupError>;
}

impl<T, E: Into<io::Error>> Step<T> for Result<T, E> {
    fn step(self, step: &'static str, subject: impl ToString) -> Result<T, SetupError> {
        self.map_err(|e| SetupError::Step {
            step,
            subject: subject.to_string(),
            source: e.into(),
        })
    }
}
