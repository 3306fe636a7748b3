//! A system call filter of the runtime specification.

use std::io;

use crate::spec::Seccomp;

/// Why a filter is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SeccompError {
    #[error("a seccomp filter is not supported by Hull yet: leave it out of the specification")]
    Unsupported,
}

/// A filter in the kernel's form.
#[derive(Debug, Clone)]
pub(crate) struct Filter(Vec<libc::sock_filter>);

/// Compiles a filter.
pub(crate) fn compile(_spec: &Seccomp) -> Result<Filter, SeccompError> {
    Err(SeccompError::Unsupported)
}

impl Filter {
    /// Puts the filter on this thread and all it becomes.
    pub(crate) fn install(&self) -> io::Result<()> {
        let program = libc::sock_fprog {
            // `compile` makes no longer ones than the kernel takes.
            len: u16::try_from(self.0.len()).unwrap_or(u16::MAX),
            filter: self.0.as_ptr().cast_mut(),
        };
        // SAFETY: the program points at `len` instructions that outlive the call; the kernel
        // only reads them.
        let result = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                0,
                &raw const program,
            )
        };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }
}
