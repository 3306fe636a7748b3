//! The supervisor's unix sockets, which only their owner may use.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use crate::mux::{Mux, splice};
use crate::settings::DAEMON_SOCKET;
use crate::target::Target;

/// Listens at `path`, in place of a socket that a killed supervisor left. The folder is
/// closed to others, so there is no moment at which the mode would be too wide.
pub(super) fn listen(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// A client of the API. If no daemon listens, the connection just ends.
pub(super) fn to_daemon(mux: &Mux, socket: &UnixStream) {
    if let Ok(stream) = mux.open(&Target::Unix(DAEMON_SOCKET.into()).to_string()) {
        splice(&stream, socket);
    }
}
