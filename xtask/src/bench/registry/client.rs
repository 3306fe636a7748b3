//! Our client beside skopeo and buildah, on Debian's registry. Skopeo's pull only fetches blobs;
//! ours, as buildah's, unpacks them too. Theirs sync nothing; ours ends when all is on the disk.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};

use super::content::Content;
use super::server::{Server, Whose};
use super::{Removed, compared};
use crate::bench::Figure;
use crate::process::{command, read, run};

/// The seconds of each, round by round.
#[derive(Default)]
pub(super) struct Clients {
    our_pull: Vec<f64>,
    skopeo_pull: Vec<f64>,
    buildah_pull: Vec<f64>,
    our_push: Vec<f64>,
    skopeo_push: Vec<f64>,
}

impl Clients {
    pub(super) fn round(&mut self, program: &Path, content: &Content, folder: &Path) -> Result<()> {
        let start = |name: &str| Server::start(Whose::Debian, Path::new("hull"), folder.join(name));
        let server = start("from")?;
        let image = format!("oci:{}:1", content.image.display());
        let name = format!("{}/bench/client:1", server.address);
        let remote = format!("docker://{name}");
        self.skopeo_push.push(skopeo(&image, &remote)?);
        let out = Removed::make(&folder.join("skopeo"))?;
        let to = format!("oci:{}:1", out.0.display());
        self.skopeo_pull.push(skopeo(&remote, &to)?);
        drop(out);
        self.buildah_pull.push(buildah(&remote, folder)?);
        let out = Removed::make(&folder.join("ours"))?;
        let store = out.0.to_string_lossy().into_owned();
        self.our_pull.push(ours(program, &["pull", &store, &name])?);
        drop(server);
        let server = start("to")?;
        let other = format!("{}/bench/client:1", server.address);
        let time = ours(program, &["push", &store, &name, &other])?;
        self.our_push.push(time);
        let last = |seconds: &[f64]| seconds.last().copied().unwrap_or(f64::NAN);
        eprintln!(
            "bench: pull: ours {:.2} s, skopeo {:.2} s, buildah {:.2} s; push: ours {:.2} s, skopeo {:.2} s",
            last(&self.our_pull),
            last(&self.skopeo_pull),
            last(&self.buildah_pull),
            last(&self.our_push),
            last(&self.skopeo_push)
        );
        Ok(())
    }

    pub(super) fn figures(&self) -> [Figure; 3] {
        [
            compared(
                "our push against skopeo's",
                1.0,
                ("skopeo", &self.our_push, &self.skopeo_push),
            ),
            compared(
                "our pull, which unpacks, against skopeo's, which does not",
                1.0,
                ("skopeo", &self.our_pull, &self.skopeo_pull),
            ),
            compared(
                "our pull against buildah's, which unpack both",
                1.0,
                ("buildah", &self.our_pull, &self.buildah_pull),
            ),
        ]
    }
}

pub(super) fn skopeo(from: &str, to: &str) -> Result<f64> {
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["copy", "--quiet", "--preserve-digests"]);
    skopeo.args(["--src-tls-verify=false", "--dest-tls-verify=false"]);
    time(skopeo.args([from, to]))
}

fn buildah(remote: &str, folder: &Path) -> Result<f64> {
    let storage = Removed::make(&folder.join("buildah"))?;
    let mut buildah = Command::new("buildah");
    buildah.arg("--root").arg(storage.0.join("root"));
    buildah.arg("--runroot").arg(storage.0.join("run"));
    buildah.args(["--storage-driver", "overlay"]);
    time(buildah.args(["pull", "--quiet", "--tls-verify=false", remote]))
}

fn ours(program: &Path, arguments: &[&str]) -> Result<f64> {
    let seconds = read(&mut command(program, arguments))?;
    seconds.parse().context("seconds that the client tells")
}

fn time(command: &mut Command) -> Result<f64> {
    let begun = Instant::now();
    run(command.stdout(Stdio::null()))?;
    Ok(begun.elapsed().as_secs_f64())
}

/// Unpacks what this system has of libraries, with our program and with GNU tar.
#[derive(Default)]
pub(super) struct Unpacking {
    ours: Vec<f64>,
    tar: Vec<f64>,
}

impl Unpacking {
    const SOURCE: &str = "/usr/lib/x86_64-linux-gnu";

    /// The layer to unpack.
    pub(super) fn archive(folder: &Path) -> Result<PathBuf> {
        let archive = folder.join("libraries.tar.gz");
        let script = "tar -C \"$1\" -cf - . | gzip -1 > \"$2\"";
        let mut shell = command("sh", ["-c", script, "sh", Self::SOURCE]);
        run(shell.arg(&archive))?;
        Ok(archive)
    }

    pub(super) fn round(&mut self, program: &Path, archive: &Path, folder: &Path) -> Result<()> {
        let out = Removed::make(&folder.join("unpacked"))?;
        let mut ours = command(program, [archive]);
        self.ours.push(time(ours.arg(out.0.join("layer")))?);
        let mut tar = command("tar", ["-xzf"]);
        self.tar.push(time(tar.arg(archive).arg("-C").arg(&out.0))?);
        Ok(())
    }

    pub(super) fn figure(&self) -> Figure {
        compared(
            "unpacking this system's libraries, gzipped",
            1.0,
            ("tar -xzf", &self.ours, &self.tar),
        )
    }
}
