//! The tunnel's end in the machine: connects each stream to its target.

use std::fs::{self, File};
use std::io;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use super::GuestError;
use crate::exec;
use crate::mux::{Mux, Stream, splice};
use crate::supervisor::PORT;
use crate::target::Target;

/// Serves until the machine is to be turned off.
pub(crate) fn serve() -> Result<(), GuestError> {
    let port = port().map_err(GuestError::Port)?;
    let open = || {
        File::options()
            .read(true)
            .write(true)
            .open(&port)
            .map_err(GuestError::Port)
    };
    let reader = open()?;
    let mux = Mux::new(reader.try_clone().map_err(GuestError::Port)?);
    let error = mux.serve(reader, |stream, target| match target.parse() {
        Ok(target) => connect(stream, target),
        Err(error) => eprintln!("machine: {error}"),
    });
    eprintln!("machine: {error}");
    Ok(())
}

/// The port's device, which has its name in sysfs.
fn port() -> io::Result<PathBuf> {
    for entry in fs::read_dir("/sys/class/virtio-ports")?.flatten() {
        let name = fs::read_to_string(entry.path().join("name"))?;
        if name.trim() == PORT {
            return Ok(PathBuf::from("/dev").join(entry.file_name()));
        }
    }
    Err(io::Error::new(
        io::ErrorKind::NotFound,
        format!("no virtio port {PORT}"),
    ))
}

fn connect(stream: Stream, target: Target) {
    match target {
        // A stream that leads nowhere is reset when it is dropped.
        Target::Unix(path) => {
            if let Ok(socket) = UnixStream::connect(path) {
                splice(&stream, &socket);
            }
        }
        Target::Tcp(address) => {
            if let Ok(socket) = TcpStream::connect(address) {
                // Latency of small requests counts more than the number of packets.
                let _ = socket.set_nodelay(true);
                splice(&stream, &socket);
            }
        }
        Target::Exec => {
            if let Err(error) = exec::serve::serve(stream) {
                eprintln!("machine: exec: {error}");
            }
        }
        Target::Ready => {
            let _ = stream.write(b"ready\n");
            let _ = stream.finish();
        }
        // PID 1 sees the end of this process and does the rest.
        Target::PowerOff => std::process::exit(0),
    }
}
