//! Many byte streams over one: the tunnel between the host and the emulated machine.
//!
//! The machine's only connection to its supervisor is a virtio serial port, whose host end
//! is a socket pair inherited by QEMU. It has no name, so no other user of the host can
//! reach it and it needs no secret. Unlike forwarded TCP it also keeps half-closed streams
//! alive for as long as they like.
//!
//! ```text
//!   host: Mux::open(target) ──Open──►  guest: accept(stream, target)
//!         Stream ◄─────Data, Credit, Eof, Reset─────► Stream
//! ```
//!
//! Each direction of a stream may have [`WINDOW`] bytes on the way that its reader has not
//! taken yet. So the thread that reads the tunnel never waits for a stream's reader, and
//! one slow stream never stalls another.

mod frame;
mod splice;
mod stream;

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use frame::{Frame, FrameError, Kind};
pub(crate) use splice::{Duplex, splice};
use stream::Shared;
pub(crate) use stream::Stream;

/// Bytes of one direction of a stream that its reader has not taken yet.
const WINDOW: u32 = 256 * 1024;

/// Streams open at a time: far above need, so that a leak is an error and not a slow death.
const MAX_STREAMS: usize = 4096;

/// Why the tunnel ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TunnelError {
    #[error("the tunnel broke: {0}")]
    Io(#[from] io::Error),
    #[error("the tunnel's other end sent {0}")]
    Frame(#[from] FrameError),
    #[error("the tunnel's other end sent {0:?} out of turn")]
    Protocol(Kind),
}

/// One end of the tunnel.
#[derive(Clone)]
pub(crate) struct Mux {
    link: Arc<Link>,
}

/// What the streams share with their tunnel.
struct Link {
    writer: Mutex<Box<dyn Write + Send>>,
    streams: Mutex<HashMap<u32, Arc<Shared>>>,
    next: AtomicU32,
}

impl Mux {
    pub(crate) fn new(writer: impl Write + Send + 'static) -> Self {
        let link = Link {
            writer: Mutex::new(Box::new(writer)),
            streams: Mutex::default(),
            next: AtomicU32::new(1),
        };
        Self {
            link: Arc::new(link),
        }
    }

    /// Opens a stream; the other end connects it to `target`, or resets it.
    pub(crate) fn open(&self, target: &str) -> io::Result<Stream> {
        let id = self.link.next.fetch_add(1, Ordering::Relaxed);
        let stream = self.add(id)?;
        self.link.send(Kind::Open, id, target.as_bytes())?;
        Ok(stream)
    }

    /// Reads frames until the tunnel ends; `accept` gets each stream that the other end
    /// opens, on a thread of its own.
    pub(crate) fn serve<A>(&self, reader: impl Read, accept: A) -> TunnelError
    where
        A: Fn(Stream, String) + Send + Sync + 'static,
    {
        let accept = Arc::new(accept);
        let mut reader = io::BufReader::with_capacity(64 * 1024, reader);
        let error = loop {
            let result = match Frame::read(&mut reader) {
                Ok(frame) => self.handle(frame, &accept),
                Err(error) => Err(error),
            };
            if let Err(error) = result {
                break error;
            }
        };
        for shared in self.link.streams().values() {
            shared.break_off();
        }
        error
    }

    fn handle<A>(&self, frame: Frame, accept: &Arc<A>) -> Result<(), TunnelError>
    where
        A: Fn(Stream, String) + Send + Sync + 'static,
    {
        let Frame {
            kind,
            stream,
            payload,
        } = frame;
        if kind == Kind::Open {
            let target = String::from_utf8(payload).map_err(|_| TunnelError::Protocol(kind))?;
            return self.accept(stream, target, accept);
        }
        // A stream that is gone on this side may still have frames on the way.
        let Some(shared) = self.link.streams().get(&stream).map(Arc::clone) else {
            return Ok(());
        };
        match kind {
            Kind::Data => shared
                .receive(payload)
                .map_err(|()| TunnelError::Protocol(kind)),
            Kind::Credit => {
                let bytes = <[u8; 4]>::try_from(payload.as_slice())
                    .map_err(|_| TunnelError::Protocol(kind))?;
                shared.credit(u32::from_le_bytes(bytes));
                Ok(())
            }
            Kind::Eof => {
                shared.receive_eof();
                Ok(())
            }
            Kind::Reset => {
                shared.break_off();
                Ok(())
            }
            Kind::Open => Err(TunnelError::Protocol(kind)),
        }
    }

    fn accept<A>(&self, id: u32, target: String, accept: &Arc<A>) -> Result<(), TunnelError>
    where
        A: Fn(Stream, String) + Send + Sync + 'static,
    {
        let stream = self.add(id)?;
        let accept = Arc::clone(accept);
        // If no thread can be had, dropping the stream resets it.
        let _ = thread::Builder::new()
            .name(format!("tunnel-{id}"))
            .spawn(move || accept(stream, target));
        Ok(())
    }

    fn add(&self, id: u32) -> io::Result<Stream> {
        let shared = Arc::new(Shared::new(WINDOW));
        let mut streams = self.link.streams();
        if streams.len() >= MAX_STREAMS || streams.contains_key(&id) {
            return Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                "too many tunnelled streams",
            ));
        }
        streams.insert(id, Arc::clone(&shared));
        Ok(Stream::new(id, shared, Arc::clone(&self.link)))
    }
}

