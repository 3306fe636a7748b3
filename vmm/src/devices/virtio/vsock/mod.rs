//! Socket device (virtio 1.2, 5.10): streams between host and guest, opened by the host only.
//!
//! ```text
//!  host process ──► unix listener: "CONNECT port\n" ──► REQUEST ──► guest
//!               ◄── "OK n\n" ◄──────────────────────── RESPONSE ◄──
//!               ◄──────────── bytes, with credit both ways ──────►
//! ```
//!
//! Until the agent has said that it listens, connections wait: nobody has to try again. A guest's
//! own REQUEST is refused: nothing in a guest may reach out to the host.
//!
//! Trusted: nothing. Packets for connections that do not exist are answered with RST, whose
//! number waiting is bounded; a peer that ignores its credit loses the connection.

mod backend;
mod connection;
mod device;
mod muxer;
pub mod packet;
pub mod persist;
mod worker;

pub use device::Vsock;
