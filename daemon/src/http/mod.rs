//! The HTTP side, without a word of what is served: routing, decoding, encoding, hijacking.
//!
//! ```text
//!  server ── Request ──► Router ──► handler ── Reply ──► server
//!                          │                     ├ Http    an ordinary or streamed response
//!                          └ 404, versions       └ Hijack  the connection becomes a raw stream
//! ```

pub(crate) mod body;
pub(crate) mod error;
pub(crate) mod filters;
pub(crate) mod frame;
pub(crate) mod hijack;
pub(crate) mod json;
pub(crate) mod query;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod route;
pub(crate) mod version;

pub(crate) use error::ApiError;
pub(crate) use reply::Reply;
pub(crate) use request::Request;
