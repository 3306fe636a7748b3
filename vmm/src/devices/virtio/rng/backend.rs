//! Where entropy comes from.

use std::io;

/// A source of random bytes.
pub trait Entropy: Send + std::fmt::Debug + 'static {
    /// Fills the buffer.
    ///
    /// # Errors
    /// There is none to be had.
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<()>;
}

/// The host's `getrandom`.
#[derive(Debug, Default)]
pub struct HostEntropy;

impl Entropy for HostEntropy {
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            // SAFETY: the pointer and length are of one live buffer.
            let n = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
            match usize::try_from(n) {
                Ok(n) => done += n,
                Err(_) => {
                    let error = io::Error::last_os_error();
                    if error.kind() != io::ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
    }
}
