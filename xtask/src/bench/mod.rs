//! `bench`: the figures that are tracked, one file each.
//!
//! Each prints its measured value beside its target; a missed target is said, and
//! is not an error: a bench informs, tests decide.

mod boot_instructions;
mod kernel_build;
mod kernel_size;
mod profile;
mod registry;
mod vm_start;

use anyhow::{Result, bail};

use crate::arguments::Arguments;
use crate::kernel::{self, Kernel};
use crate::layout::Layout;

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
