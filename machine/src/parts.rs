//! What the emulated machine is made of: programs and a kernel from Debian packages.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// Something that is not installed, and the package that brings it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    pub what: &'static str,
    pub package: &'static str,
}

/// Where each part lies on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    pub(crate) qemu: PathBuf,
    pub(crate) virtiofsd: Virtiofsd,
    pub(crate) busybox: PathBuf,
    pub(crate) mkfs: PathBuf,
    pub(crate) xz: PathBuf,
    pub(crate) kernel: Kernel,
}

/// The two programs of that name take different options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Virtiofsd {
    /// QEMU's own, up to version 7.2.
    C(PathBuf),
    /// Its successor.
    Rust(PathBuf),
}

/// A kernel image and the folder of its modules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kernel {
    pub(crate) image: PathBuf,
    pub(crate) modules: PathBuf,
}

impl Parts {
    /// Finds every part, or says everything that is missing.
    pub fn find() -> Result<Self, Vec<Missing>> {
        let mut missing = Vec::new();
        let mut need = |found: Option<PathBuf>, what, package| {
            if found.is_none() {
                missing.push(Missing { what, package });
            }
            found
        };
        let qemu = need(program("qemu-system-x86_64"), "QEMU", "qemu-system-x86");
        let busybox = need(
            Some(PathBuf::from("/bin/busybox")).filter(|p| p.is_file()),
            "static busybox",
            "busybox-static",
        );
        let mkfs = need(program("mkfs.ext4"), "mkfs.ext4", "e2fsprogs");
        let xz = need(program("xz"), "xz", "xz-utils");
        let virtiofsd = virtiofsd();
        if virtiofsd.is_none() {
            missing.push(Missing {
                what: "virtiofsd",
                package: "qemu-system-common",
            });
        }
        let kernel = newest_kernel(Path::new("/lib/modules"), Path::new("/boot"));
        if kernel.is_none() {
            let package = "linux-image-6.12-cloud-amd64";
            missing.push(Missing {
                what: "machine kernel",
                package,
            });
        }
        match (qemu, virtiofsd, busybox, mkfs, xz, kernel) {
            (Some(qemu), Some(virtiofsd), Some(busybox), Some(mkfs), Some(xz), Some(kernel)) => {
                Ok(Self {
                    qemu,
                    virtiofsd,
                    busybox,
                    mkfs,
                    xz,
                    kernel,
                })
            }
            _ => Err(missing),
        }
    }
}

/// What to do about missing parts, in one line.
pub(crate) fn advice(missing: &[Missing]) -> String {
    let packages: Vec<_> = missing.iter().map(|m| m.package).collect();
    format!(
        "run `make bootstrap`, or `apt-get install {}`",
        packages.join(" ")
    )
}

fn program(name: &str) -> Option<PathBuf> {
    // A root shell's PATH may lack sbin, where mkfs lives.
    let fixed = [
        "/usr/local/sbin",
        "/usr/local/bin",
        "/usr/sbin",
        "/usr/bin",
        "/sbin",
        "/bin",
    ];
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .chain(fixed.map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

fn virtiofsd() -> Option<Virtiofsd> {
    let c = PathBuf::from("/usr/lib/qemu/virtiofsd");
    let rust = PathBuf::from("/usr/libexec/virtiofsd");
    match () {
        () if rust.is_file() => Some(Virtiofsd::Rust(rust)),
        () if c.is_file() => Some(Virtiofsd::C(c)),
        () => None,
    }
}

/// The newest Debian cloud kernel that has both its image and its modules.
fn newest_kernel(modules: &Path, boot: &Path) -> Option<Kernel> {
    let entries = fs::read_dir(modules).ok()?;
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str().map(str::to_owned))
        .filter(|release| release.contains("cloud"))
        .map(|release| {
            let image = boot.join(format!("vmlinuz-{release}"));
            (
                version(&release),
                Kernel {
                    image,
                    modules: modules.join(release),
                },
            )
        })
        .filter(|(_, kernel)| kernel.image.is_file() && has_kvm(&kernel.modules))
        .max_by(|(a, _), (b, _)| a.cmp(b))
        .map(|(_, kernel)| kernel)
}

fn has_kvm(modules: &Path) -> bool {
    let folder = modules.join("kernel/arch/x86/kvm");
    fs::read_dir(folder).is_ok_and(|entries| {
        entries.flatten().any(|e| {
            Path::new(&e.file_name())
                .file_name()
                .and_then(OsStr::to_str)
                .is_some_and(|n| n.starts_with("kvm-amd.ko"))
        })
    })
}

/// The numbers of a release, so that 6.9 comes before 6.12.
fn version(release: &str) -> Vec<u64> {
    release
        .split(|c: char| !c.is_ascii_digit())
        .filter(|part| !part.is_empty())
        .filter_map(|part| part.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(root: &Path, release: &str) {
        let kvm = root
            .join("modules")
            .join(release)
            .join("kernel/arch/x86/kvm");
        fs::create_dir_all(&kvm).unwrap();
        fs::write(kvm.join("kvm-amd.ko.xz"), "").unwrap();
        fs::create_dir_all(root.join("boot")).unwrap();
        fs::write(root.join("boot").join(format!("vmlinuz-{release}")), "").unwrap();
    }

    #[test]
    fn newest_complete_cloud_kernel_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for release in [
            "6.9.7+deb12-cloud-amd64",
            "6.12.117+deb12-cloud-amd64",
            "6.13.1-amd64",
        ] {
            install(root, release);
        }
        install(root, "6.14.0-cloud-amd64");
        fs::remove_file(root.join("boot/vmlinuz-6.14.0-cloud-amd64")).unwrap();
        let kernel = newest_kernel(&root.join("modules"), &root.join("boot")).unwrap();
        assert_eq!(
            kernel.modules,
            root.join("modules/6.12.117+deb12-cloud-amd64")
        );
    }

    #[test]
    fn advice_names_every_package_and_the_bootstrap() {
        let missing = [
            Missing {
                what: "QEMU",
                package: "qemu-system-x86",
            },
            Missing {
                what: "xz",
                package: "xz-utils",
            },
        ];
        let advice = advice(&missing);
        assert!(advice.contains("make bootstrap"), "{advice}");
        assert!(advice.contains("qemu-system-x86 xz-utils"), "{advice}");
    }
}
