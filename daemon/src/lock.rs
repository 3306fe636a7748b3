//! One daemon for each run directory: a locked file that holds its process id.
//!
//! The kernel drops the lock with the process, however it ends, so a stale file never stands in
//! the way.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// Held while the daemon lives.
#[derive(Debug)]
pub(crate) struct RunLock {
    file: File,
}

/// Why the run directory is not ours.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    #[error("another hulld (process {pid}) uses {dir}: stop it first, or use another --run-dir", dir = dir.display())]
    Held { dir: PathBuf, pid: String },
    #[error("lock {path}: {source}", path = path.display())]
    Io { path: PathBuf, source: io::Error },
}

impl RunLock {
    pub(crate) fn acquire(run_dir: &Path) -> Result<Self, LockError> {
        let path = run_dir.join("hulld.pid");
        let failed = |source| LockError::Io {
            path: path.clone(),
            source,
        };
        let mut open = OpenOptions::new();
        let open = open.read(true).write(true).create(true).truncate(false);
        let mut file = open.open(&path).map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut pid = String::new();
                file.read_to_string(&mut pid).map_err(failed)?;
                return Err(LockError::Held {
                    dir: run_dir.to_owned(),
                    pid: pid.trim().to_owned(),
                });
            }
            Err(e) => return Err(failed(e.into())),
        }
        let mut lock = Self { file };
        lock.write(&format!("{}\n", std::process::id()))
            .map_err(failed)?;
        Ok(lock)
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(text.as_bytes())
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // Only the process id goes: a file that is removed can be locked twice by two daemons.
        let _ = self.write("");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_daemon_is_told_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let first = RunLock::acquire(dir.path()).unwrap();
        let error = RunLock::acquire(dir.path()).unwrap_err().to_string();
        assert!(
            error.contains(&format!("(process {})", std::process::id())),
            "{error}"
        );
        drop(first);
        RunLock::acquire(dir.path()).unwrap();
    }
}
