//! The OCI distribution specification, requirement by requirement, over real connections.

mod discovery;
mod harness;
mod hostile;
mod management;
mod manifests;
mod protocol;
mod pull;
mod push;
