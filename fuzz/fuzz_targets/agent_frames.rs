//! What a host, or whoever sits between, can send to the agent: any bytes on any port. Only
//! the machine is missing, so a container is refused once its specification has been read.
#![no_main]

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::OnceLock;

use hull_agent::platform::{Platform, PlatformError};
use hull_agent::{Agent, Port, Server, Trees};
use hull_protocol::agent::{Call, Request, RootFs};
use hull_protocol::frame;
use libfuzzer_sys::fuzz_target;

struct Nothing;

impl Nothing {
    fn refuse<T>() -> Result<T, PlatformError> {
        Err(PlatformError::System {
            step: "use",
            subject: "no machine".to_owned(),
            source: io::Error::from_raw_os_error(0),
        })
    }
}

impl Platform for Nothing {
    fn prepare(&self) -> Result<(), PlatformError> {
        Self::refuse()
    }
    fn root(&self, _: &RootFs) -> Result<OwnedFd, PlatformError> {
        Self::refuse()
    }
    fn files(&self) -> Result<Trees, PlatformError> {
        Self::refuse()
    }
    fn cgroup(&self) -> PathBuf {
        PathBuf::new()
    }
    fn hidden(&self) -> &[&str] {
        &[]
    }
    fn set_clock(&self, _: u64) -> Result<(), PlatformError> {
        Ok(())
    }
    fn seed(&self, _: &[u8]) -> Result<(), PlatformError> {
        Ok(())
    }
    fn flush(&self) -> Result<(), PlatformError> {
        Ok(())
    }
    fn power_off(&self) {}
}

fn throw(server: &Server, port: Port, head: &[u8], bytes: &[u8]) {
    let (mut ours, theirs) = UnixStream::pair().expect("a socket pair");
    server.accept(port, theirs).expect("a thread");
    // The agent may close before it has read everything.
    let _ = ours.write_all(head).and_then(|()| ours.write_all(bytes));
    let _ = ours.shutdown(Shutdown::Write);
    let _ = ours.read_to_end(&mut Vec::new());
}

fuzz_target!(|bytes: &[u8]| {
    static SERVER: OnceLock<Server> = OnceLock::new();
    let server = SERVER.get_or_init(|| Server::new(Agent::new(Nothing)));
    let call = Call::Hello {
        version: hull_protocol::VERSION,
        time: 0,
        seed: Vec::new(),
    };
    let hello = Request {
        id: 0,
        deadline_ms: None,
        call,
    };
    let hello = frame::encode(&hello).expect("a frame");
    throw(server, Port::Stream, &[], bytes);
    throw(server, Port::Files, &[], bytes);
    throw(server, Port::Control, &[], bytes);
    throw(server, Port::Control, &hello, bytes);
    // As the body of one frame, so that the length need not be found.
    let mut framed = (bytes.len() as u32).to_le_bytes().to_vec();
    framed.extend_from_slice(bytes);
    throw(server, Port::Control, &hello, &framed);
});
