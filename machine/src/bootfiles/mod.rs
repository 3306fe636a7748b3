//! What the machine boots from: Debian's kernel, unpacked, and an initramfs with all its
//! modules, made once and kept until an input changes.
//!
//! Both are there for speed. Unpacking the kernel, and reading modules through the host's
//! file system, would happen inside the emulation: seconds at every start.

mod cpio;
mod kernel;
mod modules;

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::parts::Parts;

/// What runs first in the machine.
const INIT: &str = include_str!("init.sh");

#[derive(Debug, thiserror::Error)]
pub(crate) enum BootFilesError {
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error("the machine's kernel has no module {0}")]
    Module(&'static str),
    #[error("cannot unpack {path}: {reason}")]
    Unpack { path: PathBuf, reason: String },
}

#[derive(Debug)]
pub(crate) struct BootFiles {
    pub(crate) kernel: PathBuf,
    pub(crate) initramfs: PathBuf,
}

/// Makes the files in `cache`, or finds them there.
pub(crate) fn prepare(parts: &Parts, cache: &Path) -> Result<BootFiles, BootFilesError> {
    let folder = cache.join(format!("{:016x}", inputs(parts)?));
    let files = |folder: &Path| BootFiles {
        kernel: folder.join("vmlinux"),
        initramfs: folder.join("initramfs"),
    };
    if folder.is_dir() {
        return Ok(files(&folder));
    }
    let write = |path: &Path, bytes: &[u8]| {
        fs::write(path, bytes).map_err(|source| BootFilesError::Write {
            path: path.to_owned(),
            source,
        })
    };
    let cannot = |path: &Path| {
        let path = path.to_owned();
        move |source| BootFilesError::Write { path, source }
    };
    // Whole or not there: made aside, then renamed.
    let aside = cache.join(format!("new-{}", std::process::id()));
    fs::create_dir_all(&aside).map_err(cannot(&aside))?;
    let made = files(&aside);
    write(&made.kernel, &kernel::unpacked(&parts.kernel.image)?)?;
    write(&made.initramfs, &initramfs(parts)?)?;
    match fs::rename(&aside, &folder) {
        // Another machine's start has just made them.
        Err(_) if folder.is_dir() => fs::remove_dir_all(&aside).map_err(cannot(&aside))?,
        renamed => renamed.map_err(cannot(&folder))?,
    }
    forget_others(cache, &folder);
    Ok(files(&folder))
}

/// A hash of all that the files are made from.
fn inputs(parts: &Parts) -> Result<u64, BootFilesError> {
    let mut hasher = DefaultHasher::new();
    (env!("CARGO_PKG_VERSION"), INIT, modules::WANTED).hash(&mut hasher);
    let modules = parts.kernel.modules.join("modules.dep");
    for path in [&parts.kernel.image, &parts.busybox, &modules] {
        let read = |source| BootFilesError::Read {
            path: path.clone(),
            source,
        };
        let metadata = fs::metadata(path).map_err(read)?;
        let modified = metadata.modified().map_err(read)?;
        let modified = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        (path, metadata.len(), modified.as_nanos()).hash(&mut hasher);
    }
    Ok(hasher.finish())
}

fn initramfs(parts: &Parts) -> Result<Vec<u8>, BootFilesError> {
    let busybox = fs::read(&parts.busybox).map_err(|source| BootFilesError::Read {
        path: parts.busybox.clone(),
        source,
    })?;
    let mut archive = cpio::Archive::default();
    for folder in ["bin", "dev", "m", "proc", "r", "sys"] {
        archive.folder(folder);
    }
    archive.program("bin/busybox", &busybox);
    archive.program("init", INIT.as_bytes());
    let chains = modules::collect(&parts.kernel.modules, &parts.xz)?;
    for (number, chain) in chains.iter().enumerate() {
        let order: String = chain
            .iter()
            .map(|module| format!("{}\n", module.file))
            .collect();
        archive.program(&format!("m/chain-{number}"), order.as_bytes());
        for module in chain {
            archive.program(&format!("m/{}", module.file), &module.bytes);
        }
    }
    Ok(archive.finish())
}

/// Removes what was made from other inputs. A machine that runs has its files open.
fn forget_others(cache: &Path, keep: &Path) {
    let Ok(entries) = fs::read_dir(cache) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        let unfinished = path
            .file_name()
            .is_some_and(|n| n.to_string_lossy().starts_with("new-"));
        if path != keep && !unfinished {
            // Room is all that a leftover costs.
            let _ = fs::remove_dir_all(path);
        }
    }
}
