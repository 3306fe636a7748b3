//! `hull`, the command line: Docker's verbs, spoken to `hulld` over Docker's own API.
//!
//! ```text
//! argv ──args──► verb ──connect──► api ──► answer ──output──► stdout
//!                  └──spec──► request        └──session──► our terminal
//! ```
//!
//! It knows nothing of the daemon's state on disk; all it sees comes through the API.

mod accounts;
mod api;
mod args;
mod connect;
mod copy;
mod failure;
mod moment;
mod output;
mod refused;
mod session;
mod spec;
mod terminal;
mod usage;
mod verbs;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::FromArgMatches;

use args::Cli;
use failure::Failure;
use usage::Refused;

/// Runs one command line, its program's name first.
pub fn main(arguments: &[OsString]) -> ExitCode {
    let status = match parse(arguments) {
        Ok(cli) => match execute(cli) {
            Ok(status) => status,
            Err(failure) => tell(&failure),
        },
        Err(Refused::Help(text)) => {
            // A reader that has gone away has seen enough help.
            drop(std::io::stdout().write_all(text.as_bytes()));
            0
        }
        Err(Refused::Usage(failure)) => tell(&failure),
    };
    ExitCode::from(status)
}

fn parse(arguments: &[OsString]) -> Result<Cli, Refused> {
    let mut command = args::command();
    let parsed = command.try_get_matches_from_mut(arguments);
    let explain = |error| usage::explain(&command, arguments, &error);
    let matches = parsed.map_err(explain)?;
    match refused::check(&matches) {
        Some(failure) => Err(Refused::Usage(failure)),
        None => Cli::from_arg_matches(&matches).map_err(explain),
    }
}

fn execute(cli: Cli) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start: {error}")))?;
    let outcome = runtime.block_on(verbs::execute(cli));
    // A read of stdin may be under way on its thread; nothing is left that waits for it.
    runtime.shutdown_background();
    outcome
}

fn tell(failure: &Failure) -> u8 {
    if !failure.text.is_empty() {
        // There is no other place to say that stderr is closed.
        drop(writeln!(std::io::stderr(), "{}", failure.text));
    }
    failure.status
}
