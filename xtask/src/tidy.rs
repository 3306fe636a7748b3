//! `tidy`: the rules of the style guide that a program can check.
//!
//! Each rule is a pure function of a file's text; reading files is done once.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::arguments::Arguments;
use crate::layout::Layout;
use crate::process::{command, read};

const MAX_LINES: usize = 600;
const MAX_ARCHITECTURE: usize = 250;

pub(crate) fn run(layout: &Layout, arguments: Arguments) -> Result<()> {
    arguments.finish()?;
    check(layout)
}

pub(crate) fn check(layout: &Layout) -> Result<()> {
    let mut complaints = Vec::new();
    for path in tracked(layout, "*.rs")? {
        let text = fs::read_to_string(layout.root().join(&path))
            .with_context(|| format!("read {}", path.display()))?;
        complaints.extend(source(&path, &text));
    }
    let members =
        members(&fs::read_to_string(layout.root().join("Cargo.toml")).context("read Cargo.toml")?);
    let architecture = fs::read_to_string(layout.root().join("ARCHITECTURE.md"))
        .context("read ARCHITECTURE.md")?;
    complaints.extend(architecture_page(&architecture, &members));
    if complaints.is_empty() {
        println!("tidy: ok");
        return Ok(());
    }
    bail!(
        "the style guide is not kept:\n  {}",
        complaints.join("\n  ")
    )
}

/// Files in git that are still there, and new ones that are not ignored.
fn tracked(layout: &Layout, pattern: &str) -> Result<Vec<PathBuf>> {
    let list = read(
        command(
            "git",
            [
                "ls-files",
                "--cached",
                "--others",
                "--exclude-standard",
                "--deduplicate",
                pattern,
            ],
        )
        .current_dir(layout.root()),
    )
    .context("list the sources")?;
    Ok(list
        .lines()
        .map(PathBuf::from)
        .filter(|path| layout.root().join(path).exists())
        .collect())
}

/// The rules for one source file.
fn source(path: &Path, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let at = |line: usize, what: &str| format!("{}:{line}: {what}", path.display());
    let code = text.lines().take_while(|line| line.trim() != TESTS).count();
    let all_tests = only_tests(path);
    if code > MAX_LINES && !all_tests {
        complaints.push(at(
            code,
            &format!("{code} lines before its tests: more than {MAX_LINES}"),
        ));
    }
    let module_doc = text
        .lines()
        .find(|line| !line.trim().is_empty() && !line.starts_with("#!"));
    // A file of tests is named after what it tests.
    if !all_tests && !module_doc.is_some_and(|line| line.starts_with("//!")) {
        complaints.push(at(1, "does not open with a //! line saying what it is"));
    }
    for (index, line) in text.lines().enumerate() {
        let line = line.split("//").next().unwrap_or_default().trim();
        for (word, what) in BANNED {
            if line.contains(&word.concat()) {
                complaints.push(at(index + 1, what));
            }
        }
        let is_test = all_tests || index >= code;
        if is_test
            && line.contains(&["thread::", "sleep("].concat())
                | line.contains(&["time::", "sleep("].concat())
        {
            complaints.push(at(
                index + 1,
                "a test waits for an event or a condition, not for a time",
            ));
        }
    }
    complaints
}

fn only_tests(path: &Path) -> bool {
    let in_tests_folder = path.components().any(|part| part.as_os_str() == "tests");
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    in_tests_folder || name == "tests.rs" || name.ends_with("_tests.rs")
}

const TESTS: &str = "#[cfg(test)]";

/// In two parts each, so that this file does not accuse itself.
const BANNED: &[([&str; 2], &str)] = &[
    (
        ["todo", "!("],
        "unfinished code: refuse what is not supported with an error",
    ),
    (
        ["unimplemented", "!("],
        "unfinished code: refuse what is not supported with an error",
    ),
    (
        ["#[ig", "nore"],
        "a test that is skipped: mend or remove it",
    ),
];

fn members(manifest: &str) -> Vec<String> {
    let list = manifest
        .split_once("members = [")
        .and_then(|(_, rest)| rest.split_once(']'))
        .map_or("", |(list, _)| list);
    list.split(',')
        .map(|name| name.trim().trim_matches('"').to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

fn architecture_page(text: &str, members: &[String]) -> Vec<String> {
    let mut complaints = Vec::new();
    let lines = text.lines().count();
    if lines > MAX_ARCHITECTURE {
        complaints.push(format!(
            "ARCHITECTURE.md: {lines} lines: more than {MAX_ARCHITECTURE}"
        ));
    }
    for member in members {
        if !text.contains(&format!("`{member}`")) && !text.contains(&format!("`{member}/`")) {
            complaints.push(format!("ARCHITECTURE.md: does not name `{member}`"));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(path: &str, text: &str) -> usize {
        source(Path::new(path), text).len()
    }

    #[test]
    fn a_plain_documented_file_passes() {
        assert_eq!(
            complaints("a/src/lib.rs", "//! What it is.\nfn main() {}\n"),
            0
        );
    }

    #[test]
    fn a_missing_header_and_a_long_file_are_reported() {
        assert_eq!(complaints("a/src/lib.rs", "fn main() {}\n"), 1);
        let long = format!("//! Long.\n{}", "fn f() {}\n".repeat(MAX_LINES));
        assert_eq!(complaints("a/src/lib.rs", &long), 1);
        let long_tests = format!("//! Fine.\n{TESTS}\n{}", "fn f() {}\n".repeat(MAX_LINES));
        assert_eq!(complaints("a/src/lib.rs", &long_tests), 0);
    }

    #[test]
    fn unfinished_code_and_skipped_tests_are_reported() {
        for (word, _) in BANNED {
            assert_eq!(
                complaints("a/src/lib.rs", &format!("//! X.\n    {}\n", word.concat())),
                1,
                "{word:?}"
            );
            assert_eq!(
                complaints("a/src/lib.rs", &format!("//! X.\n// {}\n", word.concat())),
                0,
                "{word:?}"
            );
        }
    }

    #[test]
    fn sleeps_count_only_in_tests() {
        let sleep = ["std::thread::", "sleep(second);"].concat();
        assert_eq!(complaints("a/src/lib.rs", &format!("//! X.\n{sleep}\n")), 0);
        assert_eq!(
            complaints("a/src/lib.rs", &format!("//! X.\n{TESTS}\n{sleep}\n")),
            1
        );
        assert_eq!(
            complaints("tests/tests/run.rs", &format!("//! X.\n{sleep}\n")),
            1
        );
    }

    #[test]
    fn the_architecture_page_names_every_member() {
        let members = members("[workspace]\nmembers = [\n    \"cli\",\n    \"vmm\",\n]\n");
        assert_eq!(members, ["cli", "vmm"]);
        assert_eq!(
            architecture_page("`cli` and `vmm/`", &members),
            Vec::<String>::new()
        );
        assert_eq!(architecture_page("only `cli`", &members).len(), 1);
        assert_eq!(
            architecture_page(&"`cli` `vmm`\n".repeat(MAX_ARCHITECTURE + 1), &members).len(),
            1
        );
    }
}
