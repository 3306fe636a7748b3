//! What this program is besides a command: the processes that `hull machine` starts.
//!
//! They come from the hidden verb `hull machine role NAME [ARGUMENT]`.

use std::path::PathBuf;
use std::str::FromStr;

use crate::{guest, supervisor};

/// One of the machine's own processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// On the host: owns QEMU, virtiofsd and the machine's sockets.
    Supervisor,
    /// In the machine: PID 1, and the tunnel's end that it forks.
    Guest,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a machine has no process {0:?}")]
pub struct RoleError(String);

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        match text {
            "supervisor" => Ok(Self::Supervisor),
            "guest" => Ok(Self::Guest),
            _ => Err(RoleError(text.to_owned())),
        }
    }
}

impl Role {
    /// Plays the role to its end; `argument` is the supervisor's spec.
    pub fn play(self, argument: Option<PathBuf>) -> Result<(), Box<dyn std::error::Error>> {
        match self {
            Self::Supervisor => Ok(supervisor::run(&argument.unwrap_or_default())?),
            Self::Guest => Ok(guest::init()?),
        }
    }
}
