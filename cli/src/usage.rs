//! Help and complaints about the command line, as Docker words and lays them out.

use std::error::Error as _;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command};

use crate::failure::{Failure, REFUSED};

/// Columns of help text before it is broken, as Docker breaks it off a terminal.
const HELP_WIDTH: usize = 80;

/// A command line that was not run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Help was asked for.
    Help(String),
    Usage(Failure),
}

/// What to say instead of running `arguments`.
pub(crate) fn explain(root: &Command, arguments: &[OsString], error: &clap::Error) -> Refused {
    let (path, command) = meant(root, arguments);
    let usage = usage_line(&path, command);
    let complaint = |text: String, status, lead: &str| {
        let text =
            format!("{text}\n\nUsage:  {usage}\n\n{lead} '{path} --help' for more information");
        Refused::Usage(Failure { text, status })
    };
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    };
    let argument = context(ContextKind::InvalidArg);
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            Refused::Help(help(root, &path, command))
        }
        ErrorKind::DisplayVersion => {
            let version = root.get_version().unwrap_or_default();
            Refused::Help(format!("Hull version {version}\n"))
        }
        ErrorKind::MissingSubcommand => Refused::Help(help(root, &path, command)),
        ErrorKind::InvalidSubcommand => {
            let word = context(ContextKind::InvalidSubcommand);
            unknown_command(&path, &word)
        }
        ErrorKind::UnknownArgument if command.has_subcommands() && !argument.starts_with('-') => {
            unknown_command(&path, &argument)
        }
        ErrorKind::UnknownArgument if argument.starts_with("--") => {
            complaint(format!("unknown flag: {argument}"), REFUSED, "Run")
        }
        ErrorKind::UnknownArgument if argument.starts_with('-') => {
            let letter = argument.chars().nth(1).unwrap_or('-');
            let typed = joined(arguments, letter).unwrap_or_else(|| argument.clone());
            complaint(
                format!("unknown shorthand flag: '{letter}' in {typed}"),
                REFUSED,
                "Run",
            )
        }
        ErrorKind::UnknownArgument | ErrorKind::TooManyValues => {
            complaint(format!("hull: '{path}' {}", arity(command)), 1, "Run")
        }
        ErrorKind::MissingRequiredArgument | ErrorKind::TooFewValues => {
            let lead = match most(command) {
                usize::MAX => "See",
                _ => "Run",
            };
            complaint(format!("hull: '{path}' {}", arity(command)), 1, lead)
        }
        ErrorKind::WrongNumberOfValues => {
            complaint(format!("hull: '{path}' {}", arity(command)), 1, "See")
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation | ErrorKind::NoEquals => {
            let flag = argument
                .split([' ', '=', '['])
                .next()
                .unwrap_or_default()
                .to_owned();
            let value = context(ContextKind::InvalidValue);
            if error.kind() != ErrorKind::ValueValidation && value.is_empty() {
                return complaint(needs_argument(arguments, &flag), REFUSED, "Run");
            }
            let reason = match error.source() {
                Some(source) => source.to_string(),
                None => possible(error),
            };
            if !flag.starts_with('-') {
                return complaint(
                    format!("hull: invalid argument \"{value}\": {reason}"),
                    1,
                    "Run",
                );
            }
            let spelled = spellings(command, &flag);
            let text = format!("invalid argument \"{value}\" for \"{spelled}\" flag: {reason}");
            complaint(text, REFUSED, "Run")
        }
        _ => complaint(error.to_string().trim_end().to_owned(), REFUSED, "Run"),
    }
}

fn unknown_command(path: &str, word: &str) -> Refused {
    let group = match path {
        "hull" => String::new(),
        group => format!("\n\nUsage:  {group} COMMAND"),
    };
    let text = format!(
        "hull: unknown command: {path} {word}{group}\n\nRun '{path} --help' for more information"
    );
    Refused::Usage(Failure::new(text))
}

/// The command that was meant: the verbs in `arguments` as far as they are known.
fn meant<'a>(root: &'a Command, arguments: &[OsString]) -> (String, &'a Command) {
    let mut path = root.get_name().to_owned();
    let mut command = root;
    let mut words = arguments.iter().skip(1).map(|word| word.to_string_lossy());
    while let Some(word) = words.next() {
        if VALUED.contains(&&*word) {
            words.next();
        } else if let Some(verb) = command.find_subcommand(word.as_ref()) {
            path = format!("{path} {}", verb.get_name());
            command = verb;
        } else if !word.starts_with('-') {
            break;
        }
    }
    (path, command)
}

/// Global flags whose value is the next word.
const VALUED: [&str; 5] = ["-H", "--host", "--tlscacert", "--tlscert", "--tlskey"];

/// `-abc` as it was typed, for a letter in it.
fn joined(arguments: &[OsString], letter: char) -> Option<String> {
    let words = arguments.iter().map(|word| word.to_string_lossy());
    words
        .filter(|word| word.starts_with('-') && !word.starts_with("--"))
        .find(|word| word.contains(letter))
        // Docker shows what is left of the word from the bad letter on.
        .map(|word| format!("-{}", &word[word.find(letter).unwrap_or(1)..]))
}

