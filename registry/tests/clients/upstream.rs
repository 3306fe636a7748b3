//! An upstream for caches that does what it is told, also what no registry should.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde_json::json;

use crate::served::{OCI_MANIFEST, sha256};

/// How a blob's bytes go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Whole,
    /// Half of them, and no more until the gate is opened.
    Gated,
    /// Half of them, and nothing when asked for more.
    Cut,
    /// Half of them, and the rest when asked for it.
    CutOnce,
    /// With another last byte.
    Wrong,
}

#[derive(Default)]
struct State {
    content: HashMap<String, (String, Vec<u8>)>,
    manner: Option<Manner>,
    down: bool,
    open: bool,
    asked: Vec<String>,
}

/// Listens as long as the test runs.
#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) url: String,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Fake {
    pub(crate) fn start() -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let fake = Fake {
            url: format!("http://{}", listener.local_addr().unwrap()),
            state: Arc::default(),
        };
        let served = fake.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), fake) = (stream, served.clone()) else {
                    return;
                };
                // A client that leaves early is the point of some tests.
                std::thread::spawn(move || fake.answer(&stream).ok());
            }
        });
        fake
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.0.lock().unwrap());
        self.state.1.notify_all();
    }

    pub(crate) fn behave(&self, manner: Manner) {
        self.change(|state| state.manner = Some(manner));
    }

    pub(crate) fn open_gate(&self) {
        self.change(|state| state.open = true);
    }

    /// From now on it breaks every connection, or answers again.
    pub(crate) fn is_down(&self, down: bool) {
        self.change(|state| state.down = down);
    }

    pub(crate) fn forget(&self, path: &str) {
        self.change(|state| {
            state.content.remove(path);
        });
    }

    /// What it was asked, as `GET /v2/…`, except what `/v2/` is.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.state.0.lock().unwrap().asked.clone()
    }

    pub(crate) fn count(&self, line: &str) -> usize {
        self.asked().iter().filter(|asked| *asked == line).count()
    }

    /// Gives an image of one layer; says its manifest's and its layer's digest.
    pub(crate) fn image(&self, name: &str, tag: &str, layer: &[u8]) -> (String, String) {
        let config = br#"{"architecture":"amd64","os":"linux"}"#;
        let manifest = json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": sha256(config), "size": config.len(),
            },
            "layers": [{
                "mediaType": "application/vnd.oci.image.layer.v1.tar",
                "digest": sha256(layer), "size": layer.len(),
            }],
        });
        let manifest = manifest.to_string().into_bytes();
        let (digest, blob) = (sha256(&manifest), sha256(layer));
        self.change(|state| {
            let mut put = |path: String, kind: &str, bytes: &[u8]| {
                state
                    .content
                    .insert(path, (kind.to_owned(), bytes.to_vec()));
            };
            for bytes in [&config[..], layer] {
                let path = format!("/v2/{name}/blobs/{}", sha256(bytes));
                put(path, "application/octet-stream", bytes);
            }
            for version in [tag, &digest] {
                put(
                    format!("/v2/{name}/manifests/{version}"),
                    OCI_MANIFEST,
                    &manifest,
                );
            }
        });
        (digest, blob)
    }

    fn answer(&self, mut stream: &TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while reader.read_line(&mut head)? > 2 {}
        let mut words = head.split_whitespace();
        let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let from = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": bytes=")?;
            let from = value.strip_suffix('-')?.parse::<usize>().ok();
            name.eq_ignore_ascii_case("range").then_some(from)?
        });
        let mut state = self.state.0.lock().unwrap();
        if state.down {
            return Ok(());
        }
        if path == "/v2/" {
            return stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
        }
        state.asked.push(format!("{method} {path}"));
        let Some((kind, mut bytes)) = state.content.get(path).cloned() else {
            return stream.write_all(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
        };
        let manner = match path.contains("/blobs/") {
            true => state.manner.unwrap_or(Manner::Whole),
            false => Manner::Whole,
        };
        drop(state);
        let digest = sha256(&bytes);
        let from = from.unwrap_or(0);
        let status = if from > 0 { "206 Partial" } else { "200 OK" };
        let mut rest = bytes.split_off(from);
        let head = format!(
            "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: {kind}\r\n\
             Docker-Content-Digest: {digest}\r\nContent-Length: {}\r\n\r\n",
            rest.len()
        );
        stream.write_all(head.as_bytes())?;
        if method == "HEAD" {
            return Ok(());
        }
        let half = rest.len() / 2;
        match manner {
            Manner::Whole => stream.write_all(&rest),
            Manner::CutOnce if from > 0 => stream.write_all(&rest),
            Manner::Cut if from > 0 => Ok(()),
            Manner::Cut | Manner::CutOnce => stream.write_all(&rest[..half]),
            Manner::Wrong => {
                let last = rest.len() - 1;
                rest[last] ^= 1;
                stream.write_all(&rest)
            }
            Manner::Gated => {
                stream.write_all(&rest[..half])?;
                let state = self.state.0.lock().unwrap();
                let most = Duration::from_secs(60);
                let opened = self
                    .state
                    .1
                    .wait_timeout_while(state, most, |state| !state.open);
                drop(opened);
                stream.write_all(&rest[half..])
            }
        }
    }
}
