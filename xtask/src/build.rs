//! `build`: programs, kernel and initramfs, laid out in `target/hull` the way they
//! are installed.
//!
//! The programs that run where no shared library can be found are linked
//! statically: the agent is alone in its guest, and the VMM lives in an empty root.
//! They are built for an explicit target, so that the flags for static linking do
//! not reach build scripts and procedural macros, which cannot be static.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};

use crate::arguments::Arguments;
use crate::layout::Layout;
use crate::process::{command, run as run_command};
use crate::{initramfs, kernel};

const STATIC_TARGET: &str = "x86_64-unknown-linux-gnu";

/// How much time to spend on optimising.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    Release,
    /// hull and hulld unoptimised, as they are the ones that change most.
    Debug,
}

pub(crate) fn run(layout: &Layout, mut arguments: Arguments) -> Result<()> {
    let effort = if arguments.flag("--debug") {
        Effort::Debug
    } else {
        Effort::Release
    };
    arguments.finish()?;
    everything(layout, effort)
}

pub(crate) fn everything(layout: &Layout, effort: Effort) -> Result<()> {
    let started = Instant::now();
    for folder in ["bin", "lib"] {
        let path = layout.hull().join(folder);
        fs::create_dir_all(&path).with_context(|| format!("make {}", path.display()))?;
    }
    let profile = match effort {
        Effort::Release => "release",
        Effort::Debug => "dev",
    };
    static_program(layout, "hull-vmm", "release")?;
    static_program(layout, "hull-agent", "guest")?;
    if initramfs::write(&layout.bin("hull-agent"), &layout.lib("initramfs"))? {
        println!("build: wrote {}", layout.lib("initramfs").display());
    }
    place(
        &kernel::ensure_built(layout)?.image(),
        &layout.lib("vmlinux"),
    )?;
    host_programs(
        layout,
        &["hull-cli", "hull-daemon"],
        &["hull", "hulld"],
        profile,
    )?;
    reference(layout)?;
    println!(
        "build: {} is up to date ({:.1} s)",
        layout.hull().display(),
        started.elapsed().as_secs_f32()
    );
    Ok(())
}

/// Where completions of each shell are looked for, below a prefix.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "bash-completion/completions/hull"),
    ("fish", "fish/vendor_completions.d/hull.fish"),
    ("zsh", "zsh/site-functions/_hull"),
];

/// The manual and the completions, by the program that they are of.
fn reference(layout: &Layout) -> Result<()> {
    let (hull, share) = (layout.bin("hull"), layout.hull().join("share"));
    run_command(command(&hull, ["man"]).arg(share.join("man/man1"))).context("write the manual")?;
    for (shell, path) in COMPLETIONS {
        let output = command(&hull, ["completion", shell])
            .output()
            .with_context(|| format!("run {}", hull.display()))?;
        anyhow::ensure!(output.status.success(), "no completions for {shell}");
        let path = share.join(path);
        let folder = path.parent().unwrap_or(&share);
        fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        fs::write(&path, output.stdout).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

fn host_programs(
    layout: &Layout,
    packages: &[&str],
    programs: &[&str],
    profile: &str,
) -> Result<()> {
    let mut cargo = cargo_build(layout, profile);
    for package in packages {
        cargo.args(["--package", package]);
    }
    run_command(&mut cargo).context("build hull and hulld")?;
    for program in programs {
        place(
            &layout.cargo_target().join(folder(profile)).join(program),
            &layout.bin(program),
        )?;
    }
    Ok(())
}

/// Builds the package's program of the same name.
fn static_program(layout: &Layout, name: &str, profile: &str) -> Result<()> {
    let mut cargo = cargo_build(layout, profile);
    cargo.args(["--target", STATIC_TARGET, "--package", name, "--bin", name]);
    cargo.env("RUSTFLAGS", "-C target-feature=+crt-static");
    run_command(&mut cargo).with_context(|| format!("build {name}"))?;
    place(
        &layout
            .cargo_target()
            .join(STATIC_TARGET)
            .join(folder(profile))
            .join(name),
        &layout.bin(name),
    )
}

fn cargo_build(layout: &Layout, profile: &str) -> std::process::Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = command(cargo, ["build", "--quiet", "--profile", profile]);
    command.current_dir(layout.root());
    command
}

fn folder(profile: &str) -> &str {
    if profile == "dev" { "debug" } else { profile }
}

/// Puts a copy under its final name, unless it is the same already: what runs from
/// the old file keeps it, and what has not changed keeps its time.
pub(crate) fn place(from: &Path, to: &Path) -> Result<()> {
    let content = fs::read(from).with_context(|| format!("read {}", from.display()))?;
    if fs::read(to).is_ok_and(|old| old == content) {
        return Ok(());
    }
    let mut aside = to.as_os_str().to_owned();
    aside.push(".new");
    let aside = PathBuf::from(aside);
    fs::copy(from, &aside)
        .with_context(|| format!("copy {} to {}", from.display(), aside.display()))?;
    fs::rename(&aside, to).with_context(|| format!("rename to {}", to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn place_replaces_a_file_only_when_it_differs() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::write(&from, "one").unwrap();
        place(&from, &to).unwrap();
        let first = fs::metadata(&to).unwrap().ino();
        place(&from, &to).unwrap();
        assert_eq!(fs::metadata(&to).unwrap().ino(), first);
        fs::write(&from, "two").unwrap();
        place(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(&to).unwrap(), "two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
