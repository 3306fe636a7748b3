//! Where memory goes back to.

use std::io;

use super::request::PageRange;
use crate::memory::{self, GuestRam};

/// Takes memory that the guest does not use.
pub trait Reclaim: Send + std::fmt::Debug + 'static {
    /// Takes a range. The guest reads zeros there afterwards.
    ///
    /// # Errors
    /// The host keeps it as it was.
    fn take(&mut self, memory: &GuestRam, range: PageRange) -> io::Result<()>;
}

/// The host's own memory management.
#[derive(Debug, Default)]
pub struct HostMemory;

impl Reclaim for HostMemory {
    fn take(&mut self, memory: &GuestRam, range: PageRange) -> io::Result<()> {
        memory::give_back(memory, range.start(), range.length())
    }
}
