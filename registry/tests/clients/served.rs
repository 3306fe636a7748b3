//! A registry as a configuration makes it, and the programs that ask it.

use std::path::{Path, PathBuf};
use std::process::Command;

use hull_images::{Options, Store};
use hull_registry::{Service, config::Config};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

pub(crate) struct Served {
    pub(crate) folder: TempDir,
    /// Host and port.
    pub(crate) address: String,
    pub(crate) store: Store,
    service: Option<Service>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Served {
    pub(crate) fn open() -> Served {
        Served::with("")
    }

    /// With a configuration; `@/` in it is a folder for its files, which has `htpasswd`:
    /// ann, bob and cid, whose passwords are their names backwards.
    pub(crate) fn with(config: &str) -> Served {
        Served::prepared(config, |_| {})
    }

    pub(crate) fn prepared(config: &str, prepare: impl FnOnce(&Path)) -> Served {
        let folder = tempfile::tempdir().unwrap();
        let users = ["ann:nna", "bob:bob", "cid:dic"].map(|user| {
            let (name, password) = user.split_once(':').unwrap();
            format!("{name}:{}\n", bcrypt::hash(password, 4).unwrap())
        });
        std::fs::write(folder.path().join("htpasswd"), users.concat()).unwrap();
        prepare(folder.path());
        let config = config.replace("@/", &format!("{}/", folder.path().display()));
        let mut config: Config = toml::from_str(&config).unwrap();
        config.listen = Some("127.0.0.1:0".parse().unwrap());
        let store = Store::open(&folder.path().join("root"), Options::default()).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let service = runtime.block_on(Service::start(&store, &config)).unwrap();
        let address = match service.is_secure() {
            true => format!("localhost:{}", service.address().port()),
            false => service.address().to_string(),
        };
        Served {
            folder,
            address,
            store,
            service: Some(service),
            runtime: Some(runtime),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Asks by curl. Further arguments come before the address.
    pub(crate) fn curl(&self, path: &str, arguments: &[&str]) -> Response {
        self.curl_at("http", path, arguments)
    }

    pub(crate) fn curl_at(&self, scheme: &str, path: &str, arguments: &[&str]) -> Response {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--include", "--max-time", "20"])
            .args(["--header", "Expect:", "--noproxy", "*"])
            .args(arguments)
            .arg(format!("{scheme}://{}{path}", self.address))
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "curl {path}: {error}");
        let split = output
            .stdout
            .windows(4)
            .position(|four| four == b"\r\n\r\n");
        let (head, body) = output.stdout.split_at(split.unwrap());
        let head = String::from_utf8(head.to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Response {
            status,
            head,
            body: body[4..].to_vec(),
        }
    }

    /// Pushes an image of one true layer; says its digest.
    pub(crate) fn push(&self, name: &str, tag: &str, auth: &[&str]) -> String {
        let tree = self.path("tree");
        std::fs::create_dir_all(&tree).unwrap();
        std::fs::write(tree.join("hello"), format!("{name}:{tag}")).unwrap();
        let script = "tar -C tree -cf layer.tar hello && gzip -n -k -f layer.tar";
        run(Command::new("sh")
            .args(["-c", script])
            .current_dir(self.folder.path()));
        let tar = std::fs::read(self.path("layer.tar")).unwrap();
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh"]},
            "rootfs": {"type": "layers", "diff_ids": [sha256(&tar)]},
        });
        std::fs::write(self.path("config"), config.to_string()).unwrap();
        let describe = |file: &str, kind: &str| -> Value {
            let bytes = std::fs::read(self.path(file)).unwrap();
            let digest = sha256(&bytes);
            let path = format!("/v2/{name}/blobs/uploads/?digest={digest}");
            let data = format!("@{}", self.path(file).display());
            let response = self.send(&path, "POST", &data, auth);
            assert_eq!(response.status, 201, "{response:?}");
            json!({
                "mediaType": format!("application/vnd.oci.image.{kind}"),
                "digest": digest, "size": bytes.len(),
            })
        };
        let manifest = json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": describe("config", "config.v1+json"),
            "layers": [describe("layer.tar.gz", "layer.v1.tar+gzip")],
        });
        let path = format!("/v2/{name}/manifests/{tag}");
        let mut arguments = vec![
            "--header",
            "Content-Type: application/vnd.oci.image.manifest.v1+json",
        ];
        arguments.extend(auth);
        let response = self.send(&path, "PUT", &manifest.to_string(), &arguments);
        assert_eq!(response.status, 201, "{response:?}");
        sha256(manifest.to_string().as_bytes())
    }

    pub(crate) fn send(&self, path: &str, method: &str, data: &str, more: &[&str]) -> Response {
        let mut arguments = vec!["--request", method, "--data-binary", data];
        arguments.extend(more);
        self.curl(path, &arguments)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let (Some(runtime), Some(service)) = (self.runtime.take(), self.service.take()) {
            runtime.block_on(service.stop()).unwrap();
        }
    }
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn has_header(&self, line: &str) {
        assert!(
            self.head.lines().any(|found| found == line),
            "{line} in {}",
            self.head
        );
    }

    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert!(
            self.text().contains(&format!("\"code\":\"{code}\"")),
            "{self:?}"
        );
    }
}

/// Runs a program that must succeed; says what it printed.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}
