//! What the agent needs of the machine it is init of, behind a trait: the virtual machine in
//! production ([`crate::vm`]), an ordinary folder in tests.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use hull_protocol::agent::RootFs;

use crate::files::Trees;

/// Why the machine could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    /// Nothing to make a root of.
    #[error("the root filesystem has no layers")]
    NoLayers,
    /// More layers than the overlay filesystem takes.
    #[error("the root filesystem has {count} layers: at most {most}")]
    TooManyLayers {
        /// How many were asked for.
        count: u32,
        /// How many there may be.
        most: u32,
    },
    /// A system call failed.
    #[error("cannot {step} {subject}")]
    System {
        /// What was tried.
        step: &'static str,
        /// On what.
        subject: String,
        /// How it failed.
        #[source]
        source: io::Error,
    },
}

/// The machine.
pub trait Platform: Send + Sync + 'static {
    /// Makes the guest ready for a container: everything that is not needed to listen.
    ///
    /// # Errors
    /// A system call failed.
    fn prepare(&self) -> Result<(), PlatformError>;

    /// Assembles the root filesystem. What it returns is a mount that is not attached anywhere.
    ///
    /// # Errors
    /// It cannot be assembled.
    fn root(&self, root: &RootFs) -> Result<OwnedFd, PlatformError>;

    /// Where the files of the root that was assembled are, for whoever does not live in it.
    ///
    /// # Errors
    /// They cannot be made visible.
    fn files(&self) -> Result<Trees, PlatformError>;

    /// Where the container's control group goes; its parent exists.
    fn cgroup(&self) -> PathBuf;

    /// Mounts of the agent that no container may keep, the innermost first.
    fn hidden(&self) -> &[&str];

    /// Sets the wall clock, in nanoseconds since 1970.
    ///
    /// # Errors
    /// The clock cannot be set.
    fn set_clock(&self, time: u64) -> Result<(), PlatformError>;

    /// Mixes host entropy into the random number generator.
    ///
    /// # Errors
    /// The kernel does not take it.
    fn seed(&self, seed: &[u8]) -> Result<(), PlatformError>;

    /// Brings everything written to the disks and lets go of them.
    ///
    /// # Errors
    /// Something may not have reached a disk.
    fn flush(&self) -> Result<(), PlatformError>;

    /// Ends the machine.
    fn power_off(&self);
}
