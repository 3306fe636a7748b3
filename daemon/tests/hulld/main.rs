//! The `hulld` program from outside: as a process, and through real clients.

mod archives;
mod between;
mod certificates;
mod config;
mod docker_cli;
mod harness;
mod images;
mod on_box;
#[path = "../../../images/src/remote/peer.rs"]
mod peer;
mod process;
mod registries;
mod tls;
mod websocket;