fn needs_argument(arguments: &[OsString], flag: &str) -> String {
    let last = arguments
        .last()
        .map(|word| word.to_string_lossy().into_owned())
        .unwrap_or_default();
    if last.starts_with('-') && !last.starts_with("--") {
        let letter = last.chars().last().unwrap_or('-');
        return format!("flag needs an argument: '{letter}' in {last}");
    }
    format!("flag needs an argument: {flag}")
}

fn possible(error: &clap::Error) -> String {
    match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(values)) => format!("must be one of: {}", values.join(", ")),
        _ => "not a valid value".into(),
    }
}

/// `-m, --memory`.
fn spellings(command: &Command, flag: &str) -> String {
    let long = flag.trim_start_matches('-');
    let found = command.get_arguments().find(|arg| {
        arg.get_long() == Some(long)
            || arg
                .get_short()
                .is_some_and(|short| long.chars().eq([short]))
    });
    match found.map(|arg| (arg.get_short(), arg.get_long())) {
        Some((Some(short), Some(long))) => format!("-{short}, --{long}"),
        _ => flag.to_owned(),
    }
}

fn positionals(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_positionals()
}

fn least(command: &Command) -> usize {
    positionals(command)
        .filter(|arg| arg.is_required_set())
        .map(|arg| {
            arg.get_num_args()
                .map_or(1, |range| range.min_values().max(1))
        })
        .sum()
}

fn most(command: &Command) -> usize {
    positionals(command)
        .map(|arg| match arg.get_num_args() {
            Some(range) => range.max_values(),
            None if matches!(arg.get_action(), ArgAction::Append) => usize::MAX,
            None => 1,
        })
        .fold(0, usize::saturating_add)
}

/// How many arguments a command takes, in Docker's words.
fn arity(command: &Command) -> String {
    let (least, most) = (least(command), most(command));
    let count = |number: usize| format!("{number} argument{}", if number == 1 { "" } else { "s" });
    match (least, most) {
        (0, 0) => "accepts no arguments".into(),
        (0, most) => format!("requires at most {}", count(most)),
        (least, most) if least == most => format!("requires {}", count(least)),
        (least, usize::MAX) => format!("requires at least {}", count(least)),
        (least, most) => format!("requires at least {least} and at most {}", count(most)),
    }
}

/// Verbs whose usage has a line for each direction.
const BOTH_WAYS: [&str; 2] = ["hull cp", "hull container cp"];

fn usage_line(path: &str, command: &Command) -> String {
    if BOTH_WAYS.contains(&path) {
        return format!(
            "{path} [OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\thull cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH"
        );
    }
    if command.has_subcommands() {
        let options = if path == "hull" { " [OPTIONS]" } else { "" };
        return format!("{path}{options} COMMAND");
    }
    let options = command
        .get_opts()
        .any(|arg| arg.get_id() != "help" && arg.get_id() != "host" && !arg.is_hide_set());
    let mut line = path.to_owned();
    if options {
        line.push_str(" [OPTIONS]");
    }
    for arg in positionals(command) {
        let name = arg
            .get_value_names()
            .and_then(|names| names.first())
            .map_or("", |name| name.as_str());
        line.push(' ');
        let repeated = arg
            .get_num_args()
            .is_some_and(|range| range.max_values() > 1);
        match (arg.is_required_set(), repeated) {
            (true, _) => line.push_str(name),
            (false, true) => {
                line.push_str(&format!("[{name}...]"));
                continue;
            }
            (false, false) => line.push_str(&format!("[{name}]")),
        }
        let second = arg.get_value_names().and_then(|names| names.get(1));
        match (arg.is_trailing_var_arg_set(), repeated) {
            (true, _) if second.is_some() => {
                line.extend(second.map(|second| format!(" [{second}]")));
            }
            (true, _) => line.push_str(match (name, least(command)) {
                ("COMMAND", _) => " [ARG...]",
                (_, 2..) => " COMMAND [ARG...]",
                _ => " [COMMAND] [ARG...]",
            }),
            (false, true) => line.push_str(&format!(" [{name}...]")),
            (false, false) => {}
        }
    }
    line
}

fn help(root: &Command, path: &str, command: &Command) -> String {
    let mut out = format!("Usage:  {}\n", usage_line(path, command));
    if let Some(about) = command.get_about() {
        out.push_str(&format!("\n{about}\n"));
    }
    let aliases = aliases(root, path);
    if !aliases.is_empty() {
        out.push_str(&format!("\nAliases:\n  {}\n", aliases.join(", ")));
    }
    if path == "hull" {
        out.push_str(&verbs("Common Commands", command, |name| {
            COMMON.contains(&name)
        }));
        out.push_str(&verbs("Management Commands", command, |name| {
            GROUPS.contains(&name)
        }));
        out.push_str(&verbs("Commands", command, |name| {
            !COMMON.contains(&name) && !GROUPS.contains(&name)
        }));
    } else if command.has_subcommands() {
        out.push_str(&verbs("Commands", command, |_| true));
    }
    let title = if path == "hull" {
        "Global Options"
    } else {
        "Options"
    };
    out.push_str(&options(title, command));
    if command.has_subcommands() {
        out.push_str(&format!(
            "\nRun '{path} COMMAND --help' for more information on a command.\n"
        ));
    }
    out
}

