//! The disk for what a container writes: a sparse copy of an empty ext4 filesystem.
//!
//! The template is formatted once; a copy costs only its few written extents (or nothing, where
//! the host's filesystem can share them).

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::process::Command;

use rustix::fs::{SeekFrom, ioctl_ficlone, seek};
use rustix::io::Errno;

use super::VmError;

/// A smaller filesystem has no room for its journal, in bytes.
pub(crate) const LEAST: u64 = 32 << 20;
const CHUNK: usize = 256 << 10;

/// Opens a container's disk, made at its first start: from the template, or for itself.
pub(super) fn open(template: Option<&Path>, bytes: u64, path: &Path) -> Result<File, VmError> {
    if !path.exists() {
        let part = path.with_extension("part");
        let made = match template {
            Some(template) => format_once(template, bytes).and_then(|()| copy(template, &part)),
            None => remove_if_there(&part).and_then(|()| format(&part, bytes)),
        };
        made.inspect_err(|_| {
            // What was copied of it is of no use; the error matters more than a failed removal.
            let _ = fs::remove_file(&part);
        })?;
        fs::rename(&part, path).map_err(VmError::file("make", path))?;
    }
    let open = File::options().read(true).write(true).open(path);
    open.map_err(VmError::file("open", path))
}

fn remove_if_there(path: &Path) -> Result<(), VmError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(VmError::file("remove", path)(e)),
        _ => Ok(()),
    }
}

/// Makes the template unless it is there. Two at once make two and keep one.
fn format_once(template: &Path, bytes: u64) -> Result<(), VmError> {
    if template.exists() {
        return Ok(());
    }
    let folder = template.parent().unwrap_or(Path::new("."));
    let mut name = [0; 8];
    crate::random::fill(&mut name).map_err(VmError::step("get random bytes"))?;
    let part = folder.join(format!("{}.part", hex::encode(name)));
    let made = format(&part, bytes)
        .and_then(|()| fs::rename(&part, template).map_err(VmError::file("make", template)));
    made.inspect_err(|_| {
        // As above.
        let _ = fs::remove_file(&part);
    })
}

fn format(path: &Path, bytes: u64) -> Result<(), VmError> {
    let file = private()
        .create_new(true)
        .open(path)
        .map_err(VmError::file("make", path))?;
    file.set_len(bytes).map_err(VmError::file("size", path))?;
    // A small journal, nothing initialised that can be left for later, no reserved blocks, and
    // the same bytes each time.
    let output = Command::new("mkfs.ext4")
        .args([
            "-q", "-F", "-m", "0", "-b", "4096", "-I", "256", "-J", "size=4",
        ])
        .args(["-O", "^resize_inode,metadata_csum"])
        .args([
            "-E",
            "lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0",
        ])
        .args([
            "-U",
            "48554c4c-0000-4000-8000-000000000001",
            "-L",
            "hull-scratch",
        ])
        .arg(path)
        .env("E2FSPROGS_FAKE_TIME", "1")
        .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
        .output()
        .map_err(VmError::step("run mkfs.ext4 (is e2fsprogs installed?)"))?;
    match output.status.success() {
        true => file.sync_all().map_err(VmError::file("write", path)),
        false => Err(VmError::Format(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        )),
    }
}

/// Shares the extents where that is possible, else copies those that are not holes.
fn copy(from: &Path, to: &Path) -> Result<(), VmError> {
    let source = File::open(from).map_err(VmError::file("open", from))?;
    let target = private()
        .create(true)
        .truncate(true)
        .open(to)
        .map_err(VmError::file("make", to))?;
    if ioctl_ficlone(&target, &source).is_ok() {
        return Ok(());
    }
    copy_extents(&source, &target).map_err(VmError::file("write", to))
}

fn copy_extents(source: &File, target: &File) -> io::Result<()> {
    target.set_len(source.metadata()?.len())?;
    let mut buffer = vec![0; CHUNK];
    let mut at = 0;
    loop {
        let start = match seek(source, SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(Errno::NXIO) => return Ok(()),
            Err(e) => return Err(e.into()),
        };
        let end = seek(source, SeekFrom::Hole(start))?;
        at = start;
        while at < end {
            let want = usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK);
            source.read_exact_at(&mut buffer[..want], at)?;
            target.write_all_at(&buffer[..want], at)?;
            at += want as u64;
        }
    }
}

fn private() -> fs::OpenOptions {
    let mut options = File::options();
    options.read(true).write(true).mode(0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn a_copy_is_the_template_and_stays_sparse() {
        let dir = tempfile::tempdir().unwrap();
        let template = dir.path().join("template");
        let size = 256 << 20;
        let scratch = open(Some(&template), size, &dir.path().join("scratch.img")).unwrap();
        let meta = scratch.metadata().unwrap();
        assert_eq!(meta.len(), size);
        assert!(meta.blocks() * 512 < 8 << 20, "{} blocks", meta.blocks());
        assert_eq!(
            fs::read(&template).unwrap(),
            fs::read(dir.path().join("scratch.img")).unwrap()
        );
        let names = fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(names, 2, "nothing unfinished is left");
    }

    #[test]
    fn what_was_written_is_there_at_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let (template, path) = (dir.path().join("template"), dir.path().join("scratch.img"));
        let first = open(Some(&template), 64 << 20, &path).unwrap();
        first.write_all_at(b"mark", 8 << 20).unwrap();
        let mut found = [0; 4];
        open(Some(&template), 64 << 20, &path)
            .unwrap()
            .read_exact_at(&mut found, 8 << 20)
            .unwrap();
        assert_eq!(&found, b"mark");
    }

    #[test]
    fn a_disk_of_another_size_needs_no_template() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scratch.img");
        // What an attempt that was cut short left.
        fs::write(path.with_extension("part"), "x").unwrap();
        let disk = open(None, LEAST, &path).unwrap();
        assert_eq!(disk.metadata().unwrap().len(), LEAST);
        let mut magic = [0; 2];
        disk.read_exact_at(&mut magic, 1024 + 56).unwrap();
        assert_eq!(magic, [0x53, 0xef], "ext4's own mark");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
