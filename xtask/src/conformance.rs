//! `conformance`: runs the public OCI distribution suite against scratch registries of ours.
//!
//! The suite is no part of this repository: it is given as its built program, or as the folder of
//! its Go source. Each profile of the specification runs twice, open and with a password; what
//! the suite wrote stays in `target/conformance`. See `docs/registry-conformance.md`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::arguments::Arguments;
use crate::layout::Layout;
use crate::process::{command, run as run_command};

/// As the suite names them.
const PROFILES: [&str; 3] = ["1.0", "1.1", "dev"];

/// The user of scratch registries, who is the password too, and the line that says so.
const USER: &str = "suite";
const HTPASSWD: &str = "suite:$2y$05$JxfSYSKGP0AnrbqwFf3SJOTholPfb6pXZkC3kz/.rcDSNMeu3H6E6\n";

/// Opens the suite's totals.
const RESULT: &str = "OCI Conformance Result:";
/// What it counts tests as.
const COUNTS: [&str; 6] = ["Pass", "FAIL", "Error", "Skip", "Disabled", "Total"];

pub(crate) fn run(layout: &Layout, mut arguments: Arguments) -> Result<()> {
    let suite = arguments.value("--suite")?;
    let suite = suite.context("--suite wants the suite's program, or the folder of its source")?;
    let profile = arguments.value("--profile")?;
    arguments.finish()?;
    let profiles = match &profile {
        Some(profile) => vec![profile.as_str()],
        None => PROFILES.to_vec(),
    };
    let results = layout.conformance();
    fs::create_dir_all(&results).with_context(|| format!("create {}", results.display()))?;
    let suite = program(Path::new(&suite), &results)?;
    let mut cargo = command("cargo", ["build", "--package", "hull-cli", "--bin", "hull"]);
    run_command(cargo.current_dir(layout.root()))?;
    let hull = layout.cargo_target().join("debug/hull");
    let mut rows = Vec::new();
    let mut passed = true;
    for profile in profiles {
        for password in [Password::None, Password::Asked] {
            let totals = measure(&suite, &hull, &results, profile, password)?;
            passed &= totals.verdict == "Pass";
            rows.push(row(profile, password, &totals));
        }
    }
    println!("\n{}", heading());
    rows.iter().for_each(|row| println!("{row}"));
    ensure!(passed, "not whole; see {}", results.display());
    Ok(())
}

/// The suite's program, which is built if `given` is its source.
fn program(given: &Path, results: &Path) -> Result<PathBuf> {
    let found = given.canonicalize();
    let found = found.with_context(|| format!("find the suite {}", given.display()))?;
    if !found.is_dir() {
        return Ok(found);
    }
    let built = results.join("suite");
    let mut go = command("go", ["build", "-o"]);
    run_command(go.arg(&built).arg(".").current_dir(&found)).context("build the suite")?;
    Ok(built)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Password {
    None,
    Asked,
}

/// Runs one profile against a registry that nothing was pushed to.
fn measure(
    suite: &Path,
    hull: &Path,
    results: &Path,
    profile: &str,
    password: Password,
) -> Result<Totals> {
    let name = match password {
        Password::None => profile.to_owned(),
        Password::Asked => format!("{profile}-password"),
    };
    let folder = results.join(&name);
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("empty {}", folder.display()))?;
    }
    fs::create_dir(&folder).with_context(|| format!("create {}", folder.display()))?;
    let registry = Scratch::start(hull, &folder, password)?;
    println!("conformance: {name}");
    let mut run = command(suite, [""; 0]);
    run.current_dir(&folder)
        .env("OCI_REGISTRY", &registry.address)
        .env("OCI_TLS", "disabled")
        .env("OCI_VERSION", profile)
        .env("OCI_RESULTS_DIR", folder.join("reports"));
    if password == Password::Asked {
        run.env("OCI_USERNAME", USER).env("OCI_PASSWORD", USER);
    }
    let output = run.stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("run {}", suite.display()))?;
    drop(registry);
    let file = folder.join("output");
    fs::write(&file, &output.stdout).with_context(|| format!("write {}", file.display()))?;
    let totals = totals(&String::from_utf8_lossy(&output.stdout));
    totals.with_context(|| format!("the suite gave no totals; see {}", file.display()))
}

