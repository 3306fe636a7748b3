//! As much of an HTTP/1.1 client as it takes to load a registry: one connection that stays, plain
//! requests, bodies that are thrown away. The same for every server, and cheaper than any.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result, bail};

/// A connection that is asked one thing after the other.
pub(super) struct Connection {
    stream: BufReader<TcpStream>,
    address: SocketAddr,
    sink: Vec<u8>,
}

/// An answer, its body read and gone.
pub(super) struct Answer {
    pub(super) status: u16,
    /// Path and query of where it points.
    pub(super) location: Option<String>,
    pub(super) length: u64,
}

impl Connection {
    pub(super) fn open(address: SocketAddr) -> Result<Connection> {
        let stream = TcpStream::connect(address).with_context(|| format!("connect {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Connection {
            stream: BufReader::with_capacity(16 << 10, stream),
            address,
            sink: vec![0; 256 << 10],
        })
    }

    pub(super) fn ask(&mut self, method: &str, path: &str) -> Result<Answer> {
        self.send(method, path, "", &mut std::io::empty(), 0)
    }

    /// Sends `length` bytes of `body`.
    pub(super) fn send(
        &mut self,
        method: &str,
        path: &str,
        media_type: &str,
        body: &mut impl Read,
        length: u64,
    ) -> Result<Answer> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        if !media_type.is_empty() {
            head.push_str(&format!("Content-Type: {media_type}\r\n"));
        }
        head.push_str("Accept: application/vnd.oci.image.manifest.v1+json, */*\r\n");
        if method != "GET" && method != "HEAD" {
            head.push_str(&format!("Content-Length: {length}\r\n"));
        }
        head.push_str("\r\n");
        let mut stream = self.stream.get_ref();
        let mut head = head.into_bytes();
        // What is small goes in one packet with its head.
        let body = &mut body.take(length);
        if length <= 64 << 10 {
            body.read_to_end(&mut head)?;
        }
        stream.write_all(&head)?;
        std::io::copy(body, &mut stream)?;
        self.answer(method)
    }

    fn answer(&mut self, method: &str) -> Result<Answer> {
        let mut line = String::new();
        self.line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|word| word.parse().ok());
        let mut answer = Answer {
            status: status.with_context(|| format!("not an answer: {line:?}"))?,
            location: None,
            length: 0,
        };
        loop {
            self.line(&mut line)?;
            if line.is_empty() {
                break;
            }
            let Some((name, value)) = line.split_once(':') else {
                bail!("not a header: {line:?}");
            };
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => answer.length = value.parse().context("content length")?,
                "location" => answer.location = Some(path_of(value).to_owned()),
                "transfer-encoding" => bail!("an answer in chunks"),
                _ => {}
            }
        }
        if method != "HEAD" {
            self.skip(answer.length)?;
        }
        Ok(answer)
    }

    fn line(&mut self, line: &mut String) -> Result<()> {
        line.clear();
        if self.stream.read_line(line)? == 0 {
            bail!("the server closed the connection");
        }
        line.truncate(line.trim_end().len());
        Ok(())
    }

    fn skip(&mut self, mut length: u64) -> Result<()> {
        while length > 0 {
            let most = usize::try_from(length).unwrap_or(usize::MAX);
            let most = most.min(self.sink.len());
            let count = self.stream.read(&mut self.sink[..most])?;
            if count == 0 {
                bail!("the body ends early");
            }
            length -= count as u64;
        }
        Ok(())
    }
}

/// What of a location is asked for on the same connection.
fn path_of(location: &str) -> &str {
    let Some((_, rest)) = location.split_once("://") else {
        return location;
    };
    rest.find('/').map_or("/", |slash| &rest[slash..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_asked_for_on_the_same_connection() {
        assert_eq!(path_of("/v2/a?b=c"), "/v2/a?b=c");
        assert_eq!(path_of("http://127.0.0.1:5000/v2/a?b=c"), "/v2/a?b=c");
        assert_eq!(path_of("http://host"), "/");
    }

    #[test]
    fn answers_are_read_one_after_the_other() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let mut said = Vec::new();
            for answer in [
                "HTTP/1.1 202 Accepted\r\nLocation: http://x/up\r\nContent-Length: 3\r\n\r\nabc",
                "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n",
                "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            ] {
                let count = stream.read(&mut request).unwrap();
                said.push(String::from_utf8_lossy(&request[..count]).into_owned());
                stream.write_all(answer.as_bytes()).unwrap();
            }
            said
        });
        let mut connection = Connection::open(address).unwrap();
        let first = connection.send("POST", "/a", "text/x", &mut &b"body"[..], 4);
        let first = first.unwrap();
        assert_eq!((first.status, first.length), (202, 3));
        assert_eq!(first.location.as_deref(), Some("/up"));
        let head = connection.ask("HEAD", "/b").unwrap();
        assert_eq!((head.status, head.length), (200, 99));
        assert_eq!(connection.ask("GET", "/c").unwrap().status, 404);
        let said = server.join().unwrap();
        assert!(said[0].starts_with("POST /a HTTP/1.1\r\n") && said[0].ends_with("\r\n\r\nbody"));
        assert!(said[0].contains("Content-Length: 4\r\n"), "{}", said[0]);
    }
}
