//! How an engine is set up.

use std::path::PathBuf;
use std::time::Duration;

use hull_images::remote::RemoteOptions as RegistryOptions;

use super::LogConfig;

/// Where an engine keeps things, and where its programs are.
#[derive(Clone, Debug)]
pub struct Options {
    /// What must survive a reboot (`/var/lib/hull`).
    pub data_root: PathBuf,
    /// Sockets and the like, gone after a reboot (`/run/hull`).
    pub run_dir: PathBuf,
    /// The `hull-vmm` program.
    pub vmm: PathBuf,
    /// The guest's kernel, `vmlinux`.
    pub kernel: PathBuf,
    /// The guest's initramfs.
    pub initramfs: PathBuf,
    /// `/dev/kvm`.
    pub kvm: PathBuf,
    /// The cgroup v2 directory that gets one folder for each VM; `None` only where a test runs
    /// without cgroups.
    pub cgroup_root: Option<PathBuf>,
    /// What a container gets that does not say.
    pub defaults: Defaults,
    /// How registries are reached.
    pub registries: RegistryOptions,
}

impl Options {
    /// The usual layout: programs in `bin`, guest files in `lib`.
    pub fn new(
        data_root: PathBuf,
        run_dir: PathBuf,
        bin: &std::path::Path,
        lib: &std::path::Path,
    ) -> Self {
        Self {
            data_root,
            run_dir,
            vmm: bin.join("hull-vmm"),
            kernel: lib.join("vmlinux"),
            initramfs: lib.join("initramfs"),
            kvm: PathBuf::from("/dev/kvm"),
            cgroup_root: Some(PathBuf::from("/sys/fs/cgroup/hull")),
            defaults: Defaults::default(),
            registries: RegistryOptions::default(),
        }
    }
}

/// What a container gets that does not say.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// Guest memory, in MiB, without `--memory`.
    pub memory_mib: u32,
    /// Virtual CPUs, without `--cpus`.
    pub vcpus: u8,
    /// The most a container can write, in bytes.
    pub scratch_bytes: u64,
    /// How long a VM may take until its agent answers.
    pub boot_deadline: Duration,
    /// How long any other request to the agent may take.
    pub call_deadline: Duration,
    /// Where a container's output is kept, and how.
    pub log: LogConfig,
    /// How many containers that their policies want to run are started at once when the engine
    /// opens.
    pub starts_at_once: usize,
    /// The first host user id given to a VM.
    pub first_uid: u32,
    /// How many user ids may be given.
    pub uid_count: u32,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            memory_mib: 512,
            vcpus: 1,
            scratch_bytes: 10 << 30,
            boot_deadline: Duration::from_secs(60),
            call_deadline: Duration::from_secs(60),
            log: LogConfig {
                r#type: "json-file".to_owned(),
                ..LogConfig::default()
            },
            // A start keeps a CPU busy most of its time.
            starts_at_once: std::thread::available_parallelism().map_or(2, |n| n.get().max(2)),
            first_uid: 0x7000_0000,
            uid_count: 0x1_0000,
        }
    }
}
