//! The container's files: a folder beside its disk, archived by this host's `tar`.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hull_protocol::agent::{AgentError, ErrorKind};
use hull_protocol::files::{Change, ChangeKind, Closed, Open, Opened, PathStat};
use hull_protocol::frame;

use crate::process::fault;

/// Where the files of the container with this disk are.
pub(crate) fn root(disk: i32) -> PathBuf {
    let disk = fs::read_link(format!("/proc/self/fd/{disk}")).expect("an open disk");
    let root = disk.with_file_name("fake-root");
    fs::create_dir_all(&root).expect("made");
    root
}

/// Serves one connection.
pub(crate) fn serve(root: &Path, mut stream: UnixStream) {
    let Ok(open) = frame::read::<Open>(&mut stream) else {
        return;
    };
    let at = |path: &str| root.join(path.trim_start_matches('/'));
    // A broken connection ends it: the engine may have gone.
    let _ = match &open {
        Open::Stat { path } => frame::write(&mut stream, &stat(&at(path)).map(Some)),
        Open::Read { path } => {
            let place = at(path);
            let opened = stat(&place).map(Some);
            let name = place.file_name().unwrap_or_default().to_owned();
            let parent = place.parent().unwrap_or(root).to_owned();
            archive(&mut stream, &opened, &parent, Path::new(&name))
        }
        Open::Export | Open::Layer { .. } => archive(&mut stream, &Ok(None), root, Path::new(".")),
        Open::Changes => changes(&mut stream, root),
        Open::Write { path, .. } => write(&mut stream, &at(path)),
    };
}

fn stat(path: &Path) -> Result<PathStat, AgentError> {
    let missing = |_| fault(ErrorKind::NoSuchPath, "no such file or directory");
    let metadata = fs::symlink_metadata(path).map_err(missing)?;
    Ok(PathStat {
        name: path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        size: metadata.size(),
        mode: metadata.mode(),
        mtime: metadata.mtime() * 1_000_000_000,
        link_target: String::new(),
    })
}

fn archive(
    stream: &mut UnixStream,
    opened: &Opened,
    folder: &Path,
    what: &Path,
) -> std::io::Result<()> {
    frame::write(stream, opened)?;
    if opened.is_err() {
        return Ok(());
    }
    let output = Command::new("tar")
        .arg("-C")
        .arg(folder)
        .arg("-c")
        .arg(what)
        .output()?;
    send(stream, &output.stdout)
}

fn changes(stream: &mut UnixStream, root: &Path) -> std::io::Result<()> {
    frame::write(stream, &Opened::Ok(None))?;
    let mut wire = Vec::new();
    for entry in fs::read_dir(root)?.flatten() {
        let change = Change {
            kind: ChangeKind::Added,
            path: [b"/", entry.file_name().as_bytes()].concat(),
        };
        change.encode(&mut wire);
    }
    send(stream, &wire)
}

fn send(stream: &mut UnixStream, bytes: &[u8]) -> std::io::Result<()> {
    for chunk in bytes.chunks(1000) {
        stream.write_all(&u32::try_from(chunk.len()).expect("short").to_le_bytes())?;
        stream.write_all(chunk)?;
    }
    stream.write_all(&[0; 4])?;
    frame::write(stream, &Closed::Ok(()))
}

fn write(stream: &mut UnixStream, folder: &Path) -> std::io::Result<()> {
    let opened: Opened = match folder.is_dir() {
        true => Ok(None),
        false => Err(fault(ErrorKind::NoSuchPath, "no such file or directory")),
    };
    frame::write(stream, &opened)?;
    if opened.is_err() {
        return Ok(());
    }
    let mut tar = Command::new("tar");
    let mut tar = tar
        .arg("-C")
        .arg(folder)
        .arg("-x")
        .stdin(Stdio::piped())
        .spawn()?;
    let mut input = tar.stdin.take().expect("piped");
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut chunk = vec![0; u32::from_le_bytes(length) as usize];
        if chunk.is_empty() {
            break;
        }
        stream.read_exact(&mut chunk)?;
        // It ends at the archive's end, which may be before the last chunk.
        let _ = input.write_all(&chunk);
    }
    drop(input);
    let closed: Closed = match tar.wait()?.success() {
        true => Ok(()),
        false => Err(fault(ErrorKind::BadArchive, "unexpected EOF")),
    };
    frame::write(stream, &closed)
}
