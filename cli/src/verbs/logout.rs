//! `hull logout`: forgets what a login kept. No daemon is asked.

use std::io::Write;

use super::login::server;
use crate::accounts::Accounts;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(value_name = "SERVER")]
    server: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    let server = server(args.server.as_deref());
    writeln!(std::io::stdout(), "Removing login credentials for {server}")?;
    Accounts::open()?.erase(&server)?;
    Ok(0)
}
