//! The command lines of QEMU and virtiofsd.
//!
//! What is chosen for speed, with the time from exec to `/init` on an idle host: `q35` with
//! a bzImage 4.0 s, `microvm` 3.1 s (no legacy devices to probe), `microvm` with an unpacked
//! kernel 1.4 s. Without `la57` page walks are a level shorter, twice over in nested paging.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::Path;

use super::tsc;
use crate::bootfiles::BootFiles;
use crate::parts::{Parts, Virtiofsd};
use crate::settings::{Clock, Options, Paths};

/// The virtio serial port of the tunnel, as the guest finds it.
pub(crate) const PORT: &str = "hull.tunnel";

/// The clock is told, never calibrated: on a busy host the emulated PIT is too late for
/// that, and a kernel without a clock hangs. `tsc=reliable` because nothing better is there.
///
/// Calibrations and self-tests that an emulated CPU makes slow are off. `panic=-1` with QEMU's `-no-reboot` ends the machine instead of a hang.
const KERNEL: &str = "console=ttyS0 quiet loglevel=3 panic=-1 mitigations=off \
    net.ifnames=0 lpj=4000000 tsc=reliable no_timer_check random.trust_cpu=on \
    cryptomgr.notests audit=0 apparmor=0 selinux=0 rcupdate.rcu_expedited=1";

pub(super) fn qemu(
    parts: &Parts,
    options: &Options,
    paths: &Paths,
    boot: &BootFiles,
    tsc: tsc::Kilohertz,
    tunnel: RawFd,
) -> (OsString, Vec<OsString>) {
    let Options {
        cpus, memory_mib, ..
    } = options;
    let mut line = Line::default();
    line.words([
        "-nodefaults",
        "-no-user-config",
        "-no-reboot",
        "-display",
        "none",
    ]);
    line.words(["-M", "microvm,pcie=on,acpi=on,rtc=on,memory-backend=memory"]);
    match options.clock {
        Clock::Host => {
            line.words(["-accel", "tcg,thread=multi", "-cpu", "max,+svm,+npt,-la57"]);
        }
        Clock::Instructions => {
            line.words(["-accel", "tcg,thread=single"]);
            line.words(["-cpu", "max,+svm,+npt,-la57,-erms,-fsrm"]);
            line.words(["-icount", "shift=0,sleep=off"]);
        }
    }
    line.option("-smp", format!("{cpus}"));
    line.option("-m", format!("{memory_mib}M"));
    // Shared, as virtiofsd reads and writes it; reserved by nobody.
    line.option(
        "-object",
        format!("memory-backend-memfd,id=memory,size={memory_mib}M,share=on,reserve=off"),
    );
    line.words([
        "-sandbox",
        "on,obsolete=deny,elevateprivileges=deny,spawn=deny",
    ]);

    line.words([
        "-chardev",
        "stdio,id=console,signal=off",
        "-serial",
        "chardev:console",
    ]);
    line.option("-chardev", format!("socket,id=tunnel,fd={tunnel}"));
    line.words(["-device", "virtio-serial-pci,max_ports=2"]);
    line.option(
        "-device",
        format!("virtserialport,chardev=tunnel,name={PORT}"),
    );
    line.option(
        "-chardev",
        format!("socket,id=fs,path={}", paths.fs().display()),
    );
    line.words([
        "-device",
        "vhost-user-fs-pci,chardev=fs,tag=root,queue-size=1024",
    ]);
    line.option(
        "-drive",
        format!(
            "file={},if=none,id=disk,format=raw,cache=writeback,discard=unmap",
            paths.disk().display()
        ),
    );
    line.words(["-device", "virtio-blk-pci,drive=disk"]);
    line.words([
        "-netdev",
        "user,id=net",
        "-device",
        "virtio-net-pci,netdev=net,romfile=",
    ]);
    line.words(["-device", "virtio-rng-pci"]);

    line.path("-kernel", &boot.kernel);
    line.path("-initrd", &boot.initramfs);
    line.option(
        "-append",
        format!(
            "{KERNEL} tsc_early_khz={tsc} HULL_STATE={}",
            paths.state.display()
        ),
    );
    (parts.qemu.clone().into(), line.0)
}

