//! The engine's configuration, checked, with its descriptors owned.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;

use hull_protocol::vmm::{Jail, VmConfig};

/// The smallest guest: kernel, agent and a little for the container.
pub const MIN_MEMORY_MIB: u32 = 32;
const MAX_MEMORY_MIB: u32 = 1 << 20;
/// The in-kernel interrupt controller and the kernel's own limit.
pub const MAX_VCPUS: u8 = 32;
const MAX_LAYERS: usize = 128;
const MAX_DISKS: usize = 8;
const MAX_JSON: u64 = 256 << 10;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The descriptor gave no JSON.
    #[error("cannot read the configuration")]
    Read(#[from] io::Error),
    /// It is not a [`VmConfig`].
    #[error("malformed configuration")]
    Malformed(#[from] serde_json::Error),
    /// A number is out of range.
    #[error("{what} must be {min} to {max}, not {found}")]
    Range {
        /// Which.
        what: &'static str,
        /// The least.
        min: u64,
        /// The most.
        max: u64,
        /// The configuration's.
        found: u64,
    },
    /// A descriptor is named twice, or is one of the standard three.
    #[error("descriptor {0} cannot be used: it is a standard one or named twice")]
    Descriptor(RawFd),
    /// A descriptor is not open.
    #[error("descriptor {fd} is not open")]
    Closed {
        /// Which.
        fd: RawFd,
        /// Why.
        source: io::Error,
    },
}

/// Reads and checks a configuration from its descriptor.
///
/// # Errors
/// It cannot be read, or asks for what cannot be.
pub fn read(fd: RawFd) -> Result<VmConfig, ConfigError> {
    // SAFETY: the engine handed this descriptor over for this purpose; nothing else uses it.
    let file = unsafe { File::from_raw_fd(fd) };
    let mut json = String::new();
    file.take(MAX_JSON).read_to_string(&mut json)?;
    let config: VmConfig = serde_json::from_str(&json)?;
    check(&config)?;
    Ok(config)
}

fn check(config: &VmConfig) -> Result<(), ConfigError> {
    let range = |what, min: u64, max: u64, found: u64| {
        if (min..=max).contains(&found) {
            Ok(())
        } else {
            Err(ConfigError::Range {
                what,
                min,
                max,
                found,
            })
        }
    };
    let memory = u64::from(config.memory_mib);
    range(
        "memory_mib",
        MIN_MEMORY_MIB.into(),
        MAX_MEMORY_MIB.into(),
        memory,
    )?;
    range("vcpus", 1, MAX_VCPUS.into(), config.vcpus.into())?;
    range(
        "the number of layers",
        0,
        MAX_LAYERS as u64,
        config.layers.len() as u64,
    )?;
    range(
        "the number of disks",
        0,
        MAX_DISKS as u64,
        config.disks.len() as u64,
    )?;
    let mut seen = Vec::new();
    for fd in descriptors(config) {
        if fd < 3 || seen.contains(&fd) {
            return Err(ConfigError::Descriptor(fd));
        }
        // SAFETY: asks about a number, whatever it stands for.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
            return Err(ConfigError::Closed {
                fd,
                source: io::Error::last_os_error(),
            });
        }
        seen.push(fd);
    }
    Ok(())
}

/// Every descriptor the configuration names.
pub fn descriptors(config: &VmConfig) -> Vec<RawFd> {
    let mut all = vec![config.kvm, config.kernel, config.initramfs];
    all.extend(config.console);
    all.extend([config.control, config.vsock]);
    all.extend(&config.layers);
    all.extend(config.disks.iter().map(|disk| disk.fd));
    all.extend([config.started, config.report]);
    all.extend(config.jail.as_ref().and_then(|jail: &Jail| jail.cgroup));
    all
}

/// What the VM is built from: the same, with every descriptor owned.
#[derive(Debug)]
pub struct Resources {
    /// `/dev/kvm`.
    pub kvm: OwnedFd,
    /// The kernel image.
    pub kernel: File,
    /// The initramfs.
    pub initramfs: File,
    /// Where the console goes.
    pub console: Option<File>,
    /// Control requests.
    pub control: UnixListener,
    /// Connections to the guest.
    pub vsock: UnixListener,
    /// Packed layers, lowest first.
    pub layers: Vec<File>,
    /// Disks and whether they refuse writes.
    pub disks: Vec<(File, bool)>,
}

impl Resources {
    /// Takes ownership.
    pub fn take(config: &VmConfig) -> Self {
        // SAFETY: `check` saw that each is open and named once, and nothing else in this process
        // knows them.
        let own = |fd: RawFd| unsafe { OwnedFd::from_raw_fd(fd) };
        Self {
            kvm: own(config.kvm),
            kernel: own(config.kernel).into(),
            initramfs: own(config.initramfs).into(),
            console: config.console.map(|fd| own(fd).into()),
            control: own(config.control).into(),
            vsock: own(config.vsock).into(),
            layers: config.layers.iter().map(|&fd| own(fd).into()).collect(),
            disks: config
                .disks
                .iter()
                .map(|d| (own(d.fd).into(), d.read_only))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::IntoRawFd;

    fn config() -> VmConfig {
        let fd = || tempfile::tempfile().unwrap().into_raw_fd();
        VmConfig {
            id: "x".into(),
            memory_mib: 128,
            vcpus: 1,
            kvm: fd(),
            kernel: fd(),
            initramfs: fd(),
            cmdline: String::new(),
            console: None,
            control: fd(),
            vsock: fd(),
            layers: vec![],
            disks: vec![],
            started: fd(),
            report: fd(),
            jail: None,
        }
    }

    #[test]
    fn a_sound_configuration_passes() {
        check(&config()).unwrap();
    }

    #[test]
    fn what_cannot_be_is_refused() {
        type Spoil = fn(&mut VmConfig);
        let cases: [(&str, Spoil); 7] = [
            ("memory_mib must be 32 to 1048576, not 16", |c| {
                c.memory_mib = 16;
            }),
            ("vcpus must be 1 to 32, not 0", |c| c.vcpus = 0),
            ("vcpus must be 1 to 32, not 33", |c| c.vcpus = 33),
            (
                "descriptor 0 cannot be used: it is a standard one or named twice",
                |c| c.kvm = 0,
            ),
            (
                "descriptor -1 cannot be used: it is a standard one or named twice",
                |c| c.kvm = -1,
            ),
            ("descriptor 999999 is not open", |c| c.kvm = 999_999),
            ("the number of layers must be 0 to 128, not 129", |c| {
                c.layers = vec![5; 129];
            }),
        ];
        for (message, spoil) in cases {
            let mut config = config();
            spoil(&mut config);
            assert_eq!(check(&config).unwrap_err().to_string(), message);
        }
        let mut twice = config();
        twice.kernel = twice.kvm;
        assert!(matches!(check(&twice), Err(ConfigError::Descriptor(_))));
    }
}
