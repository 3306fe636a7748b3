//! `hull doctor`: whether this host can run Hull.

use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Result<u8, Failure> {
    let _format = args.json;
    Err(Failure::new("hull doctor is not built in yet"))
}
