//! Debian's `docker-registry`, for tests: the real thing on a port and in a folder of its own.
//!
//! Other crates' tests include this file, and need not use all of it.
#![allow(dead_code)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Ends with the value.
pub(crate) struct Peer {
    child: Child,
    address: String,
    folder: tempfile::TempDir,
}

/// How it is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    Open,
    /// bob's password is `secret`.
    Password,
    /// With a certificate of an authority of its own: see [`Peer::authority`].
    Tls,
}

impl Peer {
    pub(crate) fn start(guard: Guard) -> Peer {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mut config = serde_json::json!({
            "version": "0.1",
            "log": {"level": "info"},
            "storage": {"filesystem": {"rootdirectory": path("root")}},
            "http": {"addr": "127.0.0.1:0"},
        });
        match guard {
            Guard::Open => {}
            Guard::Password => {
                let users = run(Command::new("htpasswd").args(["-Bbn", "bob", "secret"]));
                fs::write(path("users"), users).unwrap();
                config["auth"]["htpasswd"] =
                    serde_json::json!({"realm": "a realm", "path": path("users")});
            }
            Guard::Tls => {
                certify(folder.path());
                config["http"]["tls"] =
                    serde_json::json!({"certificate": path("peer.crt"), "key": path("peer.key")});
            }
        }
        // YAML takes JSON.
        fs::write(path("config.yml"), config.to_string()).unwrap();
        let mut child = Command::new("docker-registry")
            .arg("serve")
            .arg(path("config.yml"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("Debian's docker-registry is installed");
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = log
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                let (_, rest) = line.split_once("listening on ")?;
                let end = rest.find([',', '"', ' ']).unwrap_or(rest.len());
                Some(rest[..end].to_owned())
            })
            .expect("the registry says where it listens");
        std::thread::spawn(move || log.map_while(Result::ok).for_each(drop));
        Peer {
            child,
            address,
            folder,
        }
    }

    /// `localhost:4711`
    pub(crate) fn host(&self) -> String {
        let (_, port) = self.address.rsplit_once(':').unwrap();
        format!("localhost:{port}")
    }

    /// The certificate of who vouches for it.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.crt")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn certify(folder: &Path) {
    fs::write(
        folder.join("names"),
        "subjectAltName=DNS:localhost,IP:127.0.0.1",
    )
    .unwrap();
    let openssl = |arguments: &str| {
        let arguments = arguments.split_whitespace();
        run(Command::new("openssl").current_dir(folder).args(arguments));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!(
        "req -x509 {key} -keyout authority.key -out authority.crt -days 3650 -subj /CN=authority \
         -addext basicConstraints=critical,CA:TRUE"
    ));
    openssl(&format!(
        "req {key} -keyout peer.key -out peer.csr -subj /CN=peer"
    ));
    openssl(
        "x509 -req -in peer.csr -CA authority.crt -CAkey authority.key -CAcreateserial \
         -out peer.crt -days 3650 -extfile names",
    );
}

fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output().expect("the program is installed");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}
