//! What Docker's command line takes and this one does not: known by name, so that the answer is
//! the reason rather than "unknown flag".
//!
//! ```text
//! definitions ──extend──► with hidden verbs and flags ──parse──► matches ──check──► a refusal
//! ```
//!
//! Nothing in here is ever carried out. `docs/docker-compat.md` lists it all, and a test holds
//! the two together.

mod flags;
mod verbs;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::failure::{Failure, REFUSED};
pub(crate) use flags::FLAGS;
pub(crate) use verbs::VERBS;

/// Whether it is a matter of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    NotYet,
    /// It has no meaning here, and will have none.
    Never,
}

use Standing::{Never, NotYet};

/// A flag that is refused, of the verbs at these paths. The empty path is `hull` itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flag {
    pub(crate) verbs: &'static [&'static str],
    pub(crate) long: &'static str,
    pub(crate) short: Option<char>,
    pub(crate) takes_value: bool,
    /// What may be asked for, because it is so anyway.
    pub(crate) harmless: &'static [&'static str],
    pub(crate) standing: Standing,
    pub(crate) reason: &'static str,
}

/// A verb that is refused with all that stands below it.
#[derive(Debug)]
pub(crate) struct Verb {
    /// `image build`
    pub(crate) path: &'static str,
    pub(crate) standing: Standing,
    pub(crate) reason: &'static str,
}

/// The definitions with what is refused in them, hidden from help.
pub(crate) fn extend(root: Command) -> Command {
    let with_flags = flagged(root, "");
    VERBS.iter().fold(with_flags, |command, verb| {
        match verb.path.split_once(' ') {
            Some((group, word)) => {
                command.mut_subcommand(group, |group| group.subcommand(rest(word)))
            }
            None => command.subcommand(rest(verb.path)),
        }
    })
}

/// Adds its flags to each command.
fn flagged(command: Command, path: &str) -> Command {
    let mine = FLAGS.iter().filter(|flag| flag.verbs.contains(&path));
    let command = mine.fold(command, |command, flag| command.arg(hidden(flag)));
    let names: Vec<String> = command
        .get_subcommands()
        .map(|verb| verb.get_name().to_owned())
        .collect();
    names.into_iter().fold(command, |command, name| {
        let path = format!("{path} {name}");
        command.mut_subcommand(name, |verb| flagged(verb, path.trim_start()))
    })
}

fn hidden(flag: &Flag) -> Arg {
    let arg = Arg::new(flag.long)
        .long(flag.long)
        .hide(true)
        .action(ArgAction::Append);
    let arg = match flag.short {
        Some(short) => arg.short(short),
        None => arg,
    };
    match flag.takes_value {
        true => arg.num_args(1).allow_hyphen_values(true),
        false => arg
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
    }
}

/// A verb that takes whatever follows.
fn rest(word: &'static str) -> Command {
    Command::new(word)
        .hide(true)
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .arg(
            Arg::new("rest")
                .num_args(0..)
                .trailing_var_arg(true)
                .allow_hyphen_values(true),
        )
}

/// The refusal of a command line that asks for something in here.
pub(crate) fn check(matches: &ArgMatches) -> Option<Failure> {
    let mut path = String::new();
    let mut matches = matches;
    loop {
        if let Some(flag) = FLAGS
            .iter()
            .find(|flag| flag.verbs.contains(&path.as_str()) && is_asked_for(matches, flag))
        {
            return Some(of_flag(&path, flag));
        }
        let (name, inner) = matches.subcommand()?;
        path = format!("{path} {name}").trim_start().to_owned();
        if let Some(verb) = VERBS.iter().find(|verb| verb.path == path) {
            return Some(of_verb(verb));
        }
        matches = inner;
    }
}

fn is_asked_for(matches: &ArgMatches, flag: &Flag) -> bool {
    if matches.value_source(flag.long) != Some(ValueSource::CommandLine) {
        return false;
    }
    let mut values = matches.get_many::<String>(flag.long).into_iter().flatten();
    let off = |value: &str| !flag.takes_value && value == "false";
    values.any(|value| {
        let harmless = match flag.harmless {
            [] => off(value),
            harmless => harmless.contains(&value.as_str()),
        };
        !harmless
    })
}

fn of_flag(path: &str, flag: &Flag) -> Failure {
    let text = told(&format!("--{}", flag.long), flag.standing, flag.reason);
    match path.rsplit(' ').next() {
        Some(verb @ ("run" | "create")) => Failure::new(text).of_verb(verb, REFUSED),
        _ => Failure::new(text),
    }
}

fn of_verb(verb: &Verb) -> Failure {
    let what = format!("hull {}", verb.path);
    Failure::new(told(&what, verb.standing, verb.reason))
}

fn told(what: &str, standing: Standing, reason: &str) -> String {
    match standing {
        NotYet => format!("{what} is not supported by Hull yet: {reason}"),
        Never => format!("{what} cannot be had with Hull: {reason}"),
    }
}

#[cfg(test)]
mod compat;
