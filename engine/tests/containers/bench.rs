//! An engine of a test's own, with an image to run.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use hull_engine::api::*;
use hull_engine::{ContainerId, Engine, EngineError, ImportOptions};
use tempfile::TempDir;

/// How long anything may take on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Folders that outlive engines.
pub(crate) struct Bench {
    pub(crate) dir: TempDir,
}

impl Bench {
    /// Folders, and an engine in them that knows the image `img`.
    pub(crate) async fn new() -> (Self, Engine) {
        let bench = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        for file in ["vmlinux", "initramfs", "kvm"] {
            std::fs::write(bench.dir.path().join(file), b"").unwrap();
        }
        let engine = bench.open().await;
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(2);
        header.set_mode(0o644);
        tar.append_data(&mut header, "file", &b"hi"[..]).unwrap();
        let archive = std::io::Cursor::new(tar.into_inner().unwrap());
        let options = ImportOptions {
            reference: "img".into(),
            changes: vec!["ENV FROM_IMAGE=yes".into(), "LABEL kind=test".into()],
            ..ImportOptions::default()
        };
        engine.images().import(archive, options).await.unwrap();
        (bench, engine)
    }

    pub(crate) fn options(&self) -> Options {
        let dir = self.dir.path();
        let mut options = Options::new(dir.join("data"), dir.join("run"), dir, dir);
        options.vmm = PathBuf::from(env!("CARGO_BIN_EXE_hull-fake-vmm"));
        options.kvm = dir.join("kvm");
        options.cgroup_root = None;
        options.defaults.scratch_bytes = 32 << 20;
        options
    }

    pub(crate) async fn open(&self) -> Engine {
        Engine::open(self.options()).await.unwrap()
    }

    /// Nothing of any VM is left.
    pub(crate) fn assert_no_vm(&self) {
        let left: Vec<_> = std::fs::read_dir(self.dir.path().join("run/vms"))
            .unwrap()
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// A request to run a program of this host.
pub(crate) fn spec(command: &[&str]) -> CreateSpec {
    CreateSpec {
        config: Config {
            image: "img".into(),
            cmd: Some(command.iter().map(|s| (*s).to_owned()).collect()),
            ..Config::default()
        },
        ..CreateSpec::default()
    }
}

pub(crate) fn shell(script: &str) -> CreateSpec {
    spec(&["/bin/sh", "-c", script])
}

/// Does something, then waits for input that never comes; it ends with its VM, however that ends.
pub(crate) fn idle(first: &str) -> CreateSpec {
    let mut spec = shell(&format!("{first} exec cat"));
    spec.config.open_stdin = true;
    spec
}

pub(crate) async fn create(engine: &Engine, spec: CreateSpec) -> ContainerId {
    engine.create(None, spec).await.unwrap().id
}

/// Creates and starts.
pub(crate) async fn run(engine: &Engine, spec: CreateSpec) -> ContainerId {
    let id = create(engine, spec).await;
    soon(engine.start(id.as_str())).await.unwrap();
    id
}

pub(crate) async fn exit_code(engine: &Engine, id: &ContainerId) -> i32 {
    let waiting = engine
        .wait(id.as_str(), WaitCondition::NotRunning)
        .await
        .unwrap();
    soon(waiting.outcome()).await.unwrap().exit_code
}

pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, work).await.expect("in time")
}

pub(crate) fn both() -> LogOptions {
    LogOptions {
        stdout: true,
        stderr: true,
        ..LogOptions::default()
    }
}

/// The lines asked for, each with its stream.
pub(crate) async fn logs(
    engine: &Engine,
    id: &ContainerId,
    options: LogOptions,
) -> Vec<(StdStream, String)> {
    let mut stream = engine.logs(id.as_str(), options).await.unwrap();
    let mut lines = Vec::new();
    while let Some(line) = soon(stream.lines.recv()).await {
        let line = line.unwrap();
        lines.push((line.stream, String::from_utf8(line.bytes.to_vec()).unwrap()));
    }
    lines
}

/// Both streams' text, in the order of the log.
pub(crate) async fn text(engine: &Engine, id: &ContainerId) -> String {
    logs(engine, id, both())
        .await
        .into_iter()
        .map(|(_, line)| line)
        .collect()
}

pub(crate) fn attached(stdin: bool) -> AttachOptions {
    AttachOptions {
        stream: true,
        stdin,
        stdout: true,
        stderr: true,
        ..AttachOptions::default()
    }
}

/// All output until the end.
pub(crate) async fn read_all(attachment: &mut Attachment) -> String {
    let mut bytes = Vec::new();
    while let Some(frame) = soon(attachment.output.recv()).await {
        bytes.extend_from_slice(&frame.bytes);
    }
    String::from_utf8(bytes).unwrap()
}

/// Output until it ends with something.
pub(crate) async fn read_until(attachment: &mut Attachment, end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        let frame = soon(attachment.output.recv()).await.expect("more output");
        text += std::str::from_utf8(&frame.bytes).unwrap();
    }
    text
}

pub(crate) async fn type_in(attachment: &Attachment, text: &str) {
    let stdin = attachment.stdin.as_ref().expect("stdin");
    stdin
        .send(Bytes::copy_from_slice(text.as_bytes()))
        .await
        .unwrap();
}

pub(crate) async fn state(engine: &Engine, id: &ContainerId) -> ContainerState {
    engine.inspect(id.as_str()).await.unwrap().state
}

/// Removes, which waits for the VM to be gone.
pub(crate) async fn remove(engine: &Engine, id: &ContainerId) {
    soon(engine.remove(id.as_str(), RemoveOptions::default()))
        .await
        .unwrap();
}

pub(crate) fn message<T: std::fmt::Debug>(result: Result<T, EngineError>) -> String {
    result.unwrap_err().to_string()
}

/// Looks until there is something.
pub(crate) async fn eventually<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let mut clock = tokio::time::interval(Duration::from_millis(5));
    soon(async {
        loop {
            clock.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    })
    .await
}
