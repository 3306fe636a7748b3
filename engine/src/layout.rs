//! Every path the engine uses, built here and nowhere else.
//!
//! ```text
//! DATA_ROOT                          survives a reboot
//! ├── engine.lock                    held while an engine runs
//! ├── engine.db                      SQLite: see `store`
//! ├── images/                        the image store's own; see `hull-images`
//! ├── templates/scratch-BYTES.ext4   an empty filesystem, copied for each container
//! └── containers/ID/
//!     ├── init.layer                 what every container has and its image lacks
//!     ├── scratch.img                what the container wrote (sparse)
//!     ├── ID-json.log{,.1,.2.gz,…}   what it printed, where that is kept; see `log::shelf`
//!     └── output.position            how much it printed, where that is not kept
//! RUN_DIR                            gone after a reboot
//! └── vms/ID32/                      while a VM runs; ID32: half the id, as a socket's path is short
//!     ├── control.sock               hull-vmm's control socket
//!     ├── vsock.sock                 the way to the guest's ports
//!     └── report                     hull-vmm's exit report
//! CGROUP_ROOT/ID/                    the VM's control group
//! ```
//!
//! Every folder is 0700.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::error::EngineError;
use crate::id::ContainerId;

/// Where things are.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    data_root: PathBuf,
    run_dir: PathBuf,
    cgroup_root: Option<PathBuf>,
}

impl Layout {
    pub(crate) fn new(data_root: PathBuf, run_dir: PathBuf, cgroup_root: Option<PathBuf>) -> Self {
        Self {
            data_root,
            run_dir,
            cgroup_root,
        }
    }

    /// Makes the folders that always exist.
    pub(crate) fn prepare(&self) -> Result<(), EngineError> {
        for dir in [
            &self.data_root,
            &self.run_dir,
            &self.containers(),
            &self.templates(),
            &self.vms(),
        ] {
            make_private(dir).map_err(|source| EngineError::File {
                path: dir.clone(),
                source,
            })?;
        }
        Ok(())
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.data_root.join("engine.lock")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.data_root.join("engine.db")
    }

    /// Where the image store makes its folder `images`.
    pub(crate) fn image_store(&self) -> &Path {
        &self.data_root
    }

    pub(crate) fn templates(&self) -> PathBuf {
        self.data_root.join("templates")
    }

    pub(crate) fn scratch_template(&self, bytes: u64) -> PathBuf {
        self.templates().join(format!("scratch-{bytes}.ext4"))
    }

    pub(crate) fn containers(&self) -> PathBuf {
        self.data_root.join("containers")
    }

    pub(crate) fn container(&self, id: &ContainerId) -> PathBuf {
        self.containers().join(id.as_str())
    }

    pub(crate) fn init_layer(&self, id: &ContainerId) -> PathBuf {
        self.container(id).join("init.layer")
    }

    pub(crate) fn scratch(&self, id: &ContainerId) -> PathBuf {
        self.container(id).join("scratch.img")
    }

    pub(crate) fn log(&self, id: &ContainerId) -> PathBuf {
        self.container(id).join(format!("{id}-json.log"))
    }

    pub(crate) fn output_position(&self, id: &ContainerId) -> PathBuf {
        self.container(id).join("output.position")
    }

    pub(crate) fn vms(&self) -> PathBuf {
        self.run_dir.join("vms")
    }

    pub(crate) fn vm(&self, id: &ContainerId) -> VmLayout {
        VmLayout {
            dir: self.vms().join(&id.as_str()[..32]),
        }
    }

    pub(crate) fn cgroup_root(&self) -> Option<&Path> {
        self.cgroup_root.as_deref()
    }

    pub(crate) fn cgroup(&self, id: &ContainerId) -> Option<PathBuf> {
        Some(self.cgroup_root.as_ref()?.join(id.as_str()))
    }
}

/// The files of a running VM.
#[derive(Clone, Debug)]
pub(crate) struct VmLayout {
    dir: PathBuf,
}

impl VmLayout {
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn control(&self) -> PathBuf {
        self.dir.join("control.sock")
    }

    pub(crate) fn vsock(&self) -> PathBuf {
        self.dir.join("vsock.sock")
    }

    pub(crate) fn report(&self) -> PathBuf {
        self.dir.join("report")
    }
}

/// Makes a folder, and those above it, that only its owner can enter.
pub(crate) fn make_private(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
}

/// Removes a folder and what is in it; that it is gone already is fine.
pub(crate) fn remove_tree(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn folders_are_private_and_socket_paths_fit() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().join("data"), dir.path().join("run"), None);
        layout.prepare().unwrap();
        layout.prepare().unwrap();
        let mode = fs::metadata(layout.containers())
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o700);
        let id = ContainerId::random().unwrap();
        let usual = Layout::new("/var/lib/hull".into(), "/run/hull".into(), None);
        assert!(usual.vm(&id).control().as_os_str().len() < 107);
    }
}
