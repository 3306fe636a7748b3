//! The guest's initramfs: the agent as `/init`, and the few things the kernel and
//! the agent expect before anything is mounted. Not compressed, since the guest
//! kernel has no decompressor and the VMM copies the file anyway.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::cpio::{Archive, Device, Permissions};

/// Returns whether the file changed.
pub(crate) fn write(agent: &Path, to: &Path) -> Result<bool> {
    let agent = fs::read(agent).with_context(|| format!("read {}", agent.display()))?;
    let bytes = image(&agent);
    if fs::read(to).is_ok_and(|old| old == bytes) {
        return Ok(false);
    }
    let aside = to.with_extension("new");
    fs::write(&aside, bytes).with_context(|| format!("write {}", aside.display()))?;
    fs::rename(&aside, to).with_context(|| format!("rename to {}", to.display()))?;
    Ok(true)
}

fn image(agent: &[u8]) -> Vec<u8> {
    let mut archive = Archive::default();
    for folder in ["dev", "proc", "sys"] {
        archive.directory(folder, Permissions(0o755));
    }
    // The kernel opens it as the first program's stdio, before devtmpfs is mounted.
    archive.character_device(
        "dev/console",
        Permissions(0o600),
        Device { major: 5, minor: 1 },
    );
    archive.file("init", Permissions(0o755), agent);
    archive.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_only_when_it_changed() {
        let folder = tempfile::tempdir().unwrap();
        let (agent, to) = (folder.path().join("agent"), folder.path().join("initramfs"));
        fs::write(&agent, b"one").unwrap();
        assert!(write(&agent, &to).unwrap());
        assert!(!write(&agent, &to).unwrap());
        fs::write(&agent, b"two").unwrap();
        assert!(write(&agent, &to).unwrap());
    }
}
