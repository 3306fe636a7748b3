//! Chores: everything a person or CI does to this repository, one file each.
//!
//! `cargo xtask <chore>`; `cargo xtask help` lists them. The Makefile and CI call
//! these and nothing else, so that all three do the same thing. It depends on next
//! to nothing, because every chore waits for it to compile.

mod arguments;
mod bench;
mod bootstrap;
mod build;
mod busybox;
mod clients;
mod conformance;
mod cpio;
mod demo;
mod e2e;
mod fuzz;
mod initramfs;
mod install;
mod kernel;
mod layout;
mod pack;
mod packages;
mod place;
mod process;
mod steps;
mod summary;
mod test;
mod tidy;

use std::process::ExitCode;

use anyhow::{Result, bail};

use arguments::Arguments;
use layout::Layout;

type Chore = fn(&Layout, Arguments) -> Result<()>;

/// Name, options, what it does, and the function that does it.
const CHORES: &[(&str, &str, &str, Chore)] = &[
    (
        "bootstrap",
        "",
        "install the Debian packages that are missing",
        bootstrap::run,
    ),
    (
        "kernel",
        "",
        "build the guest kernel, or take it from the cache",
        kernel::run,
    ),
    (
        "build",
        "[--debug]",
        "lay out programs, kernel and initramfs in target/hull",
        build::run,
    ),
    (
        "test",
        "[--no-e2e]",
        "format, lints, tidy, unit tests, then e2e",
        test::run,
    ),
    (
        "e2e",
        "[FILTER...]",
        "end-to-end tests, in the emulated machine where KVM needs it",
        e2e::run,
    ),
    (
        "bench",
        "[FIGURE...]",
        "measure the figures that are tracked",
        bench::run,
    ),
    (
        "fuzz",
        "[--seconds N] [TARGET...]",
        "feed hostile bytes to whatever parses them",
        fuzz::run,
    ),
    (
        "conformance",
        "--suite PATH [--profile NAME]",
        "run the OCI distribution suite against our registry",
        conformance::run,
    ),
    (
        "tidy",
        "",
        "check the style rules that a program can check",
        tidy::run,
    ),
    (
        "install",
        "[--prefix DIR] [--destdir DIR]",
        "copy target/hull into the system",
        install::run,
    ),
    (
        "demo",
        "",
        "from nothing to hello world in a microVM",
        demo::run,
    ),
];

fn main() -> ExitCode {
    match dispatch() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let verb = words.next().unwrap_or_else(|| "help".to_owned());
    if matches!(verb.as_str(), "help" | "--help" | "-h") {
        print!("{}", usage());
        return Ok(());
    }
    let Some((_, _, _, chore)) = CHORES.iter().find(|(name, ..)| *name == verb) else {
        bail!("unknown chore {verb:?}\n{}", usage());
    };
    chore(&Layout::find(), Arguments::new(words))
}

fn usage() -> String {
    let mut text = String::from("usage: cargo xtask <chore> [option...]\n\n");
    for (name, options, about, _) in CHORES {
        text.push_str(&format!("  {:<42} {about}\n", format!("{name} {options}")));
    }
    text
}
