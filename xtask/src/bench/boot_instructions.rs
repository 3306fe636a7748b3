//! Guest instructions from the kernel's entry to the first one of `/init`, and
//! where they go.
//!
//! Counted, not timed: QEMU emulates one processor with its clock bound to
//! instructions, so two runs agree, on any host. A plugin (`insn_count.c`) counts.
//! ERMS and FSRM are hidden, since a `rep movsb` would count once for each byte.
//!
//! QEMU's own devices stand in for KVM's: the command line says what kvm-clock
//! and KVM's APIC would tell the kernel (`tsc_early_khz`, `lpj`, `no_timer_check`,
//! `noapictimer`). It has no virtio devices; each of those adds its probe.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::Figure;
use super::profile::{Profile, Symbols};
use crate::cpio::{Archive, Device, Permissions};
use crate::kernel::Kernel;
use crate::layout::Layout;
use crate::process::{command, run};

const PLUGIN: &str = include_str!("insn_count.c");
const MACHINE: &str = "microvm,acpi=off,pit=on,pic=on,rtc=on,isa-serial=off,x-option-roms=off,auto-kernel-cmdline=off";
const COMMAND_LINE: &str =
    "reboot=k panic=-1 tsc=reliable tsc_early_khz=1000000 lpj=4000000 no_timer_check noapictimer";
const MEMORY_MIB: &str = "128";
/// Lines of each table.
const ROWS: usize = 16;

pub(super) fn measure(layout: &Layout, kernel: &Kernel) -> Result<Vec<Figure>> {
    let work = layout.bench();
    fs::create_dir_all(&work).with_context(|| format!("make {}", work.display()))?;
    let symbols =
        Symbols::parse(&fs::read_to_string(kernel.symbols()).context("read the kernel's symbols")?);
    let marks: Vec<String> = symbols
        .phases()
        .map(|(address, _)| format!("{address:x}"))
        .collect();
    fs::write(work.join("marks"), marks.join("\n"))?;
    fs::write(work.join("insn_count.c"), PLUGIN)?;
    fs::write(work.join("initramfs"), initramfs())?;
    run(command(
        "gcc",
        [
            "-O2",
            "-shared",
            "-fPIC",
            "-o",
            "insn_count.so",
            "insn_count.c",
        ],
    )
    .current_dir(&work))
    .context("compile the counting plugin")?;

    let counts = work.join("counts");
    match fs::remove_file(&counts) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).context("remove the last counts");
        }
        _ => {}
    }
    run(&mut emulator(&work, &kernel.image())).context("boot the guest kernel in QEMU")?;
    let text = fs::read_to_string(&counts).context("the guest kernel did not reach /init")?;
    let profile = Profile::parse(&text)?;
    ensure!(profile.total > 0, "the plugin counted nothing");

    let mut details = vec!["instructions by phase, up to the next one (millions):".to_owned()];
    details.extend(profile.phases(&symbols).iter().take(ROWS).map(line));
    details.push("instructions by function (millions):".to_owned());
    details.extend(profile.functions(&symbols).iter().take(ROWS).map(line));
    Ok(vec![Figure {
        about: "instructions from the kernel's entry to /init, 128 MiB",
        value: profile.total as f64 / 1e6,
        target: 40.0,
        unit: "M",
        details,
    }])
}

fn line((name, count): &(String, u64)) -> String {
    format!("  {:8.3}  {name}", *count as f64 / 1e6)
}

fn emulator(work: &Path, kernel: &Path) -> std::process::Command {
    let mut qemu = command("timeout", ["300", "qemu-system-x86_64", "-M", MACHINE]);
    qemu.args([
        "-accel",
        "tcg,thread=single",
        "-smp",
        "1",
        "-icount",
        "shift=0,sleep=off",
    ]);
    qemu.args([
        "-cpu",
        "max,-erms,-fsrm",
        "-m",
        MEMORY_MIB,
        "-nodefaults",
        "-no-user-config",
    ]);
    qemu.args([
        "-display",
        "none",
        "-no-reboot",
        "-append",
        COMMAND_LINE,
        "-initrd",
        "initramfs",
    ]);
    qemu.args(["-plugin", "./insn_count.so,out=counts,marks=marks"]);
    qemu.arg("-kernel").arg(kernel).current_dir(work);
    qemu
}

/// The smallest `/init`: the count ends at its first instruction.
fn initramfs() -> Vec<u8> {
    let mut archive = Archive::default();
    archive.directory("dev", Permissions(0o755));
    archive.character_device(
        "dev/console",
        Permissions(0o600),
        Device { major: 5, minor: 1 },
    );
    archive.file("init", Permissions(0o755), &endless_loop());
    archive.finish()
}

/// A static ELF program of one jump, where no kernel code can be.
fn endless_loop() -> Vec<u8> {
    const BASE: u64 = 0x1000_0000_0000;
    const CODE: &[u8] = &[0xeb, 0xfe];
    let start = 64 + 56;
    let size = start + CODE.len() as u64;
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    // An executable for x86-64, version 1.
    elf.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    // Entry, program headers, section headers.
    for field in [BASE + start, 64, 0] {
        elf.extend(field.to_le_bytes());
    }
    // Flags; sizes of this header and of a program header; one of those, no sections.
    elf.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    // PT_LOAD, readable and executable.
    elf.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    for field in [0, BASE, BASE, size, size, 0x1000] {
        elf.extend(field.to_le_bytes());
    }
    elf.extend(CODE);
    elf
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_program_is_as_long_as_its_headers_say() {
        let elf = endless_loop();
        assert_eq!(elf.len(), 64 + 56 + 2);
        assert_eq!(&elf[24..32], &(0x1000_0000_0000u64 + 120).to_le_bytes());
        assert_eq!(&elf[96..104], &122u64.to_le_bytes());
    }
}
