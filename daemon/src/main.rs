//! The daemon's program: options, log, and the exit status.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use hull_daemon::{Options, Settings};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let settings = match Settings::load(Options::parse()) {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("hulld: {error}");
            return ExitCode::from(2);
        }
    };
    let filter = match EnvFilter::try_new(&settings.log_level) {
        Ok(filter) => filter,
        Err(error) => {
            eprintln!("hulld: --log-level {}: {error}", settings.log_level);
            return ExitCode::from(2);
        }
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    match start(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hulld: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(settings: Settings) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(hull_daemon::run(settings))
}
