//! The VM of a container: what it needs from the host, its process, its end.
//!
//! ```text
//!  scratch ─┐
//!  cgroup  ─┼─► launch ──► process (pidfd) ──► report
//!  sockets ─┘      └─ whatever was made is unmade, in reverse, when a later step fails
//! ```

mod cgroup;
mod control;
mod host;
mod id_list;
mod init_layer;
mod launch;
mod limits;
mod messages;
pub(crate) mod process;
mod report;
mod running;
mod scratch;
mod size;

use std::io;
use std::path::PathBuf;

use crate::error::ErrorKind;

pub use init_layer::InitLayerError;

pub(crate) use control::{info_of, order};
pub(crate) use host::HostFacts;
pub(crate) use id_list::IdList;
pub(crate) use launch::{Plan, launch};
pub(crate) use limits::Limits;
pub(crate) use report::{End, end_of};
pub(crate) use running::{Running, adopt, limit, sweep};
pub(crate) use scratch::LEAST as LEAST_SCRATCH;
pub(crate) use size::{MIN_MEMORY, MOST_VCPUS, guest_memory_mib, memory_left};

/// Why a VM cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum VmError {
    /// `/dev/kvm` cannot be opened.
    #[error("cannot open {path}, which every container needs: {source} (see `hull doctor`)", path = path.display())]
    NoKvm {
        /// Where it should be.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file the VM is made of.
    #[error("cannot {what} {path}: {source}", path = path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A step that is about no file.
    #[error("cannot {what}: {source}")]
    Step {
        /// What was tried.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// There is no cgroup v2 here.
    #[error("no cgroup v2 at {}, which every container needs (see `hull doctor`)", .0.display())]
    NoCgroup(PathBuf),
    /// The layer between the image and what the container writes.
    #[error("cannot make the container's first layer: {0}")]
    InitLayer(#[source] InitLayerError),
    /// `mkfs.ext4` failed.
    #[error("mkfs.ext4 failed: {0}")]
    Format(String),
    /// The disk of the data root is full.
    #[error("no space left on the device of {}", .0.display())]
    NoSpace(PathBuf),
    /// The process ended before the guest was up.
    #[error("the VM ended before it was up: {0}")]
    Died(String),
    /// The control socket said no.
    #[error("the VM refused: {0}")]
    Refused(String),
    /// The control socket did not answer in time.
    #[error("the VM does not answer")]
    Silent,
    /// Another request ended the launch.
    #[error("the start was given up because the container is being removed")]
    Aborted,
}

impl VmError {
    /// The class of the failure.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoKvm { .. } | Self::NoCgroup(_) | Self::NoSpace(_) => ErrorKind::Unavailable,
            Self::Aborted => ErrorKind::Conflict,
            Self::File { .. }
            | Self::Step { .. }
            | Self::InitLayer(_)
            | Self::Format(_)
            | Self::Died(_)
            | Self::Refused(_)
            | Self::Silent => ErrorKind::System,
        }
    }

    pub(crate) fn file(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace(path),
            _ => Self::File { what, path, source },
        }
    }

    pub(crate) fn step<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Step {
            what,
            source: source.into(),
        }
    }
}
