//! The registry and its client beside Debian's `docker-registry` and skopeo: same machine, same
//! disk, same run.
//!
//! Times on a busy machine say little. So everything runs in rounds, each server alone with an
//! empty folder, ours and theirs in turn, and what counts is the ratio of the two in a round: the
//! median of the rounds is the figure.

mod client;
mod content;
mod http;
mod load;
mod server;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Figure;
use crate::layout::Layout;
use crate::process::{command, run};
use client::{Clients, Unpacking, skopeo};
use content::Content;
use load::Load;
use server::{Memory, Server, Whose};

const ROUNDS: usize = 3;

/// What is timed on each server, in this order, and the ratio that is wanted.
const ROWS: &[(&str, f64, Load)] = &[
    ("push of 1 GiB in 10 layers", 1.0, load::push_large),
    ("pull of 1 GiB in 10 layers", 1.0, load::pull_large),
    (
        "push of small blobs, one after the other",
        0.5,
        load::push_alone,
    ),
    (
        "push of 4,800 small blobs, 16 at once",
        0.5,
        load::push_small,
    ),
    (
        "pull of 4,800 small blobs, 16 at once",
        0.5,
        load::pull_small,
    ),
    ("HEAD of a manifest, 64 at once", 1.0, load::heads),
];
/// The same with skopeo for a client.
const SKOPEO: [&str; 2] = ["skopeo push of 1 GiB", "skopeo pull of 1 GiB"];

/// One server's seconds in one round, a row each, and its memory at rest and at the end.
struct Round {
    seconds: Vec<f64>,
    memory: [Memory; 2],
}

pub(super) fn measure(layout: &Layout) -> Result<Vec<Figure>> {
    let programs = Programs::build(layout)?;
    let folder = layout.cargo_target().join("bench-registry");
    let _removed = Removed::make(&folder)?;
    eprintln!("bench: making an image of 1 GiB");
    let content = Content::make(&folder)?;
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    let mut clients = Clients::default();
    let mut unpacking = Unpacking::default();
    let archive = Unpacking::archive(&folder)?;
    for number in 0..ROUNDS {
        eprintln!("bench: round {} of {ROUNDS}", number + 1);
        let mut turns = [(Whose::Ours, &mut ours), (Whose::Debian, &mut theirs)];
        // Who is first finds the disk as the other left it.
        if number % 2 == 1 {
            turns.reverse();
        }
        for (whose, rounds) in turns {
            let served = folder.join("served");
            let server = Server::start(whose, &programs.hull, served)?;
            let round = round(&server, &content, &folder)?;
            // Whoever waits for an hour's figures sees that they come.
            eprintln!("bench: {whose:?}: {:.2?} s", round.seconds);
            rounds.push(round);
        }
        clients.round(&programs.transfer, &content, &folder)?;
        unpacking.round(&programs.unpack, &archive, &folder)?;
    }
    let mut figures = Vec::new();
    let rows = ROWS.iter().map(|(about, target, _)| (*about, *target));
    let rows = rows.chain(SKOPEO.map(|about| (about, 1.0)));
    for (row, (about, target)) in rows.enumerate() {
        let (ours, theirs) = (column(&ours, row), column(&theirs, row));
        figures.push(compared(about, target, ("docker-registry", &ours, &theirs)));
    }
    figures.push(at_rest(&ours, &theirs));
    figures.push(at_peak(&ours, &theirs));
    figures.extend(clients.figures());
    figures.push(unpacking.figure());
    Ok(figures)
}

/// What is measured, optimised. Nothing here needs a kernel or a VM.
struct Programs {
    hull: PathBuf,
    transfer: PathBuf,
    unpack: PathBuf,
}

impl Programs {
    fn build(layout: &Layout) -> Result<Programs> {
        let build = |arguments: &[&str]| {
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let mut cargo = command(cargo, ["build", "--quiet", "--release", "--package"]);
            run(cargo.args(arguments).current_dir(layout.root()))
        };
        build(&["hull-cli"]).context("build hull")?;
        build(&["hull-images", "--examples"]).context("build the examples")?;
        let release = layout.cargo_target().join("release");
        Ok(Programs {
            hull: release.join("hull"),
            transfer: release.join("examples/transfer"),
            unpack: release.join("examples/unpack"),
        })
    }
}

