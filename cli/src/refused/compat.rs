//! `docs/docker-compat.md` against the code, and both against what Docker has.

use std::collections::{BTreeMap, BTreeSet};

use clap::Command;

use super::{FLAGS, Standing, VERBS, check};
use crate::args;

const DOC: &str = include_str!("../../../docs/docker-compat.md");
const DOCKER: &str = include_str!("../../testdata/docker-28.2.txt");

/// `-a, --all`: the long name, and the short one where there is one.
type Spelling = (String, Option<char>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Works,
    Refused,
    NotYet,
}

impl Status {
    fn parse(text: &str) -> Status {
        match text {
            "works" => Status::Works,
            "refused" => Status::Refused,
            "not yet" => Status::NotYet,
            other => panic!("no status: {other}"),
        }
    }

    fn of(standing: Standing) -> Status {
        match standing {
            Standing::NotYet => Status::NotYet,
            Standing::Never => Status::Refused,
        }
    }

    /// What a refusal says.
    fn words(self) -> &'static str {
        match self {
            Status::Works => "",
            Status::Refused => "cannot be had with Hull: ",
            Status::NotYet => "is not supported by Hull yet: ",
        }
    }
}

/// What the page says of verbs that are there, by path, and of those that are refused.
#[derive(Default)]
struct Page {
    verbs: BTreeMap<String, BTreeMap<Spelling, Status>>,
    refused: BTreeMap<String, Status>,
    own: BTreeSet<String>,
}

fn page() -> Page {
    let mut page = Page::default();
    let mut part = "";
    let mut paths: Vec<String> = Vec::new();
    for line in DOC.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            part = title;
        } else if let Some(title) = line.strip_prefix("### ") {
            let words = title.split(", ").map(|word| word.trim_matches('`'));
            paths = words
                .map(|word| if word == "hull" { "" } else { word }.to_owned())
                .collect();
            for path in &paths {
                let new = page.verbs.insert(path.clone(), BTreeMap::new());
                assert!(new.is_none(), "{path} is there twice");
            }
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if !line.starts_with("| `") {
            continue;
        }
        match part {
            "Groups of verbs that are refused" => {
                let path = cells[1].trim_matches('`').to_owned();
                page.refused.insert(path, Status::parse(cells[2]));
            }
            "Hull's own verbs" => {
                page.own.insert(cells[1].trim_matches('`').to_owned());
            }
            "Verbs and flags" => {
                let names: Vec<&str> = cells[1].split(", ").map(|n| n.trim_matches('`')).collect();
                let flag = spelling(&names);
                let status = Status::parse(cells[2]);
                assert!(
                    status == Status::Works || !cells[3].is_empty(),
                    "no reason: {line}"
                );
                for path in &paths {
                    let flags = page.verbs.get_mut(path).expect("a verb");
                    let new = flags.insert(flag.clone(), status);
                    assert!(new.is_none(), "{path} has {flag:?} twice");
                }
            }
            _ => {}
        }
    }
    page
}

fn spelling(names: &[&str]) -> Spelling {
    let long = names.iter().find_map(|name| name.strip_prefix("--"));
    let short = names.iter().find(|name| !name.starts_with("--"));
    let short = short.and_then(|name| name.strip_prefix('-')?.chars().next());
    (long.expect("a long name").to_owned(), short)
}

/// What Docker has, by path.
fn docker() -> BTreeMap<String, BTreeSet<Spelling>> {
    let mut verbs: BTreeMap<String, BTreeSet<Spelling>> = BTreeMap::new();
    let mut path = String::new();
    for line in DOCKER.lines().filter(|line| !line.starts_with('#')) {
        match line.strip_prefix("  ") {
            Some(flag) => {
                let names = flag.split([' ', ',']).filter(|word| word.starts_with('-'));
                let names: Vec<&str> = names.collect();
                verbs
                    .get_mut(&path)
                    .expect("a verb")
                    .insert(spelling(&names));
            }
            None => {
                path = line.trim_start_matches("docker").trim_start().to_owned();
                verbs.insert(path.clone(), BTreeSet::new());
            }
        }
    }
    verbs
}

/// The definition of the verb at a path.
fn definition<'a>(root: &'a Command, path: &str) -> Option<&'a Command> {
    path.split_whitespace()
        .try_fold(root, |command, word| command.find_subcommand(word))
}

fn is_within(path: &str, group: &str) -> bool {
    path == group
        || path
            .strip_prefix(group)
            .is_some_and(|rest| rest.starts_with(' '))
}

/// What the command line is refused with.
fn refusal(words: &[&str]) -> String {
    let mut command = args::command();
    let words = ["hull"].iter().chain(words);
    match command.try_get_matches_from_mut(words) {
        Ok(matches) => check(&matches).map_or("it is not refused".into(), |failure| failure.text),
        Err(error) => format!("it does not parse: {error}"),
    }
}

