//! The host's side of a connection: a unix stream, and the line that opens it.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;

/// The longest opening line: `CONNECT 4294967295\n`.
const MAX_LINE: usize = 32;

/// A host process at the other end.
#[derive(Debug)]
pub(super) struct Peer {
    stream: UnixStream,
    line: Vec<u8>,
}

/// What the opening line has brought so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// More is to come.
    Incomplete,
    /// The guest's port.
    Port(u32),
    /// Not an opening line, or gone.
    Bad,
}

impl Peer {
    pub(super) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            line: Vec::new(),
        })
    }

    pub(super) fn raw_fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// Reads on in the opening line, a byte at a time so that nothing after it is taken.
    pub(super) fn opening(&mut self) -> Opening {
        let mut byte = [0];
        loop {
            match self.stream.read(&mut byte) {
                Ok(0) => return Opening::Bad,
                Ok(_) if byte[0] == b'\n' => return parse(&self.line),
                Ok(_) if self.line.len() == MAX_LINE => return Opening::Bad,
                Ok(_) => self.line.push(byte[0]),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Opening::Incomplete,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Opening::Bad,
            }
        }
    }

    /// Says that the guest took the connection.
    pub(super) fn opened(&mut self, host_port: u32) -> io::Result<()> {
        // The first bytes ever sent here: they fit the socket's buffer.
        self.stream
            .write_all(format!("OK {host_port}\n").as_bytes())
    }

    /// Sends bytes; gives how many went.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    /// Nothing more will come from the guest.
    pub(super) fn end_writing(&self) {
        // Fails only where the other side is gone already.
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }
}

fn parse(line: &[u8]) -> Opening {
    std::str::from_utf8(line)
        .ok()
        .and_then(|line| line.strip_prefix("CONNECT "))
        .and_then(|port| port.trim_end_matches('\r').parse().ok())
        .map_or(Opening::Bad, Opening::Port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opening_line_names_a_port_and_takes_nothing_more() {
        let (mut host, ours) = UnixStream::pair().unwrap();
        let mut peer = Peer::new(ours).unwrap();
        host.write_all(b"CONN").unwrap();
        assert_eq!(peer.opening(), Opening::Incomplete);
        host.write_all(b"ECT 1024\nrest").unwrap();
        assert_eq!(peer.opening(), Opening::Port(1024));
        let mut rest = [0; 4];
        peer.stream.read_exact(&mut rest).unwrap();
        assert_eq!(&rest, b"rest");
    }

    #[test]
    fn what_is_not_one_is_refused() {
        for line in [
            "",
            "connect 1",
            "CONNECT",
            "CONNECT -1",
            "CONNECT 4294967296",
            "GET / HTTP/1.1",
        ] {
            assert_eq!(parse(line.as_bytes()), Opening::Bad, "{line}");
        }
        let (mut host, ours) = UnixStream::pair().unwrap();
        let mut peer = Peer::new(ours).unwrap();
        host.write_all(&[b'x'; 100]).unwrap();
        assert_eq!(peer.opening(), Opening::Bad);
    }
}