fn round(server: &Server, content: &Content, folder: &Path) -> Result<Round> {
    let rest = server.memory()?;
    let mut seconds = Vec::new();
    for (about, _, load) in ROWS {
        let time = load(server.address, content).with_context(|| (*about).to_owned())?;
        seconds.push(time);
    }
    let remote = format!("docker://{}/bench/skopeo:1", server.address);
    let image = format!("oci:{}:1", content.image.display());
    let out = folder.join("pulled");
    let pulled = format!("oci:{}:1", out.display());
    seconds.push(skopeo(&image, &remote)?);
    let _removed = Removed::make(&out)?;
    seconds.push(skopeo(&remote, &pulled)?);
    let memory = [rest, server.memory()?];
    Ok(Round { seconds, memory })
}

/// A row's seconds, round by round.
fn column(rounds: &[Round], row: usize) -> Vec<f64> {
    let seconds = rounds.iter().filter_map(|round| round.seconds.get(row));
    seconds.copied().collect()
}

/// Our seconds beside those of another, round by round.
fn compared(
    about: &'static str,
    target: f64,
    (other, ours, theirs): (&str, &[f64], &[f64]),
) -> Figure {
    let rounds = ours.iter().zip(theirs);
    let ratios: Vec<f64> = rounds.map(|(own, their)| own / their).collect();
    let (own, their) = (median(ours), median(theirs));
    let mut detail = format!("{about}: {own:.2} s, {other} {their:.2} s; by rounds");
    for ratio in &ratios {
        detail.push_str(&format!(" {ratio:.2}"));
    }
    if about.starts_with("HEAD") {
        let rate = |seconds| load::HEAD_REQUESTS as f64 / seconds;
        let (own, their) = (rate(own), rate(their));
        detail.push_str(&format!(" ({own:.0} and {their:.0} a second)"));
    }
    Figure {
        about,
        value: median(&ratios),
        target,
        unit: "times",
        details: vec![detail],
    }
}

fn at_rest(ours: &[Round], theirs: &[Round]) -> Figure {
    let rest = |rounds: &[Round]| {
        let mib = rounds.iter().map(|round| round.memory[0].now);
        median(&mib.collect::<Vec<_>>())
    };
    Figure {
        about: "the registry's memory at rest",
        value: rest(ours),
        target: rest(theirs),
        unit: "MiB",
        details: Vec::new(),
    }
}

fn at_peak(ours: &[Round], theirs: &[Round]) -> Figure {
    let peak = |rounds: &[Round]| {
        let mib = rounds.iter().map(|round| round.memory[1].peak);
        mib.fold(0.0, f64::max)
    };
    Figure {
        about: "the registry's memory at its peak",
        value: peak(ours),
        target: 64.0,
        unit: "MiB",
        details: vec![format!("docker-registry's peak: {:.1} MiB", peak(theirs))],
    }
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A folder that goes with the value.
struct Removed(PathBuf);

impl Removed {
    /// Makes it, empty.
    fn make(folder: &Path) -> Result<Removed> {
        if folder.exists() {
            std::fs::remove_dir_all(folder)?;
        }
        std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        Ok(Removed(folder.to_owned()))
    }
}

impl Drop for Removed {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("bench: {} stays: {error}", self.0.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_the_median_of_the_rounds_ratios() {
        let figure = compared("push", 1.0, ("other", &[1.0, 9.0, 2.0], &[2.0, 9.0, 8.0]));
        assert!((figure.value - 0.5).abs() < 1e-9, "{}", figure.value);
        assert!(figure.details[0].contains("2.00 s, other 8.00 s; by rounds 0.50"));
    }

    #[test]
    fn an_odd_one_does_not_move_the_median() {
        assert!((median(&[3.0, 100.0, 1.0]) - 3.0).abs() < f64::EPSILON);
        assert!(median(&[]).is_nan());
    }
}