/// Verbs that have a word of their own beside the one in their group; none has no other.
const SHORT: [(&str, &str, Option<&str>); 5] = [
    ("container", "ls", Some("ps")),
    ("container", "inspect", None),
    ("image", "ls", Some("images")),
    ("image", "rm", Some("rmi")),
    ("image", "inspect", None),
];

/// All spellings of the verb at `path`, where it has more than one.
fn aliases(root: &Command, path: &str) -> Vec<String> {
    let groups = root
        .get_subcommands()
        .filter(|group| GROUPS.contains(&group.get_name()));
    for group in groups {
        let name = group.get_name();
        for verb in group.get_subcommands() {
            let word = verb.get_name();
            let special = SHORT
                .iter()
                .find(|(of, long, _)| *of == name && *long == word);
            let short = special.map_or(Some(word), |(_, _, short)| *short);
            let short = short.filter(|short| root.find_subcommand(short).is_some());
            let Some(short) = short.map(|short| format!("hull {short}")) else {
                continue;
            };
            let long = |word: &str| format!("hull {name} {word}");
            if path == short || path == long(word) {
                let others = verb.get_all_aliases().map(long);
                return std::iter::once(long(word))
                    .chain(others)
                    .chain([short])
                    .collect();
            }
        }
    }
    Vec::new()
}

const COMMON: [&str; 11] = [
    "run", "exec", "ps", "pull", "push", "images", "login", "logout", "search", "version", "info",
];
const GROUPS: [&str; 4] = ["container", "image", "machine", "system"];

fn verbs(title: &str, command: &Command, wanted: impl Fn(&str) -> bool) -> String {
    let mut shown: Vec<&Command> = command
        .get_subcommands()
        .filter(|verb| !verb.is_hide_set() && wanted(verb.get_name()))
        .collect();
    if shown.is_empty() {
        return String::new();
    }
    if title != "Common Commands" {
        shown.sort_by_key(|verb| verb.get_name().to_owned());
    } else {
        shown.sort_by_key(|verb| COMMON.iter().position(|name| *name == verb.get_name()));
    }
    let mut out = format!("\n{title}:\n");
    for verb in shown {
        let about = verb
            .get_about()
            .map(ToString::to_string)
            .unwrap_or_default();
        out.push_str(&format!("  {:<11} {about}\n", verb.get_name()));
    }
    out
}

fn options(title: &str, command: &Command) -> String {
    let named = || command.get_arguments().filter(|arg| !arg.is_positional());
    // Said only where -h is something else.
    let help = named().any(|arg| arg.get_short() == Some('h'));
    let mut shown: Vec<&Arg> = named()
        .filter(|arg| !arg.is_hide_set() && (help || arg.get_id() != "help"))
        .collect();
    shown.sort_by_key(|arg| arg.get_long().unwrap_or_default().to_owned());
    if shown.is_empty() {
        return String::new();
    }
    let spelled: Vec<String> = shown.iter().map(|arg| spelling(arg)).collect();
    let width = spelled.iter().map(String::len).max().unwrap_or(0) + 3;
    let mut out = format!("\n{title}:\n");
    for (arg, spelled) in shown.iter().zip(&spelled) {
        let mut text = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let default = arg
            .get_default_values()
            .first()
            .map(|value| value.to_string_lossy());
        if let Some(default) = default.filter(|default| default != "false") {
            let quote = if default == "true" { "" } else { "\"" };
            text.push_str(&format!(" (default {quote}{default}{quote})"));
        }
        for (index, line) in wrap(&text, HELP_WIDTH.saturating_sub(width + 2))
            .iter()
            .enumerate()
        {
            let lead = if index == 0 { spelled.as_str() } else { "" };
            out.push_str(&format!("  {lead:<width$}{line}\n"));
        }
    }
    out
}

fn spelling(arg: &Arg) -> String {
    let short = arg
        .get_short()
        .map_or("    ".into(), |short| format!("-{short}, "));
    let long = arg.get_long().unwrap_or_default();
    let kind = match arg.is_require_equals_set() || !arg.get_action().takes_values() {
        true => String::new(),
        false => arg
            .get_value_names()
            .and_then(|names| names.first())
            .map_or(String::new(), |name| format!(" {name}")),
    };
    format!("{short}--{long}{kind}")
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let full = lines.last().is_some_and(|line| {
            !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width.max(24)
        });
        if full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
