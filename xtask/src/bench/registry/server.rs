//! The servers that are compared, each alone with an empty folder, and what they take of memory.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// Whose server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    Ours,
    Debian,
}

/// A registry that runs. Ends with the value, with all it kept.
pub(super) struct Server {
    child: Child,
    folder: PathBuf,
    pub(super) address: SocketAddr,
}

/// Memory of a process, in MiB.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory {
    pub(super) now: f64,
    pub(super) peak: f64,
}

impl Server {
    /// `hull` is our command line.
    pub(super) fn start(whose: Whose, hull: &Path, folder: PathBuf) -> Result<Server> {
        fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        let mut command = match whose {
            Whose::Ours => {
                let mut command = Command::new(hull);
                let root = folder.join("root");
                command.args(["registry", "serve", "--listen", "127.0.0.1:0", "--root"]);
                command.arg(root).stderr(Stdio::null());
                command.stdout(Stdio::piped());
                command
            }
            Whose::Debian => {
                let configuration = folder.join("config.yml");
                fs::write(&configuration, debian_configuration(&folder))?;
                let mut command = Command::new("docker-registry");
                command.arg("serve").arg(configuration);
                command.stdout(Stdio::null()).stderr(Stdio::piped());
                command
            }
        };
        let mut child = command.spawn().context("start a registry")?;
        let output: Box<dyn Read + Send> = match (child.stdout.take(), child.stderr.take()) {
            (Some(output), _) => Box::new(output),
            (None, Some(output)) => Box::new(output),
            (None, None) => Box::new(std::io::empty()),
        };
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        let address = lines.find_map(|line| address_in(&line));
        // A full pipe would stop it.
        std::thread::spawn(move || lines.for_each(drop));
        let mut server = Server {
            child,
            folder,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        server.address = address.context("the registry does not say where it listens")?;
        Ok(server)
    }

    pub(super) fn memory(&self) -> Result<Memory> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        let field = |name| mib(&status, name).with_context(|| format!("{path} has no {name}"));
        Ok(Memory {
            now: field("VmRSS:")?,
            peak: field("VmHWM:")?,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("bench: {} stays: {error}", self.folder.display());
        }
    }
}

/// As the package sets it up, but for its folder, its address and a log that costs it nothing.
fn debian_configuration(folder: &Path) -> String {
    format!(
        "version: 0.1\nlog: {{level: info, accesslog: {{disabled: true}}}}\n\
         storage:\n  filesystem: {{rootdirectory: {:?}}}\n  \
         cache: {{blobdescriptor: inmemory}}\n\
         http: {{addr: \"127.0.0.1:0\"}}\n",
        folder.join("root")
    )
}

/// The address in `registry ready: http://127.0.0.1:4711` or `… listening on 127.0.0.1:4711", …`.
fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line
        .split_once("ready: http://")
        .or_else(|| line.split_once("listening on "))?;
    let end = rest.find([',', '"', ' ']).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

fn mib(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_what_servers_say() {
        let expected = Some(SocketAddr::from(([127, 0, 0, 1], 4711)));
        for line in [
            "registry ready: http://127.0.0.1:4711",
            "time=\"x\" level=info msg=\"listening on 127.0.0.1:4711\" go.version=go1.19",
        ] {
            assert_eq!(address_in(line), expected, "{line}");
        }
        assert_eq!(address_in("redis not configured"), None);
    }

    #[test]
    fn memory_is_read_in_mib() {
        let status = "Name:\thull\nVmHWM:\t   20480 kB\nVmRSS:\t    1536 kB\n";
        assert_eq!(mib(status, "VmHWM:"), Some(20.0));
        assert_eq!(mib(status, "VmRSS:"), Some(1.5));
        assert_eq!(mib(status, "VmSwap:"), None);
    }
}
