//! A registry in this process, and a client of which every byte is known.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use hull_images::{Options, Store};
use hull_registry::{Connections, Limits, Listening, Registry, serve};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256, Sha512};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) store: Store,
    stop: CancellationToken,
    runtime: Option<tokio::runtime::Runtime>,
    serving: Option<tokio::task::JoinHandle<()>>,
    _folder: TempDir,
}

impl Server {
    pub(crate) fn start() -> Server {
        let limits = Limits {
            patience: Duration::from_millis(500),
            ..Limits::default()
        };
        Server::with(limits, Connections::default())
    }

    pub(crate) fn with(limits: Limits, connections: Connections) -> Server {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Options::default()).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let registry = Registry::new(&store, limits);
        let listening = Listening::plain(listener);
        let serving = runtime.spawn(serve(registry, listening, connections, stop.clone()));
        Server {
            address,
            store,
            stop,
            runtime: Some(runtime),
            serving: Some(serving),
            _folder: folder,
        }
    }

    /// Ends it as a signal does.
    pub(crate) fn stop(&mut self) {
        self.stop.cancel();
        if let (Some(runtime), Some(serving)) = (&self.runtime, self.serving.take()) {
            runtime.block_on(serving).unwrap();
        }
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        self.ask("GET", path, &[], b"")
    }

    pub(crate) fn head(&self, path: &str) -> Response {
        self.ask("HEAD", path, &[], b"")
    }

    pub(crate) fn delete(&self, path: &str) -> Response {
        self.ask("DELETE", path, &[], b"")
    }

    pub(crate) fn post(&self, path: &str) -> Response {
        self.ask("POST", path, &[], b"")
    }

    pub(crate) fn put(&self, path: &str, media_type: &str, body: &[u8]) -> Response {
        self.ask("PUT", path, &[("Content-Type", media_type)], body)
    }

    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH") {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let mut request = head.into_bytes();
        request.extend_from_slice(body);
        let mut connection = self.connect();
        connection.write_all(&request).unwrap();
        read(&mut connection, method == "HEAD")
    }

    /// Sends a body without saying how long it is, as Docker does.
    pub(crate) fn stream(&self, method: &str, path: &str, pieces: &[&[u8]]) -> Response {
        let mut connection = self.connect();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        connection.write_all(head.as_bytes()).unwrap();
        for piece in pieces {
            let size = format!("{:x}\r\n", piece.len());
            connection.write_all(size.as_bytes()).unwrap();
            connection.write_all(piece).unwrap();
            connection.write_all(b"\r\n").unwrap();
        }
        connection.write_all(b"0\r\n\r\n").unwrap();
        read(&mut connection, false)
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let connection = TcpStream::connect(self.address).unwrap();
        let limit = Some(Duration::from_secs(20));
        connection.set_read_timeout(limit).unwrap();
        connection
    }

    /// Starts an upload and says where it goes on.
    pub(crate) fn begin(&self, name: &str) -> String {
        let response = self.post(&format!("/v2/{name}/blobs/uploads/"));
        assert_eq!(response.status, 202);
        response.header("location").to_owned()
    }

    pub(crate) fn push_blob(&self, name: &str, blob: &[u8]) -> String {
        let digest = sha256(blob);
        let path = format!("/v2/{name}/blobs/uploads/?digest={digest}");
        let response = self.put_like("POST", &path, blob);
        assert_eq!(response.status, 201, "{response:?}");
        digest
    }

    fn put_like(&self, method: &str, path: &str, body: &[u8]) -> Response {
        self.ask(
            method,
            path,
            &[("Content-Type", "application/octet-stream")],
            body,
        )
    }

    /// Pushes an image of one layer. Says its digest and bytes.
    pub(crate) fn push_image(&self, name: &str, reference: &str, layer: &[u8]) -> Pushed {
        let manifest = self.image(name, layer);
        self.push_manifest(name, reference, OCI_MANIFEST, &manifest)
    }

    /// A manifest of which the blobs are there.
    pub(crate) fn image(&self, name: &str, layer: &[u8]) -> Value {
        let config = br#"{"architecture":"amd64","os":"linux"}"#;
        json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": self.push_blob(name, config), "size": config.len(),
            },
            "layers": [{
                "mediaType": "application/vnd.oci.image.layer.v1.tar",
                "digest": self.push_blob(name, layer), "size": layer.len(),
            }],
        })
    }

    pub(crate) fn push_manifest(
        &self,
        name: &str,
        reference: &str,
        media_type: &str,
        manifest: &Value,
    ) -> Pushed {
        let bytes = manifest.to_string().into_bytes();
        let path = format!("/v2/{name}/manifests/{reference}");
        let response = self.put(&path, media_type, &bytes);
        assert_eq!(response.status, 201, "{response:?}");
        let digest = sha256(&bytes);
        Pushed {
            digest,
            bytes,
            response,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

pub(crate) struct Pushed {
    pub(crate) digest: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) response: Response,
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// A header that must be there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.maybe(name)
            .unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    pub(crate) fn maybe(&self, name: &str) -> Option<&str> {
        let named = self.headers.iter().find(|(key, _)| key == name);
        named.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Refused with that status and code, in the specification's form.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        let body = self.json();
        let errors = body["errors"].as_array().expect("a list of errors");
        assert_eq!(errors[0]["code"], code, "{body}");
        assert!(errors[0]["message"].is_string(), "{body}");
    }
}

/// Reads one answer, to the end of the connection.
pub(crate) fn read(connection: &mut TcpStream, is_head: bool) -> Response {
    let mut bytes = Vec::new();
    connection.read_to_end(&mut bytes).unwrap();
    let mut rest = &bytes[..];
    loop {
        let end = rest.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(rest)));
        let head = std::str::from_utf8(&rest[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let status: u16 = status.parse().unwrap();
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_ascii_lowercase(), value.to_owned())
        });
        let headers: Vec<_> = headers.collect();
        rest = &rest[end + 4..];
        if status == 100 {
            continue;
        }
        let response = Response {
            status,
            headers,
            body: rest.to_vec(),
        };
        match is_head {
            true => assert!(rest.is_empty(), "{response:?}"),
            false => {
                let length = response.maybe("content-length").unwrap_or("0");
                assert_eq!(length, rest.len().to_string(), "{response:?}");
            }
        }
        return response;
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

pub(crate) fn sha512(bytes: &[u8]) -> String {
    format!("sha512:{}", hex::encode(Sha512::digest(bytes)))
}

/// Bytes that look like no others.
pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(step).collect()
}