impl Link {
    fn send(&self, kind: Kind, stream: u32, payload: &[u8]) -> io::Result<()> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        Frame::write(&mut **writer, kind, stream, payload)
    }

    fn streams(&self) -> MutexGuard<'_, HashMap<u32, Arc<Shared>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc;

    use super::*;

    /// A tunnel whose far end treats each stream with `accept`.
    fn tunnel(accept: impl Fn(Stream, String) + Send + Sync + 'static) -> Mux {
        let (near, far) = UnixStream::pair().unwrap();
        let host = Mux::new(near.try_clone().unwrap());
        let guest = Mux::new(far.try_clone().unwrap());
        thread::spawn(move || guest.serve(far, accept));
        let served = host.clone();
        thread::spawn(move || served.serve(near, |_, _| {}));
        host
    }

    fn echo(stream: &Stream) {
        let mut buffer = [0; 1000];
        loop {
            match stream.read(&mut buffer).unwrap() {
                0 => break,
                n => stream.write(&buffer[..n]).unwrap(),
            }
        }
        stream.finish().unwrap();
    }

    #[test]
    fn stream_carries_more_than_its_window_both_ways() {
        let mux = tunnel(|stream, _| echo(&stream));
        let stream = Arc::new(mux.open("echo").unwrap());
        let sent: Vec<u8> = (0..3 * WINDOW as usize).map(|i| (i / 7) as u8).collect();
        let (writer, bytes) = (Arc::clone(&stream), sent.clone());
        let writing = thread::spawn(move || {
            writer.write(&bytes).unwrap();
            writer.finish().unwrap();
        });
        let mut received = Vec::new();
        (&*stream).read_to_end(&mut received).unwrap();
        writing.join().unwrap();
        assert!(received == sent);
    }

    #[test]
    fn finished_side_still_receives() {
        let mux = tunnel(|stream, target| {
            let mut asked = String::new();
            (&stream).read_to_string(&mut asked).unwrap();
            stream
                .write(format!("{target} answers {asked}").as_bytes())
                .unwrap();
            stream.finish().unwrap();
        });
        let stream = mux.open("a").unwrap();
        stream.write(b"b").unwrap();
        stream.finish().unwrap();
        let mut answer = String::new();
        (&stream).read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "a answers b");
    }

    #[test]
    fn dropped_stream_is_a_reset_at_the_other_end() {
        let (sender, receiver) = mpsc::channel();
        let sender = Mutex::new(sender);
        let mux = tunnel(move |stream, _| {
            let result = stream.read(&mut [0; 10]);
            sender
                .lock()
                .unwrap()
                .send(result.map_err(|e| e.kind()))
                .unwrap();
        });
        drop(mux.open("x").unwrap());
        assert_eq!(
            receiver.recv().unwrap(),
            Err(io::ErrorKind::ConnectionReset)
        );
    }

    #[test]
    fn slow_stream_does_not_stall_another() {
        let mux = tunnel(|stream, target| {
            if target == "echo" {
                echo(&stream);
            } else {
                thread::park();
            }
        });
        let stuck = Arc::new(mux.open("never reads").unwrap());
        let writer = Arc::clone(&stuck);
        thread::spawn(move || writer.write(&vec![0; 2 * WINDOW as usize]));
        let other = mux.open("echo").unwrap();
        other.write(b"hello").unwrap();
        other.finish().unwrap();
        let mut answer = Vec::new();
        (&other).read_to_end(&mut answer).unwrap();
        assert_eq!(answer, b"hello");
    }

    #[test]
    fn broken_tunnel_ends_its_streams() {
        let (near, far) = UnixStream::pair().unwrap();
        let mux = Mux::new(near.try_clone().unwrap());
        let stream = mux.open("x").unwrap();
        drop(far);
        mux.serve(near, |_, _| {});
        stream.read(&mut [0; 1]).unwrap_err();
    }

    #[test]
    fn peer_that_ignores_the_window_ends_the_tunnel() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let mux = Mux::new(near.try_clone().unwrap());
        let _stream = mux.open("x").unwrap();
        let flood = thread::spawn(move || {
            for _ in 0..=(WINDOW / 1024) {
                if Frame::write(&mut far, Kind::Data, 1, &[0; 1024]).is_err() {
                    break;
                }
            }
            far.flush().unwrap();
            far
        });
        let error = mux.serve(near, |_, _| {});
        assert!(
            matches!(error, TunnelError::Protocol(Kind::Data)),
            "{error}"
        );
        flood.join().unwrap();
    }
}
