//! `hull machine`: the emulated host.

use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) async fn run(args: Args) -> Result<u8, Failure> {
    let Args {} = args;
    Err(Failure::new("hull machine is not built in yet"))
}
