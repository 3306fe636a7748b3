//! Where everything is: the one place that joins paths of the checkout, the build
//! output and the cache.
//!
//! ```text
//! target/hull/bin/{hull,hulld,hull-vmm,hull-agent}
//! target/hull/lib/{vmlinux,initramfs}
//! $XDG_CACHE_HOME/hull/kernel/<hash>/{vmlinux,System.map,config,record}
//! ```

use std::env;
use std::path::{Path, PathBuf};

pub(crate) struct Layout {
    root: PathBuf,
    target: PathBuf,
}

impl Layout {
    pub(crate) fn find() -> Self {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = manifest.parent().unwrap_or(manifest).to_path_buf();
        let target =
            env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        Self { root, target }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where cargo puts what it builds.
    pub(crate) fn cargo_target(&self) -> &Path {
        &self.target
    }

    /// What `build` lays out. Always in the checkout, wherever cargo builds.
    pub(crate) fn hull(&self) -> PathBuf {
        self.root.join("target/hull")
    }

    pub(crate) fn bin(&self, program: &str) -> PathBuf {
        self.hull().join("bin").join(program)
    }

    pub(crate) fn lib(&self, file: &str) -> PathBuf {
        self.hull().join("lib").join(file)
    }

    pub(crate) fn kernel_config(&self, file: &str) -> PathBuf {
        self.root.join("kernel-config").join(file)
    }

    pub(crate) fn recipe(&self, file: &str) -> PathBuf {
        self.root.join("images/recipes").join(file)
    }

    /// Where the end-to-end tests look for it.
    pub(crate) fn busybox_image(&self) -> PathBuf {
        self.root.join("target/busybox.tar")
    }

    /// Scratch space for benches.
    pub(crate) fn bench(&self) -> PathBuf {
        self.root.join("target/bench")
    }

    /// What a conformance suite wrote.
    pub(crate) fn conformance(&self) -> PathBuf {
        self.root.join("target/conformance")
    }

    /// What outlives the checkout, because it takes minutes to make again.
    pub(crate) fn cache(&self) -> PathBuf {
        let base = env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute());
        let home = || env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
        base.unwrap_or_else(|| home().join(".cache")).join("hull")
    }
}
