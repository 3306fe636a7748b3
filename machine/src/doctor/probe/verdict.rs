//! What the probe found, and its memory of it until the next boot.
//!
//! Every `hull` command asks whether KVM works, so the verdict is kept in a file next to
//! the machines' state. It holds the boot's id: a reboot may come with another hypervisor
//! underneath. Only verdicts about KVM itself are kept: whether this user may open the
//! device, or whether a module is loaded, can change at any moment and is cheap to see.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::guest::GuestError;

/// What this host's KVM can do for a guest kernel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// A ring-0 guest runs, at this speed.
    Works { mips: f64 },
    /// A ring-0 guest runs, but is emulated instruction by instruction.
    Slow { mips: f64 },
    /// A ring-0 guest does not get through what every kernel does.
    Incomplete { reason: String },
    /// KVM did not come back before the deadline.
    Hangs,
    /// There is no `/dev/kvm`.
    Missing,
    /// There is one, but not for this user.
    Denied,
    /// The probe could not be made.
    Unknown { reason: String },
}

impl Verdict {
    pub fn can_run(&self) -> bool {
        matches!(self, Self::Works { .. })
    }

    fn keeps_until_reboot(&self) -> bool {
        matches!(
            self,
            Self::Works { .. } | Self::Slow { .. } | Self::Incomplete { .. }
        )
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Works { mips } => {
                write!(
                    f,
                    "runs a ring-0 guest at {mips:.0} million instructions a second"
                )
            }
            Self::Slow { mips } => write!(
                f,
                "emulates ring 0 at {mips:.1} million instructions a second: cannot run a guest"
            ),
            Self::Incomplete { reason } => write!(f, "{reason}: cannot run a guest"),
            Self::Hangs => write!(
                f,
                "did not come back from a ring-0 guest: cannot run a guest"
            ),
            Self::Missing => write!(f, "no /dev/kvm"),
            Self::Denied => write!(f, "no permission to open /dev/kvm"),
            Self::Unknown { reason } => write!(f, "{reason}"),
        }
    }
}

impl From<GuestError> for Verdict {
    fn from(error: GuestError) -> Self {
        match &error {
            GuestError::Open(source) => match source.kind() {
                io::ErrorKind::NotFound => Self::Missing,
                io::ErrorKind::PermissionDenied => Self::Denied,
                // ENODEV, ENXIO: a device node without a driver behind it.
                _ => Self::Unknown {
                    reason: error.to_string(),
                },
            },
            GuestError::Version(_)
            | GuestError::Capability(_)
            | GuestError::Run(_)
            | GuestError::Exit(_) => Self::Incomplete {
                reason: error.to_string(),
            },
            GuestError::Setup { .. } => Self::Unknown {
                reason: error.to_string(),
            },
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Kept {
    boot: String,
    #[serde(flatten)]
    verdict: Verdict,
}

/// The verdict kept in `file` during this boot, or a fresh one, which is then kept.
///
/// A file that cannot be read or written only costs a probe.
pub fn cached(file: &Path) -> Verdict {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    remembered(file, boot.trim(), super::run)
}

fn remembered(file: &Path, boot: &str, probe: impl FnOnce() -> Verdict) -> Verdict {
    if let Some(verdict) = recall(file, boot) {
        return verdict;
    }
    let verdict = probe();
    if verdict.keeps_until_reboot() && !boot.is_empty() {
        // Keeping it saves the next command a few milliseconds, no more.
        let _ = keep(file, boot, &verdict);
    }
    verdict
}

fn recall(file: &Path, boot: &str) -> Option<Verdict> {
    let kept: Kept = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    (kept.boot == boot && !boot.is_empty()).then_some(kept.verdict)
}

fn keep(file: &Path, boot: &str, verdict: &Verdict) -> io::Result<()> {
    let kept = Kept {
        boot: boot.to_owned(),
        verdict: verdict.clone(),
    };
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let aside = file.with_extension(std::process::id().to_string());
    fs::write(&aside, serde_json::to_vec(&kept)?)?;
    fs::rename(&aside, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn never() -> Verdict {
        panic!("the probe ran again")
    }

    #[test]
    fn verdict_is_asked_for_once_in_a_boot() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/probe.json");
        let slow = Verdict::Slow { mips: 1.0 };
        assert_eq!(remembered(&file, "boot-a", || slow.clone()), slow);
        assert_eq!(remembered(&file, "boot-a", never), slow);
        let works = Verdict::Works { mips: 2000.0 };
        assert_eq!(remembered(&file, "boot-b", || works.clone()), works);
    }

    #[test]
    fn verdict_about_permission_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("probe.json");
        assert_eq!(
            remembered(&file, "boot", || Verdict::Denied),
            Verdict::Denied
        );
        assert_eq!(
            remembered(&file, "boot", || Verdict::Missing),
            Verdict::Missing
        );
    }

    #[test]
    fn damaged_file_costs_a_probe() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("probe.json");
        fs::write(&file, b"{\"boot\":").unwrap();
        assert_eq!(
            remembered(&file, "boot", || Verdict::Missing),
            Verdict::Missing
        );
    }
}
