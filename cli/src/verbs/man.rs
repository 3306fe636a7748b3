//! `hull man DIR`: the manual, a page for each verb, for whoever packs or installs Hull. Hidden
//! from help: a user has `man hull-run`.

use std::path::{Path, PathBuf};

use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    write(&args.folder).map_err(|error| {
        let folder = args.folder.display();
        Failure::new(format!("cannot write the manual to {folder}: {error}"))
    })?;
    Ok(0)
}

fn write(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(crate::args::command(), folder)
}

#[cfg(test)]
mod tests {
    use clap::Command;

    use super::*;

    /// The names of the pages that a verb and those below it have to have.
    fn pages(command: &Command, name: &str) -> Vec<String> {
        let below = command.get_subcommands().filter(|verb| !verb.is_hide_set());
        let below = below.flat_map(|verb| pages(verb, &format!("{name}-{}", verb.get_name())));
        std::iter::once(format!("{name}.1")).chain(below).collect()
    }

    #[test]
    fn every_verb_has_a_page_that_names_its_flags() {
        let folder = tempfile::tempdir().expect("temporary directory");
        write(folder.path()).expect("pages");
        let mut wanted = pages(&crate::args::command(), "hull");
        wanted.sort();
        let entries = std::fs::read_dir(folder.path()).expect("a folder");
        let mut found: Vec<String> = entries
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .into_string()
                    .expect("text")
            })
            .collect();
        found.sort();
        assert_eq!(found, wanted);
        let run = std::fs::read_to_string(folder.path().join("hull-container-run.1"));
        let run = run.expect("a page");
        assert!(run.contains("add\\-host"), "{run}");
        // What is refused is no part of the manual.
        assert!(!run.contains("publish"), "{run}");
    }
}
