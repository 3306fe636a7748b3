//! The machine's disk: a sparse file with an ext4 file system, made on the host.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use super::SupervisorError;

/// Makes it if it is not there. Under its final name it is always whole.
pub(super) fn ensure(mkfs: &Path, disk: &Path, gib: u32) -> Result<(), SupervisorError> {
    if disk.exists() {
        return Ok(());
    }
    let failed = |reason: String| SupervisorError::Disk {
        path: disk.to_owned(),
        reason,
    };
    let aside = disk.with_extension("new");
    let file = File::create(&aside).map_err(|e| failed(e.to_string()))?;
    file.set_len(u64::from(gib) << 30)
        .map_err(|e| failed(e.to_string()))?;
    let output = Command::new(mkfs)
        // A fresh sparse file reads as zeros: neither mkfs nor the kernel need write them.
        .args([
            "-q",
            "-F",
            "-m",
            "0",
            "-E",
            "assume_storage_prezeroed=1,nodiscard",
        ])
        .arg(&aside)
        .output()
        .map_err(|e| failed(e.to_string()))?;
    if !output.status.success() {
        return Err(failed(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        ));
    }
    file.sync_all()
        .and_then(|()| fs::rename(&aside, disk))
        .map_err(|e| failed(e.to_string()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::parts::Parts;

    #[test]
    fn disk_is_sparse_and_kept() {
        let parts = Parts::find().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let disk = folder.path().join("disk.raw");
        ensure(&parts.mkfs, &disk, 8).unwrap();
        let made = fs::metadata(&disk).unwrap();
        assert_eq!(made.len(), 8 << 30);
        assert!(
            made.blocks() * 512 < 128 << 20,
            "{} MiB used",
            made.blocks() / 2048
        );
        ensure(&parts.mkfs, &disk, 16).unwrap();
        assert_eq!(fs::metadata(&disk).unwrap().len(), 8 << 30);
    }

    #[test]
    fn failure_leaves_no_disk() {
        let folder = tempfile::tempdir().unwrap();
        let disk = folder.path().join("disk.raw");
        ensure(Path::new("/bin/false"), &disk, 1).unwrap_err();
        assert!(!disk.exists());
    }
}
