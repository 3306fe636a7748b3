//! Joins a tunnelled stream with a socket, each direction on its own, half-close included.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::thread;

use super::Stream;

const BUFFER: usize = 32 * 1024;

/// A socket with two directions that end one by one.
pub(crate) trait Duplex: Sync {
    fn read(&self, buffer: &mut [u8]) -> std::io::Result<usize>;
    fn write_all(&self, bytes: &[u8]) -> std::io::Result<()>;
    fn shutdown(&self, how: Shutdown) -> std::io::Result<()>;
}

macro_rules! duplex {
    ($socket:ty) => {
        impl Duplex for $socket {
            fn read(&self, buffer: &mut [u8]) -> std::io::Result<usize> {
                Read::read(&mut &*self, buffer)
            }

            fn write_all(&self, bytes: &[u8]) -> std::io::Result<()> {
                Write::write_all(&mut &*self, bytes)
            }

            fn shutdown(&self, how: Shutdown) -> std::io::Result<()> {
                self.shutdown(how)
            }
        }
    };
}

duplex!(UnixStream);
duplex!(TcpStream);

/// Copies both ways until both have ended, or one has failed.
pub(crate) fn splice(stream: &Stream, socket: &dyn Duplex) {
    thread::scope(|scope| {
        scope.spawn(|| {
            let _ = to_stream(stream, socket).inspect_err(|_| abort(stream, socket));
        });
        let _ = to_socket(stream, socket).inspect_err(|_| abort(stream, socket));
    });
}

fn to_stream(stream: &Stream, socket: &dyn Duplex) -> std::io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        match socket.read(&mut buffer)? {
            0 => return stream.finish(),
            count => stream.write(&buffer[..count])?,
        }
    }
}

fn to_socket(stream: &Stream, socket: &dyn Duplex) -> std::io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        match stream.read(&mut buffer)? {
            0 => return socket.shutdown(Shutdown::Write),
            count => socket.write_all(&buffer[..count])?,
        }
    }
}

/// Ends both, which also wakes the thread of the other direction.
fn abort(stream: &Stream, socket: &dyn Duplex) {
    stream.reset();
    // The socket may be gone already, which is what this is for.
    let _ = socket.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::super::Mux;
    use super::*;

    /// A client's socket, tunnelled to `server`'s end of another.
    fn joined(server: impl Fn(UnixStream) + Send + Sync + 'static) -> UnixStream {
        let (near, far) = UnixStream::pair().unwrap();
        let host = Mux::new(near.try_clone().unwrap());
        let guest = Mux::new(far.try_clone().unwrap());
        let server = std::sync::Arc::new(server);
        thread::spawn(move || {
            guest.serve(far, move |stream, _| {
                let (inner, outer) = UnixStream::pair().unwrap();
                let server = std::sync::Arc::clone(&server);
                thread::spawn(move || server(outer));
                splice(&stream, &inner);
            })
        });
        let served = host.clone();
        thread::spawn(move || served.serve(near, |_, _| {}));
        let (client, inner) = UnixStream::pair().unwrap();
        let stream = host.open("server").unwrap();
        thread::spawn(move || splice(&stream, &inner));
        client
    }

    #[test]
    fn half_close_reaches_the_server_and_its_answer_the_client() {
        let mut client = joined(|mut socket| {
            let mut asked = String::new();
            socket.read_to_string(&mut asked).unwrap();
            socket.write_all(asked.to_uppercase().as_bytes()).unwrap();
        });
        client.write_all(b"hello").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "HELLO");
    }

    #[test]
    fn server_that_speaks_first_and_closes_is_heard() {
        let mut client = joined(|socket| socket.write_all(b"220 ready").unwrap());
        let mut heard = String::new();
        client.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "220 ready");
    }

    #[test]
    fn client_that_goes_away_ends_a_server_that_only_writes() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let sender = std::sync::Mutex::new(sender);
        let client = joined(move |socket| {
            while socket.write_all(&[0; 4096]).is_ok() {}
            sender.lock().unwrap().send(()).unwrap();
        });
        drop(client);
        receiver
            .recv_timeout(std::time::Duration::from_secs(20))
            .unwrap();
    }
}
