//! What a VMM writes to its stderr, bounded by the kernel: a memory file that cannot grow.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};

/// Enough for a panic message with a backtrace.
const BYTES: u64 = 32 << 10;
/// What is shown of it.
const SHOWN: usize = 2048;

/// The file, to become somebody's stderr. Writes past its end fail.
pub(super) fn bounded_file() -> io::Result<File> {
    let fd = memfd_create(
        "hull-vmm-messages",
        MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
    )?;
    ftruncate(&fd, BYTES)?;
    fcntl_add_seals(&fd, SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
    Ok(File::from(fd))
}

/// The last of what was written.
pub(super) fn tail(file: &File) -> String {
    let mut buffer = vec![0; BYTES as usize];
    let read = file.read_at(&mut buffer, 0).unwrap_or(0);
    let written = buffer[..read].split(|b| *b == 0).next().unwrap_or_default();
    let from = written.len().saturating_sub(SHOWN);
    String::from_utf8_lossy(&written[from..]).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_is_written_is_kept_up_to_the_bound() {
        let mut file = bounded_file().unwrap();
        file.write_all(b"hull-vmm: broken\n").unwrap();
        assert_eq!(tail(&file), "hull-vmm: broken");
        let flood = vec![b'x'; BYTES as usize];
        assert!(file.write_all(&flood).is_err());
        assert_eq!(file.metadata().unwrap().len(), BYTES);
    }
}
