//! `hull registry`: a registry of images, alone in this process.

use std::net::SocketAddr;
use std::path::PathBuf;

use hull_registry::config::{self, Config};

use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Serve a registry with a store of its own, until a signal ends it
    Serve(Serve),
}

#[derive(Debug, clap::Args)]
struct Serve {
    /// Folder of the store
    #[arg(long, value_name = "DIR")]
    root: PathBuf,
    /// Address and port (default 127.0.0.1:5000)
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Ask for passwords of this file (bcrypt)
    #[arg(long, value_name = "FILE")]
    htpasswd: Option<PathBuf>,
    /// Certificate chain (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Refuse pushes and deletes
    #[arg(long)]
    read_only: bool,
}

pub(crate) async fn run(args: Args) -> Result<u8, Failure> {
    let Verb::Serve(serve) = args.verb;
    let failed = |error: &dyn std::fmt::Display| Failure::new(error.to_string());
    let config = serve.config().map_err(|error| failed(&error))?;
    let served = hull_registry::run_alone(&serve.root, &config).await;
    served.map_err(|error| failed(&error))?;
    Ok(0)
}

impl Serve {
    /// The file's configuration, under what the flags say.
    fn config(&self) -> Result<Config, config::ConfigError> {
        let mut config = match &self.config {
            None => Config::default(),
            Some(path) => Config::read(path)?,
        };
        config.listen = self.listen.or(config.listen);
        config.read_only |= self.read_only;
        if config.access_log.is_none() {
            config.access_log = Some("stdout".to_owned());
        }
        if let Some(htpasswd) = &self.htpasswd {
            config.auth = Some(config::Auth::with(htpasswd.clone()));
        }
        if let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) {
            config.tls = Some(config::Tls {
                certificate: certificate.clone(),
                key: key.clone(),
            });
        }
        Ok(config)
    }
}
