//! Containers beside Debian's `docker.io` with runc and Podman with crun, in one run in one machine.
//!
//! The peers' packages are unpacked below `target`, not installed: one of them would start a daemon.
//! `hull-bench` of the end-to-end tests starts each engine in turn and measures it. In the emulated
//! machine everything is slow in the same way, so the ratios are what counts, and less data is moved.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::machine::Machine;
use super::{Figure, value};
use crate::build::{self, Effort};
use crate::busybox;
use crate::kernel::Kernel;
use crate::layout::Layout;
use crate::place::Place;
use crate::process::{command, run, watch};

const PROGRAM: &str = "hull-bench";
/// The emulated machine, and how much is made in it instead of what a host can take: a start takes
/// the peers half a minute there.
const MACHINE: &str = "bench-containers";
const MACHINE_MEMORY_MIB: &str = "8192";
const MACHINE_AMOUNTS: [&str; 6] = ["--idle", "10", "--listed", "50", "--mebibytes", "16"];

/// What the peers are made of, and what their programs need that this host may lack.
const PACKAGES: &[&str] = &[
    "docker.io",
    "containerd",
    "runc",
    "tini",
    "podman",
    "crun",
    "conmon",
    "libdevmapper1.02.1",
    "libgpgme11",
    "libassuan0",
    "libsubid4",
    "libyajl2",
];

/// What each row is, its target as a share of the better peer's, and its unit.
const ROWS: &[(&str, &str, f64)] = &[
    ("run_rm_true_s", "run --rm busybox true", 1.0),
    ("exec_true_s", "exec true", 1.0),
    ("ps_s", "ps -a with 200 containers (50 in the machine)", 1.0),
    (
        "log_written_s",
        "run of what writes 1 GiB (16 MiB in the machine)",
        1.0,
    ),
    ("logs_s", "logs of 1 GiB (16 MiB in the machine)", 1.0),
    ("copy_out_s", "cp of 1 GiB out (16 MiB in the machine)", 1.0),
    ("copy_in_s", "cp of 1 GiB in (16 MiB in the machine)", 1.0),
];

pub(super) fn measure(layout: &Layout, _: &Kernel) -> Result<Vec<Figure>> {
    build::everything(layout, Effort::Release)?;
    busybox::make(layout)?;
    super::build_test_program(layout, PROGRAM)?;
    let peers = peers(layout)?;
    let program = layout.cargo_target().join("debug").join(PROGRAM);
    let arguments = |command: &mut Command| {
        command.arg("--peers").arg(&peers);
    };
    let seen = match Place::choose(layout)? {
        Place::Host => {
            let mut bench = Command::new(program);
            arguments(&mut bench);
            watch(bench.args(["hull", "docker", "podman"]))
        }
        Place::Machine(_) => {
            let machine = Machine {
                layout,
                name: MACHINE,
                size: ("HULL_MACHINE_MEMORY", MACHINE_MEMORY_MIB),
                options: &[],
            };
            let mut bench = machine.exec(&program);
            arguments(&mut bench);
            watch(
                bench
                    .args(MACHINE_AMOUNTS)
                    .args(["hull", "docker", "podman"]),
            )
        }
    }
    .with_context(|| format!("run {PROGRAM}"))?;
    anyhow::ensure!(
        seen.status.success(),
        "{PROGRAM} ended with {}",
        seen.status
    );
    figures(&seen.output)
}

fn figures(output: &str) -> Result<Vec<Figure>> {
    let of = |engine: &str, row: &str| value(PROGRAM, output, &format!("{engine} {row}"));
    let mut figures = Vec::new();
    for (row, about, target) in ROWS {
        let [hull, docker, podman] = ["hull", "docker", "podman"].map(|engine| of(engine, row));
        let (hull, docker, podman) = (hull?, docker?, podman?);
        figures.push(Figure {
            about,
            value: hull / docker.min(podman),
            target: *target,
            unit: "times",
            details: vec![format!(
                "{about}: {hull:.2} s, docker {docker:.2} s, podman {podman:.2} s"
            )],
        });
    }
    let mib = |engine| -> Result<f64> { Ok(of(engine, "idle_kib")? / 1024.0) };
    figures.push(Figure {
        about: "memory of an idle container, its guest included",
        value: mib("hull")?,
        target: 26.0,
        unit: "MiB",
        details: vec![format!(
            "an idle container: {:.1} MiB, docker {:.1}, podman {:.1}",
            mib("hull")?,
            mib("docker")?,
            mib("podman")?
        )],
    });
    Ok(figures)
}

/// The peers' programs, unpacked once.
fn peers(layout: &Layout) -> Result<PathBuf> {
    let folder = layout.cargo_target().join("bench-peers");
    let done = folder.join("done");
    if done.exists() {
        return Ok(folder);
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let mut apt = command("apt-get", ["-q", "download"]);
    // It would read its files as a user of its own, which may not come here.
    apt.args(["-o", "APT::Sandbox::User=root"]);
    run(apt.args(PACKAGES).current_dir(&folder)).context("fetch the peers' packages")?;
    for package in std::fs::read_dir(&folder)? {
        let package = package?.path();
        if package.extension().is_some_and(|end| end == "deb") {
            unpack(&package, &folder)?;
        }
    }
    std::fs::write(&done, "")?;
    Ok(folder)
}

fn unpack(package: &Path, folder: &Path) -> Result<()> {
    run(command("dpkg-deb", ["-x"]).arg(package).arg(folder))
        .with_context(|| format!("unpack {}", package.display()))?;
    std::fs::remove_file(package)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_wanted_of_every_engine() {
        let mut lines = Vec::new();
        for (engine, factor) in [("hull", 2.0), ("docker", 1.0), ("podman", 4.0)] {
            for (row, ..) in ROWS {
                lines.push(format!("{engine} {row} {factor}"));
            }
            lines.push(format!("{engine} idle_kib {}", 1024.0 * factor));
        }
        let values: Vec<f64> = figures(&lines.join("\n"))
            .unwrap()
            .iter()
            .map(|figure| figure.value)
            .collect();
        assert_eq!(values, [2.0; 8]);
        for missing in 0..lines.len() {
            let mut fewer = lines.clone();
            fewer.remove(missing);
            assert!(figures(&fewer.join("\n")).is_err(), "{missing}");
        }
    }
}
