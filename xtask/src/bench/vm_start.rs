//! What a VM takes: memory of the VMM's own, and memory that its guest touches.
//!
//! Measured by `hull-figures` of the end-to-end tests, which starts `hull-vmm` where
//! KVM runs guests. It also takes times; in the emulated machine those say nothing,
//! as its clock does not count instructions, so they are shown only on real KVM.

use anyhow::{Context, Result};

use super::Figure;
use crate::build::{self, Effort};
use crate::kernel::Kernel;
use crate::layout::Layout;
use crate::place::Place;
use crate::process::{command, read, run};

const PROGRAM: &str = "hull-figures";

pub(super) fn measure(layout: &Layout, _: &Kernel) -> Result<Vec<Figure>> {
    build::everything(layout, Effort::Release)?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    run(command(
        cargo,
        [
            "build",
            "--quiet",
            "--package",
            "hull-tests",
            "--bin",
            PROGRAM,
        ],
    )
    .current_dir(layout.root()))
    .context("build hull-figures")?;
    let place = Place::choose(layout)?;
    let program = layout.cargo_target().join("debug").join(PROGRAM);
    let output = read(&mut place.command(layout, &program))
        .with_context(|| format!("run {PROGRAM} {}", place.describe()))?;

    let mut figures = vec![
        memory(&output, "vmm_private_kib", "memory of the VMM's own", 1.0)?,
        memory(
            &output,
            "guest_private_kib",
            "memory an idle guest has touched, of 128 MiB",
            24.0,
        )?,
    ];
    if matches!(place, Place::Host) {
        figures.push(Figure {
            about: "from exec of the VMM to the agent's answer",
            value: value(&output, "exec_to_agent_ms")?,
            target: 56.8,
            unit: "ms",
            details: Vec::new(),
        });
    }
    Ok(figures)
}

fn memory(output: &str, name: &str, about: &'static str, target: f64) -> Result<Figure> {
    let value = value(output, name)? / 1024.0;
    Ok(Figure {
        about,
        value,
        target,
        unit: "MiB",
        details: Vec::new(),
    })
}

/// The number on the line that `name` starts.
fn value(output: &str, name: &str) -> Result<f64> {
    let line = output
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let text = line.with_context(|| format!("{PROGRAM} printed no {name}"))?;
    text.trim()
        .parse()
        .with_context(|| format!("{PROGRAM} printed {name} {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_by_its_whole_name() {
        let output = "vmm_private_kib_max 9\nvmm_private_kib 512\r\n";
        assert!((value(output, "vmm_private_kib").unwrap() - 512.0).abs() < f64::EPSILON);
        assert!(value(output, "vmm").is_err());
        assert!(value("vmm_private_kib much", "vmm_private_kib").is_err());
    }
}
