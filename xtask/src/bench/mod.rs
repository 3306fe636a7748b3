//! `bench`: the figures that are tracked, one file each.
//!
//! Each prints its measured value beside its target; a missed target is said, and
//! is not an error: a bench informs, tests decide.

mod boot_instructions;
mod containers;
mod kernel_build;
mod kernel_size;
mod machine;
mod profile;
mod registry;
mod vm_start;

use anyhow::{Context, Result, bail};

use crate::arguments::Arguments;
use crate::kernel::{self, Kernel};
use crate::layout::Layout;
use crate::process::{command, run as run_command};

enum Measure {
    Kernel(fn(&Layout, &Kernel) -> Result<Vec<Figure>>),
    /// Needs no kernel, which takes a while to build.
    Programs(fn(&Layout) -> Result<Vec<Figure>>),
}

const FIGURES: &[(&str, Measure)] = &[
    ("kernel-size", Measure::Kernel(kernel_size::measure)),
    ("kernel-build", Measure::Kernel(kernel_build::measure)),
    (
        "boot-instructions",
        Measure::Kernel(boot_instructions::measure),
    ),
    ("vm-start", Measure::Kernel(vm_start::measure)),
    ("registry", Measure::Programs(registry::measure)),
    ("containers", Measure::Kernel(containers::measure)),
];

impl Measure {
    fn run(&self, layout: &Layout) -> Result<Vec<Figure>> {
        match self {
            Measure::Kernel(measure) => measure(layout, &kernel::ensure_built(layout)?),
            Measure::Programs(measure) => measure(layout),
        }
    }
}

/// One measured value, its target, and where it goes.
struct Figure {
    about: &'static str,
    value: f64,
    target: f64,
    unit: &'static str,
    details: Vec<String>,
}

pub(crate) fn run(layout: &Layout, arguments: Arguments) -> Result<()> {
    let wanted = arguments.words()?;
    if let Some(unknown) = wanted
        .iter()
        .find(|name| !FIGURES.iter().any(|(known, _)| known == name))
    {
        let known: Vec<&str> = FIGURES.iter().map(|(name, _)| *name).collect();
        bail!(
            "no figure named {unknown:?}; there are: {}",
            known.join(", ")
        );
    }
    let mut rows = Vec::new();
    for (name, measure) in FIGURES {
        if !wanted.is_empty() && !wanted.iter().any(|word| word == name) {
            continue;
        }
        match measure.run(layout) {
            Ok(figures) => {
                for figure in figures {
                    figure
                        .details
                        .iter()
                        .for_each(|detail| println!("{detail}"));
                    rows.push(row(name, &figure));
                }
            }
            // The others are still worth having.
            Err(error) => rows.push(format!("{name:<20} not measured: {error:#}")),
        }
    }
    println!();
    for row in rows {
        println!("{row}");
    }
    Ok(())
}

/// Builds a program of the end-to-end tests that measures from inside the place where VMs run.
fn build_test_program(layout: &Layout, name: &str) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut cargo = command(cargo, ["build", "--quiet", "--package", "hull-tests"]);
    run_command(cargo.args(["--bin", name]).current_dir(layout.root()))
        .with_context(|| format!("build {name}"))
}

/// What `program` printed on the line that `name` starts, without it.
fn text<'o>(program: &str, output: &'o str, name: &str) -> Result<&'o str> {
    output
        .lines()
        .find_map(|line| line.strip_prefix(name).filter(|rest| rest.starts_with(' ')))
        .with_context(|| format!("{program} printed no {name}"))
}

/// The number on the line that `name` starts.
fn value(program: &str, output: &str, name: &str) -> Result<f64> {
    let text = text(program, output, name)?;
    text.trim()
        .parse()
        .with_context(|| format!("{program} printed {name} {text:?}"))
}

fn row(name: &str, figure: &Figure) -> String {
    let verdict = if figure.value <= figure.target {
        "met"
    } else {
        "missed"
    };
    let Figure {
        about,
        value,
        target,
        unit,
        ..
    } = figure;
    format!("{name:<20} {value:8.2} {unit:<6} target {target:6.1} {verdict:<7} {about}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_by_its_whole_name() {
        let output = "vmm_private_kib_max 9\nvmm_private_kib 512\r\n";
        let value = |name| value("p", output, name);
        assert!((value("vmm_private_kib").unwrap() - 512.0).abs() < f64::EPSILON);
        assert!(value("vmm").is_err());
        assert!(super::value("p", "vmm_private_kib much", "vmm_private_kib").is_err());
    }

    #[test]
    fn a_row_says_whether_the_target_is_met() {
        let mut figure = Figure {
            about: "size",
            value: 12.0,
            target: 12.0,
            unit: "MiB",
            details: Vec::new(),
        };
        assert!(row("kernel-size", &figure).contains(" met "));
        figure.value = 12.1;
        assert!(row("kernel-size", &figure).contains(" missed "));
    }
}
