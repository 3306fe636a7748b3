//! The server's side of a WebSocket (RFC 6455), as `attach/ws` needs it: bytes of a container's
//! stdin in, bytes of its output out.
//!
//! ```text
//!  Sec-WebSocket-Key ──handshake──► 101 and an accepted key
//!  client's bytes ──Decoder──► data, pings, a close        [frame: pure]
//!  both ways, until either side closes                     [session]
//! ```
//!
//! No extension and no subprotocol is agreed on. Messages have no end here: a frame's bytes are
//! passed on as they come, so no length that a client claims is ever allocated.

mod frame;
mod handshake;
mod session;

pub(crate) use handshake::accept;
pub(crate) use session::carry;
