//! Ports of the machine on the host's loopback.

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::sync::{Mutex, PoisonError};
use std::thread;

use rustix::net::{Shutdown as How, shutdown};

use crate::mux::{Duplex, Mux, splice};
use crate::target::Target;

/// The listeners, by their address on the host.
#[derive(Default)]
pub(crate) struct Published(Mutex<HashMap<SocketAddr, TcpListener>>);

impl Published {
    /// Listens on `host`; each connection becomes one to `machine`, inside. Gives the
    /// address, as the port may be 0.
    pub(super) fn add(
        &self,
        mux: &Mux,
        host: SocketAddr,
        machine: SocketAddr,
    ) -> io::Result<SocketAddr> {
        if !host.ip().is_loopback() {
            // What is emulated is for its user's own trials, not for a network.
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a machine's ports are published on loopback addresses only",
            ));
        }
        let listener = TcpListener::bind(host)?;
        let address = listener.local_addr()?;
        let (accepting, mux) = (listener.try_clone()?, mux.clone());
        let target = Target::Tcp(machine).to_string();
        thread::Builder::new()
            .name(format!("port-{}", address.port()))
            .spawn(move || {
                // Shutting the listener down ends this.
                while let Ok((socket, _)) = accepting.accept() {
                    let (mux, target) = (mux.clone(), target.clone());
                    let _ = thread::Builder::new().spawn(move || {
                        let _ = socket.set_nodelay(true);
                        match mux.open(&target) {
                            Ok(stream) => splice(&stream, &socket),
                            Err(_) => drop(Duplex::shutdown(&socket, Shutdown::Both)),
                        }
                    });
                }
            })?;
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(address, listener);
        Ok(address)
    }

    pub(super) fn remove(&self, host: SocketAddr) -> io::Result<()> {
        let listener = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&host)
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such published port"))?;
        Ok(shutdown(&listener, How::Both)?)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpStream;
    use std::os::unix::net::UnixStream;

    use super::*;

    /// A tunnel whose far end connects to TCP targets, as the guest does.
    fn tunnel() -> Mux {
        let (near, far) = UnixStream::pair().unwrap();
        let (host, guest) = (
            Mux::new(near.try_clone().unwrap()),
            Mux::new(far.try_clone().unwrap()),
        );
        thread::spawn(move || {
            guest.serve(far, |stream, target| {
                if let Ok(Target::Tcp(address)) = target.parse()
                    && let Ok(socket) = TcpStream::connect(address)
                {
                    splice(&stream, &socket);
                }
            })
        });
        let served = host.clone();
        thread::spawn(move || served.serve(near, |_, _| {}));
        host
    }

    #[test]
    fn published_port_reaches_a_server_until_it_is_removed() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let inside = server.local_addr().unwrap();
        thread::spawn(move || {
            for mut socket in server.incoming().flatten() {
                let mut asked = String::new();
                socket.read_to_string(&mut asked).unwrap();
                socket.write_all(asked.to_uppercase().as_bytes()).unwrap();
            }
        });
        let published = Published::default();
        let address = published
            .add(&tunnel(), "127.0.0.1:0".parse().unwrap(), inside)
            .unwrap();
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"hello").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "HELLO");

        published.remove(address).unwrap();
        TcpStream::connect(address).unwrap_err();
        published.remove(address).unwrap_err();
    }

    #[test]
    fn only_loopback_is_published_on() {
        let any = "0.0.0.0:0".parse().unwrap();
        Published::default()
            .add(&tunnel(), any, "127.0.0.1:1".parse().unwrap())
            .unwrap_err();
    }
}
