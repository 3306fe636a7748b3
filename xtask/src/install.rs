//! `install`: copies `target/hull` into the system, with a systemd unit for the
//! daemon. Files are replaced by renaming, so what runs keeps running.
//!
//! ```text
//! PREFIX/bin/{hull,hulld}            links into PREFIX/lib/hull/bin
//! PREFIX/lib/hull/bin/…              all four programs
//! PREFIX/lib/hull/lib/…              guest kernel and initramfs
//! PREFIX/lib/systemd/system/hulld.service
//! PREFIX/share/…                     manual pages, completions
//! ```
//! The programs find each other and `../lib` relative to where they really are, so
//! `PREFIX/lib/hull` has the shape of `target/hull`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::arguments::Arguments;
use crate::build::{self, Effort, place};
use crate::layout::Layout;

const LINKED: &[&str] = &["hull", "hulld"];

pub(crate) fn run(layout: &Layout, mut arguments: Arguments) -> Result<()> {
    let prefix = PathBuf::from(
        arguments
            .value("--prefix")?
            .unwrap_or_else(|| "/usr/local".to_owned()),
    );
    let destination = arguments
        .value("--destdir")?
        .filter(|path| !path.is_empty())
        .map(PathBuf::from);
    arguments.finish()?;
    ensure!(prefix.is_absolute(), "--prefix wants an absolute path");
    build::everything(layout, Effort::Release)?;
    install(&layout.hull(), &prefix, destination.as_deref())?;
    println!(
        "install: done; start the daemon with: systemctl daemon-reload && systemctl enable --now hulld"
    );
    Ok(())
}

/// `destination` is where a packager collects files; the paths in them are without it.
fn install(built: &Path, prefix: &Path, destination: Option<&Path>) -> Result<()> {
    let root = match (destination, prefix.strip_prefix("/")) {
        (Some(destination), Ok(inner)) => destination.join(inner),
        _ => prefix.to_path_buf(),
    };
    for folder in ["bin", "lib"] {
        let (from, to) = (built.join(folder), root.join("lib/hull").join(folder));
        make(&to)?;
        for entry in fs::read_dir(&from).with_context(|| format!("list {}", from.display()))? {
            let entry = entry?;
            place(&entry.path(), &to.join(entry.file_name()))?;
        }
    }
    make(&root.join("bin"))?;
    for program in LINKED {
        let link = root.join("bin").join(program);
        let aside = root.join("bin").join(format!("{program}.new"));
        symlink(format!("../lib/hull/bin/{program}"), &aside)
            .with_context(|| format!("link {}", aside.display()))?;
        fs::rename(&aside, &link).with_context(|| format!("rename to {}", link.display()))?;
    }
    share(&built.join("share"), &root.join("share"))?;
    let units = root.join("lib/systemd/system");
    make(&units)?;
    let unit = units.join("hulld.service");
    fs::write(&unit, unit_text(prefix)).with_context(|| format!("write {}", unit.display()))
}

/// Copies a folder with all that is below it.
fn share(from: &Path, to: &Path) -> Result<()> {
    make(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("list {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => share(&entry.path(), &target)?,
            false => place(&entry.path(), &target)?,
        }
    }
    Ok(())
}

fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))
}

/// `KillMode=process`: virtual machines outlive the daemon, which finds them again.
/// `Delegate`: it makes a control group for each of them.
fn unit_text(prefix: &Path) -> String {
    format!(
        "[Unit]
Description=Hull, containers in virtual machines of their own
After=network.target

[Service]
ExecStart={}/lib/hull/bin/hulld
Restart=always
KillMode=process
Delegate=yes
LimitNOFILE=1048576
TasksMax=infinity

[Install]
WantedBy=multi-user.target
",
        prefix.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_linked_to_a_tree_shaped_like_the_build() {
        let folder = tempfile::tempdir().unwrap();
        let built = folder.path().join("built");
        for (file, text) in [
            ("bin/hull", "cli"),
            ("bin/hulld", "daemon"),
            ("lib/vmlinux", "kernel"),
            ("share/man/man1/hull.1", "manual"),
        ] {
            make(built.join(file).parent().unwrap()).unwrap();
            fs::write(built.join(file), text).unwrap();
        }
        let staging = folder.path().join("staging");
        for _again in 0..2 {
            install(&built, Path::new("/opt"), Some(&staging)).unwrap();
        }
        assert_eq!(
            fs::read_to_string(staging.join("opt/bin/hull")).unwrap(),
            "cli"
        );
        let real = fs::canonicalize(staging.join("opt/bin/hulld")).unwrap();
        assert_eq!(
            fs::read_to_string(real.parent().unwrap().join("../lib/vmlinux")).unwrap(),
            "kernel"
        );
        let page = staging.join("opt/share/man/man1/hull.1");
        assert_eq!(fs::read_to_string(page).unwrap(), "manual");
        let unit =
            fs::read_to_string(staging.join("opt/lib/systemd/system/hulld.service")).unwrap();
        assert!(
            unit.contains("ExecStart=/opt/lib/hull/bin/hulld\n"),
            "{unit}"
        );
    }
}
