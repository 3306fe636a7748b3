//! Facts about the host, for `version` and `info`.

use rustix::system::{sysinfo, uname};

/// As Go and OCI call it.
pub(super) const ARCH: &str = if cfg!(target_arch = "x86_64") {
    "amd64"
} else if cfg!(target_arch = "aarch64") {
    "arm64"
} else {
    std::env::consts::ARCH
};

/// The kernel's release.
pub(super) fn kernel() -> String {
    uname().release().to_string_lossy().into_owned()
}

/// As the kernel calls the architecture.
pub(super) fn machine() -> String {
    uname().machine().to_string_lossy().into_owned()
}

pub(super) fn name() -> String {
    uname().nodename().to_string_lossy().into_owned()
}

pub(super) fn cpus() -> i64 {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    i64::try_from(cpus).unwrap_or(i64::MAX)
}

/// Bytes.
pub(super) fn memory() -> i64 {
    let info = sysinfo();
    let bytes = u64::from(info.mem_unit).saturating_mul(info.totalram);
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// The distribution's name for itself.
pub(super) fn operating_system() -> String {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    pretty_name(&release).unwrap_or_else(|| "Linux".to_owned())
}

fn pretty_name(os_release: &str) -> Option<String> {
    let value = os_release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(value.trim().trim_matches(['"', '\'']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pretty_name_is_unquoted() {
        let check = |text, expected: Option<&str>| {
            assert_eq!(pretty_name(text).as_deref(), expected);
        };
        check(
            "ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n",
            Some("Debian GNU/Linux 12"),
        );
        check("PRETTY_NAME=Void\n", Some("Void"));
        check("ID=x\n", None);
    }
}