/// A registry that ends with this value.
struct Scratch {
    process: Child,
    address: String,
}

impl Scratch {
    fn start(hull: &Path, folder: &Path, password: Password) -> Result<Scratch> {
        let mut serve = command(hull, ["registry", "serve", "--listen", "127.0.0.1:0"]);
        serve.arg("--root").arg(folder.join("root"));
        if password == Password::Asked {
            let file = folder.join("htpasswd");
            fs::write(&file, HTPASSWD).with_context(|| format!("write {}", file.display()))?;
            serve.arg("--htpasswd").arg(file);
        }
        let process = serve.stdout(Stdio::piped()).spawn();
        let process = process.with_context(|| format!("run {}", hull.display()))?;
        let mut scratch = Scratch {
            process,
            address: String::new(),
        };
        let output = scratch.process.stdout.take().context("no pipe to it")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let Some(address) = line.trim().strip_prefix("registry ready: http://") else {
            bail!("the registry did not start: {line:?}");
        };
        scratch.address = address.to_owned();
        Ok(scratch)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What the suite says at its end.
#[derive(Debug, PartialEq, Eq)]
struct Totals {
    verdict: String,
    counts: [u64; COUNTS.len()],
}

/// Reads the totals: a line with the verdict, then one for each count, as `Pass....: 12`.
fn totals(output: &str) -> Option<Totals> {
    let mut lines = output.lines().skip_while(|line| !line.starts_with(RESULT));
    let verdict = lines.next()?.strip_prefix(RESULT)?.split_whitespace();
    let mut counts = [None; COUNTS.len()];
    for line in lines.take_while(|line| !line.trim().is_empty()) {
        let (name, count) = line.split_once(':')?;
        let name = name.trim().trim_end_matches('.').trim_end();
        let known = COUNTS.iter().zip(&mut counts).find(|(n, _)| **n == name);
        *known?.1 = Some(count.trim().parse().ok()?);
    }
    let mut read = [0; COUNTS.len()];
    for (to, from) in read.iter_mut().zip(counts) {
        *to = from?;
    }
    Some(Totals {
        verdict: verdict.take(1).collect(),
        counts: read,
    })
}

fn heading() -> String {
    let names = COUNTS.map(|name| format!("{:>9}", name.to_lowercase()));
    format!(
        "{:<8} {:<9} {:<6}{}",
        "profile",
        "password",
        "result",
        names.concat()
    )
}

fn row(profile: &str, password: Password, totals: &Totals) -> String {
    let asked = match password {
        Password::None => "no",
        Password::Asked => "yes",
    };
    let counts = totals.counts.map(|count| format!("{count:>9}"));
    format!(
        "{profile:<8} {asked:<9} {:<6}{}",
        totals.verdict,
        counts.concat()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_read_from_the_end_of_the_output() {
        let output = "Test results\nx: FAIL\n\nOCI Conformance Result: FAIL\n  \
             Disabled......................:          2\n  Skip..: 44\n  Pass: 705\n  \
             FAIL: 97\n  Error: 0\n  Total..: 848\n\nAPI conformance:\n  Ping: Pass\n";
        let found = totals(output).unwrap();
        assert_eq!(found.verdict, "FAIL");
        assert_eq!(found.counts, [705, 97, 0, 44, 2, 848]);
        let row = row("1.1", Password::None, &found);
        assert!(row.ends_with("848") && row.contains("FAIL"), "{row}");
        assert_eq!(row.len(), heading().len());
    }

    #[test]
    fn an_output_without_totals_has_none() {
        assert_eq!(totals("failed to load config\n"), None);
        assert_eq!(totals("OCI Conformance Result: Pass\n  Pass: 1\n"), None);
        assert_eq!(totals("OCI Conformance Result: Pass\n  Pass: many\n"), None);
    }
}
