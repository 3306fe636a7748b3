//! The configuration file, `/etc/hull/config.toml`: every key of it known, each overridden by
//! its flag.
//!
//! ```toml
//! hosts = ["unix:///run/hull/hull.sock", "tcp://0.0.0.0:2376"]
//! group = "hull"
//! data_root = "/var/lib/hull"
//! run_dir = "/run/hull"
//! log_level = "info"
//!
//! [tls]                            # for tcp://: mutual TLS, or none of it
//! authority = "/etc/hull/ca.pem"   # whose clients may use the daemon
//! certificate = "/etc/hull/cert.pem"
//! key = "/etc/hull/key.pem"
//!
//! [defaults]                       # of a container that does not say
//! memory = "512m"                  # --memory
//! cpus = 1                         # --cpus
//! scratch = "10g"                  # --storage-opt size=
//!
//! [log]                            # of a container that does not say
//! driver = "json-file"             # --log-driver: json-file, local, none
//! options = { max-size = "10m", max-file = "3" }
//!
//! [registries]
//! mirrors = ["https://mirror.example.com"]
//! insecure = ["localhost:5000", "10.0.0.0/8"]
//! certificates = ["/etc/hull/certs.d"]
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use hull_engine::ByteSize;
use hull_engine::api::{InsecureRegistry, Mirror};
use serde::{Deserialize, Deserializer};

use crate::listen::Host;

/// Where it is, where nothing else is said.
pub(crate) const PATH: &str = "/etc/hull/config.toml";

/// Why it cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no TOML, or says what is not known.
    #[error("{path}: {source}", path = path.display())]
    Parse {
        /// Which.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
}

/// What the administrator of this machine says.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    #[serde(deserialize_with = "parsed_list")]
    pub(crate) hosts: Vec<Host>,
    pub(crate) group: Option<String>,
    pub(crate) data_root: Option<PathBuf>,
    pub(crate) run_dir: Option<PathBuf>,
    pub(crate) log_level: Option<String>,
    pub(crate) tls: Tls,
    pub(crate) defaults: Defaults,
    pub(crate) log: Log,
    pub(crate) registries: Registries,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tls {
    pub(crate) authority: Option<PathBuf>,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Defaults {
    #[serde(deserialize_with = "parsed")]
    pub(crate) memory: Option<ByteSize>,
    pub(crate) cpus: Option<u8>,
    #[serde(deserialize_with = "parsed")]
    pub(crate) scratch: Option<ByteSize>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    pub(crate) driver: Option<String>,
    pub(crate) options: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Registries {
    #[serde(deserialize_with = "parsed_list")]
    pub(crate) mirrors: Vec<Mirror>,
    #[serde(deserialize_with = "parsed_list")]
    pub(crate) insecure: Vec<InsecureRegistry>,
    pub(crate) certificates: Vec<PathBuf>,
}

impl Config {
    /// The file that was named, which must be there, or the usual one, if it is.
    pub(crate) fn load(named: Option<&Path>) -> Result<Self, ConfigError> {
        let path = named.unwrap_or(Path::new(PATH));
        match std::fs::read_to_string(path) {
            Ok(text) => toml::from_str(&text).map_err(|source| ConfigError::Parse {
                path: path.to_owned(),
                source: Box::new(source),
            }),
            Err(e) if named.is_none() && e.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(ConfigError::Read {
                path: path.to_owned(),
                source,
            }),
        }
    }
}

fn parsed<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

fn parsed_list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    let texts = Vec::<String>::deserialize(deserializer)?;
    let parsed = texts
        .iter()
        .map(|text| text.parse().map_err(serde::de::Error::custom));
    parsed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_read() {
        let source = include_str!("config.rs");
        let example: String = source
            .lines()
            .skip_while(|line| *line != "//! ```toml")
            .skip(1)
            .take_while(|line| *line != "//! ```")
            .map(|line| format!("{}\n", line.trim_start_matches("//!")))
            .collect();
        let config: Config = toml::from_str(&example).unwrap();
        assert_eq!(config.hosts.len(), 2);
        assert_eq!(config.tls.key, Some("/etc/hull/key.pem".into()));
        assert_eq!(config.defaults.memory, Some(ByteSize(512 << 20)));
        assert_eq!(config.defaults.cpus, Some(1));
        assert_eq!(config.log.options["max-size"], "10m");
        assert_eq!(config.registries.insecure.len(), 2);
    }

    #[test]
    fn what_is_not_known_or_cannot_be_is_refused_by_name() {
        for (text, part) in [
            ("host = 1", "unknown field `host`"),
            ("[defaults]\nmemroy = \"1g\"", "unknown field `memroy`"),
            ("[defaults]\nmemory = \"1x\"", "invalid size: '1x'"),
            ("hosts = [\"/run/x\"]", "is not an address"),
            ("[registries]\nmirrors = [\"::\"]", "mirrors"),
        ] {
            let error = toml::from_str::<Config>(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_file_that_was_named_has_to_be_there() {
        let error = Config::load(Some(Path::new("/nosuch"))).unwrap_err();
        assert!(error.to_string().starts_with("cannot read /nosuch: "));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::fs::write(&path, "x = 1").unwrap();
        let error = Config::load(Some(&path)).unwrap_err().to_string();
        assert!(error.starts_with(path.to_str().unwrap()), "{error}");
    }
}
