//! Requests on a VMM's control socket.

use std::path::Path;
use std::time::Duration;

use hull_protocol::frame::{self, Decoder};
use hull_protocol::vmm::{Control, ControlReply, VmInfo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::VmError;

/// The VMM answers from a loop that never waits for the guest.
const DEADLINE: Duration = Duration::from_secs(20);

/// Asks for something that is done or refused.
pub(crate) async fn order(socket: &Path, request: Control) -> Result<(), VmError> {
    answer(socket, request).await.map(drop)
}

/// What the VM is like.
pub(crate) async fn info_of(socket: &Path) -> Result<VmInfo, VmError> {
    match answer(socket, Control::Info).await? {
        ControlReply::Info(info) => Ok(info),
        _ => Err(VmError::Refused("it says nothing about itself".to_owned())),
    }
}

async fn answer(socket: &Path, request: Control) -> Result<ControlReply, VmError> {
    match tokio::time::timeout(DEADLINE, ask(socket, request)).await {
        Err(_) => Err(VmError::Silent),
        Ok(Err(e)) => Err(VmError::step("reach the VM's control socket")(e)),
        Ok(Ok(ControlReply::Failed(why))) => Err(VmError::Refused(why)),
        Ok(Ok(reply)) => Ok(reply),
    }
}

async fn ask(socket: &Path, request: Control) -> std::io::Result<ControlReply> {
    let mut stream = UnixStream::connect(socket).await?;
    stream
        .write_all(&frame::encode(&request).map_err(std::io::Error::other)?)
        .await?;
    let mut decoder = Decoder::default();
    let mut buffer = [0; 1024];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            n => decoder.push(&buffer[..n]),
        }
        if let Some(reply) = decoder.take().map_err(std::io::Error::other)? {
            return Ok(reply);
        }
    }
}
