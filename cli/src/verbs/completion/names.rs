//! `hull complete-names -- WORDS`: the containers or images that could follow these words, one a
//! line. Hidden from help: the scripts of `hull completion` call it.
//!
//! Somebody waits for it with a finger on a key: it says nothing rather than complain, gives the
//! daemon little time, and starts no machine.

use std::io::Write;
use std::time::Duration;

use bollard::query_parameters::{ListContainersOptions, ListImagesOptions};
use clap::Command;

use crate::api::Client;
use crate::args::Global;
use crate::connect::Host;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(value_name = "WORD", num_args = 0.., last = true)]
    words: Vec<String>,
}

/// As long as a daemon may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// What can be named at the end of a command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Containers { all: bool },
    Images,
    Either,
    Nothing,
}

pub(crate) async fn run(args: &Args) -> Result<u8, Failure> {
    let (wanted, host) = wanted(&crate::args::command(), &args.words);
    if wanted == Wanted::Nothing {
        return Ok(0);
    }
    let flags = Global {
        host: host.into_iter().collect(),
        ..Global::default()
    };
    let host = Host::resolve(&flags, |name| std::env::var(name).ok())?;
    let found = tokio::time::timeout(PATIENCE, find(host, wanted)).await;
    let names = match found {
        Ok(names) => names?,
        Err(_too_late) => Vec::new(),
    };
    let mut out = std::io::stdout();
    let fit = |name: &&String| is_name(name) && !args.words.contains(name);
    for name in names.iter().filter(fit) {
        writeln!(out, "{name}")?;
    }
    Ok(0)
}

/// Whether a shell can take it as it is. What a daemon sends is not trusted in a shell.
fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-:/@".contains(c);
    !name.is_empty() && !name.starts_with('-') && name.chars().all(plain)
}

async fn find(host: Host, wanted: Wanted) -> Result<Vec<String>, Failure> {
    let client = host.connect_to_daemon().await?;
    let mut names = match wanted {
        Wanted::Containers { all } => containers(&client, all).await?,
        Wanted::Either => containers(&client, true).await?,
        Wanted::Images | Wanted::Nothing => Vec::new(),
    };
    if matches!(wanted, Wanted::Images | Wanted::Either) {
        names.extend(images(&client).await?);
    }
    Ok(names)
}

async fn containers(client: &Client, all: bool) -> Result<Vec<String>, Failure> {
    let options = ListContainersOptions {
        all,
        ..ListContainersOptions::default()
    };
    let found = client.docker().list_containers(Some(options)).await;
    let found = found.map_err(crate::api::Error::from)?;
    let names = found
        .into_iter()
        .flat_map(|one| one.names.unwrap_or_default());
    let names = names.map(|name| name.trim_start_matches('/').to_owned());
    // With a slash within it, it is a link of another's.
    Ok(names.filter(|name| !name.contains('/')).collect())
}

async fn images(client: &Client) -> Result<Vec<String>, Failure> {
    let found = client.docker().list_images(None::<ListImagesOptions>).await;
    let found = found.map_err(crate::api::Error::from)?;
    Ok(found
        .into_iter()
        .flat_map(|image| image.repo_tags)
        .collect())
}

/// Verbs that take none but containers that run, as Docker's completion has it.
const OF_RUNNING: [&str; 9] = [
    "attach", "exec", "kill", "pause", "port", "stats", "stop", "top", "unpause",
];

/// What the words ask for, and the address among them.
fn wanted(root: &Command, words: &[String]) -> (Wanted, Option<String>) {
    let mut command = root;
    let mut host = None;
    let mut given = 0_usize;
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if word.starts_with('-') && word.len() > 1 {
            let (flag, joined) = match word.split_once('=') {
                Some((flag, value)) => (flag, Some(value.to_owned())),
                None => (word.as_str(), None),
            };
            let value = match (takes_value(command, flag), joined) {
                (_, Some(value)) => Some(value),
                (true, None) => match rest.next() {
                    Some(value) => Some(value.clone()),
                    // It is the flag's value that is wanted.
                    None => return (Wanted::Nothing, host),
                },
                (false, None) => None,
            };
            if matches!(flag, "-H" | "--host") {
                host = value;
            }
        } else if let (0, Some(verb)) = (given, command.find_subcommand(word)) {
            command = verb;
        } else {
            given += 1;
        }
    }
    (at(command, given), host)
}