#[test]
fn the_page_has_every_verb_and_flag_of_dockers_and_no_other() {
    let (page, docker) = (page(), docker());
    assert!(docker.len() > 180, "{}", docker.len());
    for (path, flags) in &docker {
        let groups = ["container", "image", "system"];
        if groups.contains(&path.as_str())
            || page.refused.keys().any(|group| is_within(path, group))
        {
            continue;
        }
        let told = page.verbs.get(path);
        let told = told.unwrap_or_else(|| panic!("docker {path} is not on the page"));
        let told: BTreeSet<Spelling> = told.keys().cloned().collect();
        assert_eq!(&told, flags, "docker {path}");
    }
    for path in page.verbs.keys() {
        assert!(docker.contains_key(path), "docker has no {path}");
    }
}

#[test]
fn what_the_page_says_works_is_defined_and_shown() {
    let root = args::command();
    for (path, flags) in &page().verbs {
        let verb = definition(&root, path).unwrap_or_else(|| panic!("there is no hull {path}"));
        assert!(!verb.is_hide_set(), "{path}");
        for ((long, short), status) in flags {
            let mut named = verb.get_arguments().filter(|arg| !arg.is_positional());
            let found = named.find(|arg| arg.get_long() == Some(long));
            let arg = found.unwrap_or_else(|| panic!("hull {path} has no --{long}"));
            assert_eq!(arg.get_short(), *short, "hull {path} --{long}");
            let listed = FLAGS
                .iter()
                .any(|flag| flag.long == long && flag.verbs.contains(&path.as_str()));
            assert_eq!(listed, *status != Status::Works, "hull {path} --{long}");
        }
    }
}

#[test]
fn what_is_defined_is_on_the_page() {
    fn walk(command: &Command, path: &str, page: &Page) {
        let told = page.verbs.get(path);
        assert!(
            told.is_some() || ["container", "image", "system"].contains(&path),
            "hull {path} is not on the page"
        );
        let named = command.get_arguments().filter(|arg| !arg.is_positional());
        for arg in named.filter(|arg| !arg.is_hide_set()) {
            let long = arg.get_long().expect("a long name");
            let told = told.is_some_and(|flags| flags.keys().any(|(name, _)| name == long));
            // Docker shows its --help only where -h is something else.
            assert!(
                told || long == "help",
                "hull {path} --{long} is not on the page"
            );
        }
        for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
            let path = format!("{path} {}", verb.get_name());
            let path = path.trim_start();
            if !page.own.contains(path) {
                walk(verb, path, page);
            }
        }
    }
    let (root, page) = (args::command(), page());
    walk(&root, "", &page);
    for own in &page.own {
        assert!(definition(&root, own).is_some(), "there is no hull {own}");
    }
}

#[test]
fn what_the_page_says_is_refused_is_refused_so() {
    for (path, flags) in &page().verbs {
        for ((long, short), status) in flags {
            let Some(flag) = FLAGS
                .iter()
                .find(|flag| flag.long == long && flag.verbs.contains(&path.as_str()))
            else {
                continue;
            };
            assert_eq!(Status::of(flag.standing), *status, "hull {path} --{long}");
            let value = if flag.takes_value { "=1" } else { "" };
            let value = if flag.harmless.contains(&"true") {
                "=false"
            } else {
                value
            };
            let expected = format!("--{long} {}{}", status.words(), flag.reason);
            let mut spellings = vec![format!("--{long}{value}")];
            spellings
                .extend(short.map(|short| format!("-{short}{}", value.trim_start_matches('='))));
            for typed in spellings {
                let mut words: Vec<&str> = path.split_whitespace().collect();
                words.push(&typed);
                words.push(if path.is_empty() { "ps" } else { "x" });
                assert!(
                    refusal(&words).contains(&expected),
                    "{words:?}: {}",
                    refusal(&words)
                );
            }
            for value in flag.harmless {
                let typed = format!("--{long}={value}");
                let mut words: Vec<&str> = path.split_whitespace().collect();
                words.extend([typed.as_str(), if path.is_empty() { "ps" } else { "x" }]);
                assert_eq!(refusal(&words), "it is not refused", "{words:?}");
            }
        }
    }
}

#[test]
fn every_refusal_is_on_the_page_with_its_reason() {
    let page = page();
    let plain = DOC.replace('`', "");
    for verb in VERBS {
        let status = page.refused.get(verb.path);
        assert_eq!(status, Some(&Status::of(verb.standing)), "{}", verb.path);
        assert!(plain.contains(verb.reason), "{}", verb.reason);
        for more in [&["ls"][..], &["--help"], &["x", "--y", "z"]] {
            let words: Vec<&str> = verb.path.split(' ').chain(more.iter().copied()).collect();
            let words = &words;
            let expected = format!(
                "hull {} {}{}",
                verb.path,
                status.map_or("", |s| s.words()),
                verb.reason
            );
            assert_eq!(refusal(words), expected, "{words:?}");
        }
    }
    assert_eq!(page.refused.len(), VERBS.len());
    let docker = docker();
    for flag in FLAGS {
        assert!(plain.contains(flag.reason), "{}", flag.reason);
        for path in flag.verbs {
            // What Docker hides from its help is on no page.
            let shown = docker[*path].iter().any(|(long, _)| long == flag.long);
            let told = page.verbs[*path].keys().any(|(long, _)| long == flag.long);
            assert_eq!(shown, told, "{path} --{}", flag.long);
        }
    }
}
