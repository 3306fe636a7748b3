//! The container's files as archives: what `cp`, `diff`, `export` and `commit` are made of.
//!
//! ```text
//!  connection ──► serve ──► cage (a thread whose root is the container's) ──► look, pack, unpack
//!                                                                              changes
//! ```
//!
//! Only the guest ever reads what the guest wrote, so this is the agent's work. A container may
//! change everything under its hands: each access is one system call on a path inside a `chroot`,
//! where a link leads nowhere but into the container.

mod cage;
mod changes;
mod chunk;
mod look;
mod pack;
mod serve;
mod unpack;

use std::io;
use std::path::PathBuf;

use hull_protocol::agent::{AgentError, ErrorKind};

use crate::container::user::UserError;
use crate::errno;
use crate::fault::fault;

pub(crate) use serve::serve;

/// Where a container's files are, as the agent sees them.
#[derive(Debug, Clone)]
pub struct Trees {
    /// The container's root, nothing mounted in it.
    pub root: PathBuf,
    /// What it has changed: an overlay's upper folder.
    pub upper: PathBuf,
    /// What it began with: the root without the upper folder.
    pub lower: PathBuf,
}

/// Why an archive could not be made or unpacked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FilesError {
    /// A system call failed; Go's words, as Docker shows them.
    #[error("{step} {subject}: {}", errno::of(.source))]
    Step {
        step: &'static str,
        subject: String,
        source: io::Error,
    },
    #[error("no such file or directory: {0}")]
    NoSuchPath(String),
    #[error(transparent)]
    User(#[from] UserError),
    #[error("extraction point is not a directory")]
    NotDirectory,
    #[error("cannot overwrite directory {0:?} with non-directory {1:?}")]
    DirectoryInTheWay(String, String),
    #[error("cannot overwrite non-directory {0:?} with directory {1:?}")]
    FileInTheWay(String, String),
    #[error("{0}")]
    BadArchive(String),
    #[error("{}", damage(.0))]
    Damaged(#[source] io::Error),
    /// The host has gone.
    #[error("the connection is gone")]
    Connection(#[source] io::Error),
}

fn damage(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "unexpected EOF".to_owned(),
        _ => format!("archive/tar: {error}"),
    }
}

impl From<FilesError> for AgentError {
    fn from(error: FilesError) -> Self {
        let kind = match &error {
            FilesError::Step { .. } | FilesError::Connection(_) => ErrorKind::System,
            FilesError::User(_) => ErrorKind::NoSuchUser,
            FilesError::NoSuchPath(_) => ErrorKind::NoSuchPath,
            FilesError::NotDirectory
            | FilesError::DirectoryInTheWay(..)
            | FilesError::FileInTheWay(..) => ErrorKind::WrongKind,
            FilesError::BadArchive(_) | FilesError::Damaged(_) => ErrorKind::BadArchive,
        };
        fault(kind, error.to_string())
    }
}

/// Names the step and its subject in an error of the kernel.
trait Step<T> {
    fn step(self, step: &'static str, subject: impl ToString) -> Result<T, FilesError>;
}

impl<T, E: Into<io::Error>> Step<T> for Result<T, E> {
    fn step(self, step: &'static str, subject: impl ToString) -> Result<T, FilesError> {
        self.map_err(|e| FilesError::Step {
            step,
            subject: subject.to_string(),
            source: e.into(),
        })
    }
}
