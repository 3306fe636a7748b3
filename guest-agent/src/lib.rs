//! Hull's guest agent: PID 1 of a microVM, and the library it is made of.
//!
//! ```text
//!  vsock ──► server ──► agent ──► container ──► process ──► outlet, stdin
//!             frames     state     namespaces,    keeper      journal
//!                          └► files root, limits
//! ```
//!
//! The agent talks only when spoken to. It knows nothing of the host: neither its paths nor
//! Docker's JSON. What it needs of the machine is behind [`platform::Platform`], so all of it but
//! [`vm`] runs over a socket pair in tests.

mod agent;
mod cgroup;
mod clock;
mod container;
mod errno;
mod fault;
mod files;
mod journal;
pub mod platform;
mod process;
mod request;
mod server;
mod spec;
mod thread;
pub mod vm;

pub use agent::Agent;
pub use files::Trees;
pub use server::{Port, Server};
