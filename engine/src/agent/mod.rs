//! The conversation with the agent in a guest.
//!
//! ```text
//!  AgentClient ──CONNECT 1024──► requests and replies, many at once, reconnects   [client]
//!  output/stdin ─CONNECT 1025──► one process's stdio each                          [stream]
//!  archives ─────CONNECT 1026──► the container's files                             [files]
//! ```

mod client;
mod connect;
mod files;
pub(crate) mod stream;

use std::io;

use hull_protocol::agent::{AgentError, ErrorKind};
use hull_protocol::frame::FrameError;

pub(crate) use client::AgentClient;
pub(crate) use files::FilesStream;

use crate::error::RuntimeFailure;

/// Why it failed.
#[derive(Debug, thiserror::Error)]
pub enum AgentFailure {
    /// The guest cannot be reached, or went away.
    #[error("the guest cannot be reached: {0}")]
    Unreachable(#[source] io::Error),
    /// The connection broke before the answer came.
    #[error("the connection to the guest was lost")]
    Lost,
    /// No answer in time.
    #[error("the guest did not answer in {0:?}")]
    Deadline(std::time::Duration),
    /// What came is not the protocol.
    #[error("the guest sent nonsense: {0}")]
    Frame(#[from] FrameError),
    /// Not the answer to what was asked, or of another version.
    #[error("the guest answered something else than was asked")]
    Unexpected,
    /// The agent refused or failed.
    #[error("{}", bounded(&.0.message))]
    Refused(AgentError),
}

impl AgentFailure {
    /// Whether another connection may fare better.
    pub(crate) fn is_transport(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Lost | Self::Frame(_))
    }

    /// What an OCI runtime would say of a process that could not be started; anything that is
    /// not the process's own fault comes back as it was.
    pub(crate) fn into_runtime(self, prefix: &str) -> Result<RuntimeFailure, Self> {
        let Self::Refused(e) = self else {
            return Err(self);
        };
        let exit_code = match e.kind {
            ErrorKind::ProgramNotFound => 127,
            ErrorKind::ProgramDenied => 126,
            ErrorKind::NoSuchUser | ErrorKind::WorkingDirectory => 126,
            _ => 128,
        };
        Ok(RuntimeFailure {
            message: format!("{prefix}{}", bounded(&e.message)),
            exit_code,
        })
    }
}

/// The guest writes the message: what is shown of it is short and printable.
fn bounded(message: &str) -> String {
    const MOST: usize = 1024;
    message
        .chars()
        .take(MOST)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
