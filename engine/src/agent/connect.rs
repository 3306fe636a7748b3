//! A connection to a port of the guest, through the VM's unix socket.

use std::io;
use std::path::Path;

use hull_protocol::VsockPort;
use hull_protocol::frame::{self, Decoder};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::AgentFailure;

/// `OK 4294967295\n`
const LONGEST_ANSWER: usize = 16;

/// Connects; waits as long as the VMM holds the connection until the agent listens.
pub(super) async fn connect(socket: &Path, port: VsockPort) -> io::Result<UnixStream> {
    let mut stream = UnixStream::connect(socket).await?;
    stream
        .write_all(format!("CONNECT {}\n", port.0).as_bytes())
        .await?;
    let mut answer = Vec::with_capacity(LONGEST_ANSWER);
    // Byte by byte: what follows the line is not ours to read.
    while answer.last() != Some(&b'\n') {
        if answer.len() == LONGEST_ANSWER {
            return Err(refused("no answer line"));
        }
        match stream.read_u8().await {
            Ok(byte) => answer.push(byte),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(refused("the guest is not listening"));
            }
            Err(e) => return Err(e),
        }
    }
    match answer.starts_with(b"OK ") {
        true => Ok(stream),
        false => Err(refused("not accepted")),
    }
}

/// Connects and says in one frame what for. Also returns what has come after the answer.
pub(super) async fn open<Opened: DeserializeOwned>(
    socket: &Path,
    port: VsockPort,
    request: &impl Serialize,
) -> Result<(UnixStream, Vec<u8>, Opened), AgentFailure> {
    let mut stream = connect(socket, port)
        .await
        .map_err(AgentFailure::Unreachable)?;
    stream
        .write_all(&frame::encode(request)?)
        .await
        .map_err(AgentFailure::Unreachable)?;
    let mut decoder = Decoder::default();
    let mut buffer = vec![0; 4096];
    loop {
        if let Some(opened) = decoder.take::<Opened>()? {
            return Ok((stream, decoder.into_rest(), opened));
        }
        match stream
            .read(&mut buffer)
            .await
            .map_err(AgentFailure::Unreachable)?
        {
            0 => return Err(AgentFailure::Lost),
            n => decoder.push(&buffer[..n]),
        }
    }
}

fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionRefused, why.to_owned())
}
