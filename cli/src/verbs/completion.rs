//! `hull completion`: scripts that teach a shell the verbs and flags.

use std::io::Write;

use clap_complete::Shell;

use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::args::command(), "hull", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(0)
}