/// The whole host, as root sees it: the machine is no boundary, its guests' VMs are.
pub(super) fn virtiofsd(parts: &Parts, socket: RawFd) -> (OsString, Vec<OsString>) {
    let mut line = Line::default();
    line.0.push(format!("--fd={socket}").into());
    match &parts.virtiofsd {
        Virtiofsd::C(program) => {
            for option in [
                "source=/",
                "cache=auto",
                "sandbox=chroot",
                "xattr",
                "log_level=warn",
            ] {
                line.words(["-o", option]);
            }
            (program.clone().into(), line.0)
        }
        Virtiofsd::Rust(program) => {
            line.words([
                "--shared-dir=/",
                "--cache=auto",
                "--sandbox=chroot",
                "--xattr",
            ]);
            line.words(["--log-level=warn"]);
            (program.clone().into(), line.0)
        }
    }
}

#[derive(Default)]
struct Line(Vec<OsString>);

impl Line {
    fn words<const N: usize>(&mut self, words: [&str; N]) {
        self.0.extend(words.map(OsString::from));
    }

    fn option(&mut self, name: &str, value: String) {
        self.0.push(name.into());
        self.0.push(value.into());
    }

    fn path(&mut self, name: &str, value: &Path) {
        self.0.push(name.into());
        self.0.push(value.into());
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::parts::Kernel;
    use crate::settings::Name;

    fn parts(virtiofsd: Virtiofsd) -> Parts {
        Parts {
            qemu: "/usr/bin/qemu-system-x86_64".into(),
            virtiofsd,
            busybox: "/bin/busybox".into(),
            mkfs: "/sbin/mkfs.ext4".into(),
            xz: "/usr/bin/xz".into(),
            kernel: Kernel {
                image: "/boot/vmlinuz".into(),
                modules: "/lib/modules/x".into(),
            },
        }
    }

    fn lines((program, arguments): (OsString, Vec<OsString>)) -> String {
        let mut text = program.into_string().unwrap();
        for argument in arguments {
            let argument = argument.into_string().unwrap();
            text += if argument.starts_with('-') { "\n" } else { " " };
            text += &argument;
        }
        text + "\n"
    }

    #[track_caller]
    fn check_golden(name: &str, actual: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("testdata")
            .join(name);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, actual).unwrap();
        }
        assert_eq!(actual, std::fs::read_to_string(&path).unwrap());
    }

    #[test]
    fn qemu_command_line() {
        let mut options = Options::new(Name::default()).unwrap();
        options.cpus = 3;
        let paths = options.paths();
        let boot = BootFiles {
            kernel: "/boot/vmlinux".into(),
            initramfs: "/boot/initrd".into(),
        };
        let c = parts(Virtiofsd::C(PathBuf::from("/usr/lib/qemu/virtiofsd")));
        let line = |options: &Options| {
            let speed = tsc::Kilohertz(2_300_000);
            lines(qemu(&c, options, &paths, &boot, speed, 7))
        };
        check_golden("qemu.txt", &line(&options));
        options.cpus = 1;
        options.clock = Clock::Instructions;
        check_golden("qemu-counting.txt", &line(&options));
    }

    #[test]
    fn virtiofsd_command_lines() {
        let c = parts(Virtiofsd::C(PathBuf::from("/usr/lib/qemu/virtiofsd")));
        check_golden("virtiofsd-c.txt", &lines(virtiofsd(&c, 8)));
        let rust = parts(Virtiofsd::Rust(PathBuf::from("/usr/libexec/virtiofsd")));
        check_golden("virtiofsd-rust.txt", &lines(virtiofsd(&rust, 8)));
    }
}
