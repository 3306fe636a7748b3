//! `hull tag`: gives an image another name.

use bollard::query_parameters::TagImageOptions;
use hull_images::{Reference, ReferenceError};

use super::named;
use crate::api::{Client, Error};
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(value_name = "SOURCE_IMAGE[:TAG]")]
    source: String,
    #[arg(value_name = "TARGET_IMAGE[:TAG]")]
    target: String,
}

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    let target: Reference = args.target.parse().map_err(|error: ReferenceError| {
        let target = &args.target;
        Failure::new(format!(
            "Error parsing reference: \"{target}\" is not a valid repository/tag: {error}"
        ))
    })?;
    if target.digest().is_some() {
        return Err(Failure::new(
            "refusing to create a tag with a digest reference",
        ));
    }
    let options = TagImageOptions {
        repo: Some(target.repository().to_string()),
        tag: target.or_latest().tag().map(str::to_owned),
    };
    let source = named::image(&args.source)?;
    client
        .docker()
        .tag_image(&source, Some(options))
        .await
        .map_err(Error::from)?;
    Ok(0)
}
