//! The VM of a container: what it needs from the host, its process, its end.

use crate::error::ErrorKind;

/// Why a VM cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum VmError {
    /// `/dev/kvm` cannot be opened.
    #[error("cannot open /dev/kvm, which every container needs: {0} (see `hull doctor`)")]
    NoKvm(std::io::Error),
}

impl VmError {
    /// The class of the failure.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoKvm(_) => ErrorKind::Unavailable,
        }
    }
}
