//! Running a command in the machine with the caller's standard streams: a small
//! conversation over one tunnelled stream.
//!
//! ```text
//!   host (client)                         guest (serve)
//!   Request {argv, env, cwd, tty} ──────►  starts it
//!   Input, InputEnd, Resize, Signal ────►
//!                    ◄────  Output, ErrorOutput … then Exited or Refused
//! ```
//!
//! A client that goes away takes the command with it.

pub(crate) mod client;
pub(crate) mod serve;
mod terminal;
mod wire;

pub use wire::{Request, Size};
