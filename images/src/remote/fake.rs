//! A registry for tests that does what it is told, also what no registry should.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Cancel, Patience, Remote, RemoteOptions};
use crate::digest::Digest;
use crate::samples::{SampleImage, gzip};

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// With its query.
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// `GET /v2/`
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Say {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    end: End,
}

#[derive(Debug, Clone, Copy)]
enum End {
    Whole,
    /// The connection ends after that much of the body.
    Cut(usize),
    /// The body never ends.
    Endless,
    /// Nothing more comes, and the connection stays.
    Stall,
}

impl Say {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Say {
        Say {
            status,
            headers: Vec::new(),
            body: body.into(),
            end: End::Whole,
        }
    }

    pub(crate) fn error(status: u16, code: &str, message: &str) -> Say {
        let body = json!({"errors": [{"code": code, "message": message}]});
        Say::new(status, body.to_string())
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Say {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn cut(self, after: usize) -> Say {
        let end = End::Cut(after);
        Say { end, ..self }
    }

    pub(crate) fn endless(self) -> Say {
        let end = End::Endless;
        Say { end, ..self }
    }

    pub(crate) fn stall(self) -> Say {
        let end = End::Stall;
        Say { end, ..self }
    }
}

/// Listens as long as the test runs.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Fake {
    pub(crate) fn start(answer: impl Fn(&Seen) -> Say + Send + Sync + 'static) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answer, log) = (Arc::new(answer), seen.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), answer, log) = (stream, answer.clone(), log.clone()) else {
                    return;
                };
                std::thread::spawn(move || {
                    let Some(request) = read(&stream) else { return };
                    log.lock().unwrap().push(request.clone());
                    // A client that leaves early is the point of some tests.
                    let _gone = write(&stream, &request, &answer(&request));
                });
            }
        });
        Fake { address, seen }
    }

    /// `127.0.0.1:4711`
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen().iter().map(Seen::line).collect()
    }
}

fn read(stream: &TcpStream) -> Option<Seen> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    // A client's first words on TLS are no request.
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").and_then(|n| n.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some(Seen {
        method,
        path,
        headers,
        body,
    })
}

fn write(mut stream: &TcpStream, request: &Seen, say: &Say) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} Told\r\nConnection: close\r\n", say.status);
    for (name, value) in &say.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    match say.end {
        End::Endless => {}
        _ => head.push_str(&format!("Content-Length: {}\r\n", say.body.len())),
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    if request.method == "HEAD" {
        return Ok(());
    }
    match say.end {
        End::Whole => stream.write_all(&say.body),
        End::Cut(after) => stream.write_all(&say.body[..after]),
        End::Endless => loop {
            stream.write_all(&[b'x'; 64 << 10])?;
        },
        End::Stall => {
            stream.write_all(&say.body[..say.body.len() / 2])?;
            // Until the client goes.
            let _rest = stream.read(&mut [0])?;
            Ok(())
        }
    }
}

/// What a registry has: by path, media type and bytes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shelf(HashMap<String, (String, Vec<u8>)>);

impl Shelf {
    /// Puts an image there; gives its manifest's descriptor.
    pub(crate) fn image(&mut self, repository: &str, image: &SampleImage) -> Value {
        let config = image.config_bytes();
        let oci = |kind: &str| format!("application/vnd.oci.image.{kind}");
        let mut layers = Vec::new();
        for layer in &image.layers {
            let blob = gzip(layer);
            layers.push(json!({
                "mediaType": oci("layer.v1.tar+gzip"),
                "digest": Digest::of(&blob), "size": blob.len(),
            }));
            self.blob(repository, blob);
        }
        let manifest = json!({
            "schemaVersion": 2, "mediaType": oci("manifest.v1+json"),
            "config": {
                "mediaType": oci("config.v1+json"),
                "digest": Digest::of(&config), "size": config.len(),
            },
            "layers": layers,
        });
        self.blob(repository, config);
        self.manifest(repository, None, &manifest)
    }

    pub(crate) fn blob(&mut self, repository: &str, bytes: Vec<u8>) {
        let path = format!("/v2/{repository}/blobs/{}", Digest::of(&bytes));
        let kind = "application/octet-stream".to_owned();
        self.0.insert(path, (kind, bytes));
    }

    /// Under its digest, and under a tag.
    pub(crate) fn manifest(&mut self, repository: &str, tag: Option<&str>, json: &Value) -> Value {
        let bytes = json.to_string().into_bytes();
        let kind = json["mediaType"].as_str().unwrap_or_default().to_owned();
        let digest = Digest::of(&bytes);
        let descriptor = json!({"mediaType": kind, "digest": digest, "size": bytes.len()});
        let versions = [Some(digest.to_string()), tag.map(str::to_owned)];
        for version in versions.into_iter().flatten() {
            let path = format!("/v2/{repository}/manifests/{version}");
            self.0.insert(path, (kind.clone(), bytes.clone()));
        }
        descriptor
    }

    /// Gives a manifest that is there a tag.
    pub(crate) fn tag(&mut self, repository: &str, tag: &str, descriptor: &Value) {
        let digest = descriptor["digest"].as_str().unwrap();
        let from = format!("/v2/{repository}/manifests/{digest}");
        let found = self.0[&from].clone();
        self.0
            .insert(format!("/v2/{repository}/manifests/{tag}"), found);
    }

    /// What a good registry answers.
    pub(crate) fn answer(&self, seen: &Seen) -> Say {
        if seen.path == "/v2/" {
            return Say::new(200, "{}");
        }
        let path = seen.path.split('?').next().unwrap();
        let Some((kind, bytes)) = self.0.get(path) else {
            return match path.contains("/blobs/") {
                true => Say::error(404, "BLOB_UNKNOWN", "blob unknown to registry"),
                false => Say::error(404, "MANIFEST_UNKNOWN", "manifest unknown"),
            };
        };
        let digest = Digest::of(bytes).to_string();
        let from = seen.header("range").strip_prefix("bytes=");
        let from = from.and_then(|range| range.strip_suffix('-'));
        match from.and_then(|from| from.parse::<usize>().ok()) {
            Some(from) => Say::new(206, &bytes[from..]),
            None => Say::new(200, bytes.clone()),
        }
        .with("Content-Type", kind)
        .with("Docker-Content-Digest", digest)
    }
}

/// A client that does not wait long.
pub(crate) fn hasty() -> Remote {
    hasty_with(RemoteOptions::default())
}

pub(crate) fn hasty_with(options: RemoteOptions) -> Remote {
    Remote::new(RemoteOptions {
        certificates: match options.certificates == RemoteOptions::default().certificates {
            true => Vec::new(),
            false => options.certificates,
        },
        proxies: false,
        patience: Patience {
            connect: Duration::from_secs(20),
            idle: Duration::from_secs(20),
            answer: Duration::from_secs(20),
            attempts: 3,
            backoff: Duration::from_millis(1),
            longest: Duration::from_secs(5),
        },
        ..options
    })
}

pub(crate) fn uncancelled() -> Cancel {
    Cancel::default()
}
