//! `hull registry`: a registry of images, inside the daemon or alone in this process.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use hull_registry::config::{self, Config};
use serde::Deserialize;
use serde_json::json;

use crate::connect::Host;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Start the daemon's own registry, on the images that it has
    Start(Start),
    /// Stop the daemon's own registry
    Stop,
    /// Show whether the daemon's own registry runs
    Status,
    /// Serve a registry with a store of its own, until a signal ends it
    Serve(Serve),
}

#[derive(Debug, clap::Args)]
struct Start {
    /// Address and port (default 127.0.0.1:5000)
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Configuration file (TOML); its paths are the daemon's
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
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
    /// Be a cache of the registry at this address (https://HOST, or http://HOST on this machine)
    #[arg(long, value_name = "URL")]
    cache_of: Option<String>,
    /// File with user:password for the registry that this is a cache of
    #[arg(long, value_name = "FILE", requires = "cache_of")]
    cache_credentials: Option<PathBuf>,
}

/// How the daemon's registry is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Status {
    running: bool,
    address: String,
    secure: bool,
    error: String,
}

pub(crate) async fn run(args: Args, host: Host) -> Result<u8, Failure> {
    match args.verb {
        Verb::Serve(serve) => serve.run().await,
        Verb::Start(start) => {
            let wish = start.wish()?;
            let client = host.connect().await?;
            let status: Status = client.post_as("/hull/registry/start", &wish).await?;
            writeln!(std::io::stdout(), "{}", status.url())?;
            Ok(0)
        }
        Verb::Stop => {
            let client = host.connect().await?;
            let _: serde_json::Value = client.post_as("/hull/registry/stop", &json!({})).await?;
            Ok(0)
        }
        Verb::Status => {
            let client = host.connect().await?;
            let status: Status = client.get_as("/hull/registry", &[]).await?;
            writeln!(std::io::stdout(), "{}", status.line())?;
            Ok(u8::from(!status.running))
        }
    }
}

impl Status {
    fn url(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    fn line(&self) -> String {
        match (self.running, self.error.is_empty()) {
            (true, _) => format!("running at {}", self.url()),
            (false, true) => "stopped".to_owned(),
            (false, false) => format!("stopped: {}", self.error),
        }
    }
}

impl Start {
    /// What the daemon is asked for: it does not see our files.
    fn wish(&self) -> Result<serde_json::Value, Failure> {
        let mut wish = serde_json::Map::new();
        if let Some(listen) = self.listen {
            wish.insert("Listen".to_owned(), json!(listen));
        }
        if let Some(path) = &self.config {
            let text = std::fs::read_to_string(path);
            let text = text.map_err(|e| Failure::new(format!("{}: {e}", path.display())))?;
            wish.insert("Config".to_owned(), json!(text));
        }
        Ok(wish.into())
    }
}

impl Serve {
    async fn run(self) -> Result<u8, Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::new(error.to_string());
        let config = self.config().map_err(|error| failed(&error))?;
        let served = hull_registry::run_alone(&self.root, &config).await;
        served.map_err(|error| failed(&error))?;
        Ok(0)
    }

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
        if let Some(upstream) = &self.cache_of {
            let credentials = self.cache_credentials.clone();
            config.cache = Some(hull_registry::cache::Settings::of(
                upstream.clone(),
                credentials,
            ));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_one_line() {
        let line = |running, error: &str| {
            let (address, error) = ("127.0.0.1:5000".to_owned(), error.to_owned());
            let secure = false;
            let status = Status {
                running,
                address,
                secure,
                error,
            };
            status.line()
        };
        assert_eq!(line(true, ""), "running at http://127.0.0.1:5000");
        assert_eq!(line(false, ""), "stopped");
        assert_eq!(line(false, "in use"), "stopped: in use");
    }
}
