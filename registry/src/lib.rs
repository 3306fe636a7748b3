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

pub mod access;
mod api;
pub mod cache;
pub mod config;
mod happened;
mod http;
mod log;
mod manifest;
mod metrics;
mod pages;
mod refusal;
mod registry;
mod reply;
mod route;
mod server;
mod service;
mod stall;
mod tls;
mod watched;
mod webhooks;

pub use registry::{Limits, Registry, SetupError};
pub use server::{Connections, Listening, serve};
pub use service::{Service, ServiceError, run_alone};
pub use tls::TlsError;
