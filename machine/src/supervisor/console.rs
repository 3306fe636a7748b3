//! The machine's console, kept in a file that does not grow without end.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;

/// Then the file becomes `.old`, in place of the one before.
const LIMIT: usize = 1 << 20;

/// How much of it belongs below an error message.
const TAIL_LINES: usize = 25;

/// Copies `console` to the file at `path` on a thread of its own.
pub(super) fn keep(mut console: impl Read + Send + 'static, path: &Path) -> io::Result<()> {
    let mut log = Log::create(path.to_owned())?;
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        // A disk that is full costs the log, not the machine: go on reading.
        while let Ok(count @ 1..) = console.read(&mut buffer) {
            let _ = log.add(&buffer[..count]);
        }
    });
    Ok(())
}

/// The last lines, for an error message.
pub(super) fn tail(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

struct Log {
    path: PathBuf,
    file: File,
    size: usize,
}

impl Log {
    fn create(path: PathBuf) -> io::Result<Self> {
        Ok(Self {
            file: File::create(&path)?,
            path,
            size: 0,
        })
    }

    fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.size + bytes.len() > LIMIT {
            fs::rename(&self.path, self.path.with_extension("log.old"))?;
            self.file = File::create(&self.path)?;
            self.size = 0;
        }
        self.size += bytes.len();
        self.file.write_all(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_is_bounded_and_keeps_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("console.log");
        let mut log = Log::create(path.clone()).unwrap();
        for number in 0..3000 {
            log.add(format!("{number:01023}\n").as_bytes()).unwrap();
        }
        let sizes: u64 = fs::read_dir(folder.path())
            .unwrap()
            .map(|e| e.unwrap().metadata().unwrap().len())
            .sum();
        assert!(sizes <= 2 * LIMIT as u64, "{sizes}");
        assert!(tail(&path).ends_with("2999"));
        assert_eq!(tail(&path).lines().count(), TAIL_LINES);
    }
}
