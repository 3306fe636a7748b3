//! The registry: OCI distribution 1.1, and Docker's API beside it, over the image store.
//!
//! ```text
//!  server ── connection ──► Registry::answer ── Endpoint, rights ──► api::* ──► hull_images
//!    │ TLS, limits, shutdown        │ figures, access log                       repositories
//!    └ run by hulld, and alone by `hull registry serve`
//! ```
//!
//! What is stored, and what refers to what, is the store's business (`hull_images::repositories`);
//! here is HTTP: what a request asks for, who may, and what the specification says to answer.
//! Storage blocks, so it is called on blocking threads. Blobs pass through in pieces and are never
//! held in memory. Nothing here knows of containers.

mod api;
mod http;
mod manifest;
mod refusal;
mod registry;
mod reply;
mod route;
mod server;
mod stall;

pub use registry::{Limits, Registry};
pub use server::{Connections, serve};
