//! `hull create`: makes a container and does not start it; also the first half of `hull run`.

use std::io::Write;
use std::path::PathBuf;

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::CreateContainerOptions;
use hull_images::Reference;

use super::pull::{Wanted, pull};
use crate::api::{Client, Error};
use crate::failure::{Failure, REFUSED};
use crate::spec::flags::Flags;
use crate::spec::{self, Pull, SpecError};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    flags: Flags,
}

#[cfg(test)]
impl Args {
    pub(crate) fn into_flags(self) -> Flags {
        self.flags
    }
}

pub(crate) async fn run(args: &Args, client: &Client) -> Result<u8, Failure> {
    let plan = Plan::resolve(&args.flags)
        .map_err(|error| Failure::new(error.to_string()).of_verb("create", REFUSED))?;
    let id = plan.make(client).await?;
    writeln!(std::io::stdout(), "{id}")?;
    Ok(0)
}

/// A container that is to be made.
pub(super) struct Plan<'a> {
    flags: &'a Flags,
    pub(super) body: ContainerCreateBody,
    pull: Pull,
}

impl<'a> Plan<'a> {
    pub(super) fn resolve(flags: &'a Flags) -> Result<Plan<'a>, SpecError> {
        let pull = spec::pull(flags)?;
        let body = spec::resolve(flags, &|name| std::env::var(name).ok())?;
        Ok(Plan { flags, body, pull })
    }

    /// Makes it, with its image fetched where it is missing; returns its id.
    pub(super) async fn make(&self, client: &Client) -> Result<String, Failure> {
        let cidfile = CidFile::reserve(self.flags.cidfile.as_ref())?;
        let name = self.body.image.as_deref().unwrap_or_default();
        let reference = image(name)?;
        if let (Pull::Always, Some(image)) = (self.pull, &reference) {
            self.fetch(client, image).await?;
        }
        let created = match (self.create(client).await, &reference) {
            (Err(error), Some(image)) if error.is_not_found() && self.pull == Pull::Missing => {
                writeln!(
                    std::io::stderr(),
                    "Unable to find image '{}' locally",
                    image.familiar()
                )?;
                self.fetch(client, image).await?;
                self.create(client).await?
            }
            (outcome, _) => outcome?,
        };
        for warning in created.warnings {
            writeln!(std::io::stderr(), "WARNING: {warning}")?;
        }
        cidfile.write(&created.id)?;
        Ok(created.id)
    }

    async fn fetch(&self, client: &Client, image: &Reference) -> Result<(), Failure> {
        let platform = self.flags.platform.as_deref();
        pull(
            client,
            Wanted {
                image,
                platform,
                quiet: self.flags.quiet,
            },
        )
        .await
    }

    async fn create(
        &self,
        client: &Client,
    ) -> Result<bollard::models::ContainerCreateResponse, Error> {
        let options = CreateContainerOptions {
            name: self.flags.name.clone(),
            platform: self.flags.platform.clone().unwrap_or_default(),
        };
        Ok(client
            .docker()
            .create_container(Some(options), self.body.clone())
            .await?)
    }
}

/// The image's name; none where it is given by its id, which no registry can be asked for.
fn image(name: &str) -> Result<Option<Reference>, Failure> {
    let id = name.strip_prefix("sha256:").unwrap_or(name);
    let full = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if full {
        return Ok(None);
    }
    match name.parse::<Reference>() {
        Ok(reference) => Ok(Some(reference.or_latest())),
        Err(error) => Err(Failure::new(error.to_string())),
    }
}

/// A file for the id. It must not be there: it may tell of another container.
struct CidFile(Option<PathBuf>);

impl CidFile {
    fn reserve(path: Option<&PathBuf>) -> Result<CidFile, Failure> {
        match path {
            Some(path) if path.exists() => {
                let error = SpecError::CidFileExists(path.display().to_string());
                Err(Failure::new(error.to_string()))
            }
            path => Ok(CidFile(path.cloned())),
        }
    }

    fn write(self, id: &str) -> Result<(), Failure> {
        let Some(path) = self.0 else { return Ok(()) };
        std::fs::write(&path, id).map_err(|error| {
            let path = path.display();
            Failure::new(format!(
                "failed to write the container ID to the file {path}: {error}"
            ))
        })
    }
}