fn takes_value(command: &Command, flag: &str) -> bool {
    let long = flag.strip_prefix("--");
    // Of joined letters the last one can have a value.
    let short = flag.chars().last().filter(|_| long.is_none());
    let found = command.get_opts().find(|arg| match (long, short) {
        (Some(long), _) => arg.get_long() == Some(long),
        (None, short) => arg.get_short() == short,
    });
    found.is_some_and(|arg| {
        arg.get_num_args()
            .is_none_or(|count| count.min_values() > 0)
    })
}

/// What the argument after `given` others is.
fn at(command: &Command, given: usize) -> Wanted {
    let verb = command.get_name();
    let positionals: Vec<&clap::Arg> = command.get_positionals().collect();
    let takes_many = |arg: &&clap::Arg| {
        let many = arg
            .get_num_args()
            .is_some_and(|count| count.max_values() > 1);
        many || matches!(arg.get_action(), clap::ArgAction::Append)
    };
    let last = positionals.last().copied();
    let argument = positionals.get(given).copied();
    let argument = argument.or_else(|| last.filter(takes_many));
    let name = argument
        .and_then(|argument| argument.get_value_names())
        .and_then(|names| names.first())
        .map_or("", |name| name.as_str());
    // What is for a command within the container is not ours to know.
    let first_only = argument.is_some_and(clap::Arg::is_trailing_var_arg_set);
    match (name, verb) {
        _ if first_only && given > 0 => Wanted::Nothing,
        ("NAME|ID", "inspect") => Wanted::Either,
        ("CONTAINER", "rename") if given > 0 => Wanted::Nothing,
        ("CONTAINER", verb) => Wanted::Containers {
            all: !OF_RUNNING.contains(&verb),
        },
        ("IMAGE" | "SOURCE_IMAGE[:TAG]" | "NAME[:TAG]", _) => Wanted::Images,
        _ => Wanted::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_is_seen_from_the_words() {
        let all = Wanted::Containers { all: true };
        let running = Wanted::Containers { all: false };
        for (words, expected) in [
            ("rm", all),
            ("rm -f", all),
            ("container rm one", all),
            ("stop", running),
            ("stop -t", Wanted::Nothing),
            ("stop -t 3 one", running),
            ("stop --time=3", running),
            ("exec -it", running),
            ("exec -it one", Wanted::Nothing),
            ("exec -e", Wanted::Nothing),
            ("inspect", Wanted::Either),
            ("inspect -f {{.Id}}", Wanted::Either),
            ("image inspect", Wanted::Images),
            ("rmi one", Wanted::Images),
            ("run", Wanted::Images),
            ("run -it --name x", Wanted::Images),
            ("run -it busybox", Wanted::Nothing),
            ("logs", all),
            ("logs one", Wanted::Nothing),
            ("rename one", Wanted::Nothing),
            ("tag", Wanted::Images),
            ("push", Wanted::Images),
            ("", Wanted::Nothing),
            ("ps", Wanted::Nothing),
            ("container", Wanted::Nothing),
        ] {
            let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
            let (got, _) = wanted(&crate::args::command(), &words);
            assert_eq!(got, expected, "{words:?}");
        }
    }

    #[test]
    fn what_a_shell_would_run_is_no_name() {
        for (name, is) in [
            ("web-1", true),
            ("reg.io:5000/a/b:x", true),
            ("$(reboot)", false),
            ("a b", false),
            ("-f", false),
            ("", false),
        ] {
            assert_eq!(is_name(name), is, "{name}");
        }
    }

    #[test]
    fn the_daemon_can_be_named_among_the_words() {
        for words in [
            ["-H", "unix:///x", "rm"].as_slice(),
            &["--host=unix:///x", "rm"],
        ] {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            let (got, host) = wanted(&crate::args::command(), &words);
            assert_eq!(got, Wanted::Containers { all: true });
            assert_eq!(host.as_deref(), Some("unix:///x"));
        }
    }
}
