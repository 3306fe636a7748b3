//! A system call filter of the runtime specification.
//!
//! ```text
//! specification ──rules──► for each architecture: call number → checks, action ──program──► BPF
//! ```
//!
//! Of the rules for one call the first that fits counts. Calls that this architecture does not have
//! are passed over: profiles name those of every architecture and every kernel.

mod program;
mod rules;

use std::io;

use crate::spec::Seccomp;

/// The most instructions that the kernel takes.
const LONGEST: usize = 4096;

/// Why a filter is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SeccompError {
    #[error("seccomp: the action {0} is not known")]
    Action(String),
    #[error("seccomp: the action {0} asks a program outside of the container, and there is none")]
    Notify(String),
    #[error("seccomp: the operator {0} is not known")]
    Operator(String),
    #[error("seccomp: a system call has the arguments 0 to 5, and no {0}")]
    Argument(usize),
    #[error("seccomp: the profile takes {0} instructions, and the kernel no more than {LONGEST}")]
    TooLong(usize),
}

/// A filter in the kernel's form.
#[derive(Debug, Clone)]
pub(crate) struct Filter(Vec<libc::sock_filter>);

/// Compiles a filter.
pub(crate) fn compile(spec: &Seccomp) -> Result<Filter, SeccompError> {
    let program = program::assemble(&rules::sections(spec)?);
    match program.len() {
        ..=LONGEST => Ok(Filter(program)),
        length => Err(SeccompError::TooLong(length)),
    }
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

#[cfg(test)]
mod tests;
