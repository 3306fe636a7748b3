//! The Debian packages that are needed (`packages.txt`) and which are missing.

use anyhow::{Context, Result, bail};

use crate::process::command;

/// A package and why it is needed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) reason: String,
}

/// The list that ships with this program.
pub(crate) fn needed() -> Result<Vec<Package>> {
    parse(include_str!("../packages.txt")).context("read xtask/packages.txt")
}

/// Those of `packages` that are not installed.
pub(crate) fn missing(packages: Vec<Package>) -> Result<Vec<Package>> {
    // dpkg-query fails when it does not know one of the names, and still lists the others.
    let output = command(
        "dpkg-query",
        ["--show", "--showformat=${Package} ${db:Status-Status}\n"],
    )
    .args(packages.iter().map(|package| &package.name))
    .output()
    .context("run dpkg-query (the chores need a Debian system)")?;
    let installed = installed(&String::from_utf8_lossy(&output.stdout));
    Ok(packages
        .into_iter()
        .filter(|package| !installed.contains(&package.name))
        .collect())
}

/// One package a line: its name, blanks, its reason. `#` starts a comment line.
fn parse(text: &str) -> Result<Vec<Package>> {
    let mut packages: Vec<Package> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let at = number + 1;
        let Some((name, reason)) = line.split_once(char::is_whitespace) else {
            bail!("line {at}: {line:?} has no reason");
        };
        if name.starts_with('-')
            || !name.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte)
            })
        {
            bail!("line {at}: {name:?} is not a package name");
        }
        if packages.iter().any(|package| package.name == name) {
            bail!("line {at}: {name} is listed twice");
        }
        packages.push(Package {
            name: name.to_owned(),
            reason: reason.trim().to_owned(),
        });
    }
    Ok(packages)
}

fn installed(listing: &str) -> Vec<String> {
    listing
        .lines()
        .filter_map(|line| line.strip_suffix(" installed"))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_list_parses() {
        assert!(
            needed()
                .unwrap()
                .iter()
                .any(|package| package.name == "linux-source-6.12")
        );
    }

    #[test]
    fn names_reasons_and_comments_are_told_apart() {
        let packages =
            parse("# why\n\n  gcc   compiles\nlinux-image-6.12-cloud-amd64  boots it\n").unwrap();
        assert_eq!(
            packages[0],
            Package {
                name: "gcc".into(),
                reason: "compiles".into()
            }
        );
        assert_eq!(packages[1].name, "linux-image-6.12-cloud-amd64");
        assert_eq!(packages.len(), 2);
    }

    #[test]
    fn a_package_without_reason_a_bad_name_and_a_repeat_are_refused() {
        for bad in [
            "gcc",
            "GCC compiles",
            "gcc one\ngcc two",
            "--fix-broken yes",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn only_fully_installed_packages_count() {
        assert_eq!(
            installed("gcc installed\nbc config-files\nmake not-installed\n"),
            ["gcc"]
        );
    }
}
