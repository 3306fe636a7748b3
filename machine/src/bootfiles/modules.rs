//! The kernel modules that the machine needs, in an order that satisfies each one's needs.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::BootFilesError;

/// What `hulld` and guests need of the machine's kernel, in chains that need nothing of each
/// other, so that they load side by side. Built-in ones are skipped.
pub(super) const WANTED: [&[&str]; 2] = [DEVICES, NETWORKS];

const DEVICES: &[&str] = &[
    "virtio_blk",
    "virtio-rng",
    "virtio_net",
    "kvm-amd",
    "overlay",
    "loop",
];

const NETWORKS: &[&str] = &[
    "tun",
    "bridge",
    "br_netfilter",
    "veth",
    "vhost_net",
    "vhost_vsock",
    "nf_tables",
    "nft_chain_nat",
    "nft_compat",
    "nft_ct",
    "nft_fib_inet",
    "nft_limit",
    "nft_log",
    "nft_masq",
    "nft_nat",
    "nft_redir",
    "nft_reject_inet",
    "nf_conntrack_netlink",
];

pub(super) struct Module {
    pub(super) file: String,
    pub(super) bytes: Vec<u8>,
}

/// Reads and unpacks each chain's modules and what they depend on, dependencies first.
pub(super) fn collect(folder: &Path, xz: &Path) -> Result<Vec<Vec<Module>>, BootFilesError> {
    let read = |name: &str| {
        let path = folder.join(name);
        fs::read_to_string(&path).map_err(|source| BootFilesError::Read { path, source })
    };
    let (dependencies, builtin) = (read("modules.dep")?, read("modules.builtin")?);
    let chain = |wanted: &&[&'static str]| {
        let files = load_order(&dependencies, &builtin, wanted)?;
        files
            .iter()
            .map(|file| unpack(&folder.join(file), xz))
            .collect()
    };
    WANTED.iter().map(chain).collect()
}

/// Paths below the modules' folder, each after those it depends on.
fn load_order(
    dependencies: &str,
    builtin: &str,
    wanted: &[&'static str],
) -> Result<Vec<String>, BootFilesError> {
    let mut known = HashMap::new();
    for line in dependencies.lines() {
        if let Some((path, needs)) = line.split_once(':') {
            known.insert(name(path), (path, needs));
        }
    }
    let mut order: Vec<String> = Vec::new();
    for module in wanted {
        let Some((path, needs)) = known.get(&name(module)) else {
            if builtin.lines().any(|line| name(line) == name(module)) {
                continue;
            }
            return Err(BootFilesError::Module(module));
        };
        // depmod lists all that is needed, indirectly too, the most basic last.
        for path in needs.split_whitespace().rev().chain([*path]) {
            if !order.iter().any(|done| done == path) {
                order.push(path.to_owned());
            }
        }
    }
    Ok(order)
}

/// A module's name: underscores and dashes mean the same.
fn name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    let stem = file.split(".ko").next().unwrap_or(file);
    stem.replace('-', "_")
}

fn unpack(path: &Path, xz: &Path) -> Result<Module, BootFilesError> {
    let file = format!("{}.ko", name(&path.to_string_lossy()));
    let failed = |reason: String| BootFilesError::Unpack {
        path: PathBuf::from(path),
        reason,
    };
    if path.extension().is_some_and(|extension| extension == "xz") {
        let output = Command::new(xz)
            .args(["--decompress", "--stdout", "--"])
            .arg(path)
            .output()
            .map_err(|e| failed(e.to_string()))?;
        if !output.status.success() {
            return Err(failed(
                String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            ));
        }
        return Ok(Module {
            file,
            bytes: output.stdout,
        });
    }
    let bytes = fs::read(path).map_err(|source| BootFilesError::Read {
        path: path.to_owned(),
        source,
    })?;
    Ok(Module { file, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPENDENCIES: &str = "\
kernel/net/nft_masq.ko.xz: kernel/net/nf_nat.ko.xz kernel/net/nf_conntrack.ko.xz
kernel/net/nf_nat.ko.xz: kernel/net/nf_conntrack.ko.xz
kernel/net/nf_conntrack.ko.xz:
kernel/kvm/kvm-amd.ko.xz: kernel/kvm/kvm.ko.xz
kernel/kvm/kvm.ko.xz:
";

    #[test]
    fn modules_come_after_what_they_need_and_once() {
        let order = load_order(
            DEPENDENCIES,
            "kernel/drivers/virtio_pci.ko",
            &["nft_masq", "virtio-pci", "kvm_amd", "nf_nat"],
        )
        .unwrap();
        let names: Vec<_> = order.iter().map(|path| name(path)).collect();
        assert_eq!(
            names,
            ["nf_conntrack", "nf_nat", "nft_masq", "kvm", "kvm_amd"]
        );
    }

    #[test]
    fn chains_of_the_installed_kernel_need_nothing_of_each_other() {
        let folder = crate::parts::Parts::find().unwrap().kernel.modules;
        let dependencies = fs::read_to_string(folder.join("modules.dep")).unwrap();
        let builtin = fs::read_to_string(folder.join("modules.builtin")).unwrap();
        let [one, other] = WANTED.map(|chain| load_order(&dependencies, &builtin, chain).unwrap());
        assert!(
            one.iter().all(|file| !other.contains(file)),
            "{one:?}\n{other:?}"
        );
    }

    #[test]
    fn kernel_without_a_needed_module_is_refused() {
        let error = load_order(DEPENDENCIES, "", &["tun"]).unwrap_err();
        assert!(matches!(error, BootFilesError::Module("tun")), "{error}");
    }
}
