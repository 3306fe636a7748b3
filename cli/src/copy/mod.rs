//! Files between this host and a container: what `cp` means by its two arguments, and the archives
//! that go over the connection.
//!
//! ```text
//!  place ── `C:PATH` or a path of this host        pack ──── files here ─► tar
//!  plan ─── which folder to unpack in, and what    unpack ── tar ─► files here; nothing in a
//!           the first name becomes                           container's tar is trusted
//! ```

pub(crate) mod pack;
pub(crate) mod place;
pub(crate) mod plan;
pub(crate) mod unpack;
