//! What a VM's start takes: time up to the guest and to its agent, memory of the VMM's own, and
//! memory that an idle guest has touched.
//!
//! Measured by `hull-figures` of the end-to-end tests, which starts `hull-vmm` where KVM runs
//! guests. Elsewhere that is an emulated machine of its own, whose clocks count instructions, one
//! each nanosecond: the times repeat, and two hosts agree.

use std::process::Command;

use anyhow::{Context, Result};

use super::machine::Machine;
use super::{Figure, text, value};
use crate::build::{self, Effort};
use crate::kernel::Kernel;
use crate::layout::Layout;
use crate::place::Place;
use crate::process::read;

const PROGRAM: &str = "hull-figures";
/// The name of the emulated machine that counts.
const MACHINE: &str = "bench";

pub(super) fn measure(layout: &Layout, _: &Kernel) -> Result<Vec<Figure>> {
    build::everything(layout, Effort::Release)?;
    super::build_test_program(layout, PROGRAM)?;
    let place = Place::choose(layout)?;
    let program = layout.cargo_target().join("debug").join(PROGRAM);
    let output = match place {
        Place::Host => read(&mut Command::new(program)),
        Place::Machine(_) => {
            // It does not rest while it idles.
            let counting = Machine {
                layout,
                name: MACHINE,
                size: ("HULL_MACHINE_CPUS", "1"),
                options: &["--count-instructions"],
            };
            read(&mut counting.exec(&program))
        }
    }
    .with_context(|| format!("run {PROGRAM} {}", place.describe()))?;
    figures(&output)
}

fn figures(output: &str) -> Result<Vec<Figure>> {
    let time = |name, about, target| -> Result<Figure> {
        Ok(Figure {
            about,
            value: value(PROGRAM, output, name)?,
            target,
            unit: "ms",
            details: Vec::new(),
        })
    };
    Ok(vec![
        time("vmm_to_guest_ms", "from exec of the VMM to the guest", 12.0)?,
        time(
            "exec_to_agent_ms",
            "from exec of the VMM to an agent that listens",
            56.8,
        )?,
        memory(output, "vmm_private_kib", "memory of the VMM's own", 1.0)?,
        Figure {
            details: vec![format!(
                "{:.2} MiB of memory when the agent listens",
                value(PROGRAM, output, "guest_started_kib")? / 1024.0
            )],
            ..memory(
                output,
                "guest_idle_kib",
                "memory an idle guest of 128 MiB has",
                24.0,
            )?
        },
        Figure {
            details: vec![format!(
                "pages in use of each 2 MiB:{}",
                text(PROGRAM, output, "guest_pages")?
            )],
            ..memory(
                output,
                "guest_small_pages_kib",
                "the same on a host without huge pages",
                24.0,
            )?
        },
    ])
}

fn memory(output: &str, name: &str, about: &'static str, target: f64) -> Result<Figure> {
    let value = value(PROGRAM, output, name)? / 1024.0;
    Ok(Figure {
        about,
        value,
        target,
        unit: "MiB",
        details: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_is_wanted() {
        let lines = [
            "vmm_to_guest_ms 12.21",
            "exec_to_agent_ms 51.8",
            "vmm_private_kib 256",
            "guest_started_kib 4096",
            "guest_idle_kib 2048",
            "guest_small_pages_kib 1024",
            "guest_pages 256 0 0",
        ];
        let values: Vec<f64> = figures(&lines.join("\n"))
            .unwrap()
            .iter()
            .map(|figure| figure.value)
            .collect();
        assert_eq!(values, [12.21, 51.8, 0.25, 2.0, 1.0]);
        for missing in 0..lines.len() {
            let mut fewer = lines.to_vec();
            fewer.remove(missing);
            assert!(figures(&fewer.join("\n")).is_err(), "{missing}");
        }
    }
}
