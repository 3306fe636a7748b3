//! `hulld`: the Docker Engine API, answered by the engine.
//!
//! ```text
//!  hull, docker, docker-py, …
//!        │ HTTP/1 on a unix socket, or on TCP with mutual TLS
//!  listen ─► server ─► http (routes, decoding, hijacking) ─► api (one handler a call) ─► engine
//! ```
//!
//! Handlers decode, make one engine call and encode. This crate keeps no state of its own: what
//! it answers is what the engine says, so a daemon that is started again answers the same.

mod api;
mod config;
#[cfg(test)]
mod golden;
mod http;
mod listen;
mod lock;
mod notify;
mod on_box;
mod options;
mod peer;
mod run;
mod server;
mod settings;
mod stream;
mod tls;
mod websocket;

pub use config::ConfigError;
pub use options::Options;
pub use run::run;
pub use settings::{Settings, SettingsError};

/// What `Server:` and `version` call this program.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
