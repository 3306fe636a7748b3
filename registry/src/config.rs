//! The configuration file: TOML, every key of it known.
//!
//! ```toml
//! listen = "0.0.0.0:5000"
//! read_only = false
//! delete = true
//! metrics = true
//! ui = true                        # the web page at /ui/
//! access_log = "stdout"            # or a file's path, or "off"
//!
//! [tls]
//! certificate = "/etc/hull/registry.crt"
//! key = "/etc/hull/registry.key"
//!
//! [auth]
//! realm = "Hull registry"
//! htpasswd = "/etc/hull/htpasswd"  # bcrypt
//! users_may = "everything"         # where no rule says more: "everything", "own" or "nothing"
//!
//! [auth.token]                     # tokens from /token instead of a password each time
//! service = "registry.example.com"
//! lifetime = "5m"
//!
//! [tokens]                         # instead of [auth] and [[rights]]: another issuer's tokens
//! realm = "https://auth.example.com/token"
//! service = "registry.example.com"
//! issuer = "auth.example.com"
//! keys = "/etc/hull/issuer.json"   # public: a JWK set, or PEM (keys, certificates)
//! leeway = "60s"
//!
//! [[rights]]
//! users = ["ann", "@all"]          # @all: everybody with a password, @anonymous: those without
//! repositories = ["team/**"]
//! actions = ["pull", "push", "delete"]
//!
//! [quota]                          # the first pattern that fits
//! "team/**" = "10GiB"
//!
//! [collect]
//! every = "1h"
//! grace = "24h"
//! untagged = "keep"                # or "remove"
//!
//! [[webhooks]]
//! url = "https://ci.example.com/registry"
//! form = "distribution"            # or "hub": one after the other, each when called back
//! events = ["push"]                # of push, pull, mount, delete
//! repositories = ["team/**"]
//! headers = { Authorization = "Bearer x" }
//! timeout = "5s"
//! attempts = 5
//!
//! [cache]                          # of another registry: nobody pushes to it
//! upstream = "https://registry-1.docker.io"
//! credentials = "/etc/hull/upstream"      # user:password, if it wants such
//! certificates = "/etc/hull/certs.d"      # host:port/*.crt: whom to trust there
//! insecure = false                        # true: without TLS, or with anybody's certificate
//! expire = "7d"                           # what was not used for so long is removed
//! timeout = "30s"
//! attempts = 3
//! retry = "10s"                           # copies are given so long if it did not answer
//!
//! [limits]
//! webhooks = 8                     # requests to hooks at once
//! manifest = "4MiB"
//! connections = 1024
//! patience = "60s"
//! ```

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::access::{Action, Pattern};

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {}: {source}", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{}: {source}", path.display())]
    Parse {
        path: PathBuf,
        source: Box<toml::de::Error>,
    },
}

/// What an administrator may say.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub listen: Option<SocketAddr>,
    pub read_only: bool,
    pub delete: Option<bool>,
    pub metrics: bool,
    /// Pages for people; shown if nothing is said.
    pub ui: Option<bool>,
    pub access_log: Option<String>,
    pub tls: Option<Tls>,
    pub auth: Option<Auth>,
    pub rights: Vec<Rule>,
    #[serde(deserialize_with = "quotas")]
    pub quota: Vec<(Pattern, u64)>,
    pub collect: Collect,
    pub webhooks: Vec<Hook>,
    /// Scheme, host and port by which others reach the registry: where hooks call back.
    pub external_url: Option<String>,
    pub limits: Limits,
    pub cache: Option<crate::cache::Settings>,
    pub tokens: Option<crate::access::Tokens>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// PEM, the server's own first.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    #[serde(default = "realm")]
    pub realm: String,
    pub htpasswd: PathBuf,
    #[serde(default)]
    pub users_may: UsersMay,
    /// Ask for tokens.
    pub token: Option<Token>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// The registry's name in its tokens.
    pub service: String,
    #[serde(default = "five_minutes", deserialize_with = "duration")]
    pub lifetime: Duration,
}

fn five_minutes() -> Duration {
    Duration::from_secs(300)
}

impl Auth {
    /// Passwords of a file, and no more said.
    pub fn with(htpasswd: PathBuf) -> Auth {
        Auth {
            realm: realm(),
            htpasswd,
            users_may: UsersMay::default(),
            token: None,
        }
    }
}

fn realm() -> String {
    "Hull registry".to_owned()
}

/// What users may where no rule says more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UsersMay {
    #[default]
    Everything,
    /// What is below their name, or is theirs, or was opened to them.
    Own,
    Nothing,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub users: Vec<String>,
    pub repositories: Vec<Pattern>,
    pub actions: Vec<Action>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Collect {
    #[serde(deserialize_with = "duration")]
    pub every: Duration,
    #[serde(deserialize_with = "duration")]
    pub grace: Duration,
    pub untagged: Untagged,
}

/// Whom to tell what happens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    pub url: String,
    #[serde(default)]
    pub form: Form,
    /// All, if empty.
    #[serde(default)]
    pub events: Vec<crate::webhooks::Action>,
    /// All, if empty.
    #[serde(default)]
    pub repositories: Vec<Pattern>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default = "five_seconds", deserialize_with = "duration")]
    pub timeout: Duration,
    #[serde(default = "five")]
    pub attempts: u32,
    /// How long a chain waits for a call back.
    #[serde(default = "ten_minutes", deserialize_with = "duration")]
    pub callback: Duration,
}

/// What a hook is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    #[default]
    Distribution,
    Hub,
}

fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

fn ten_minutes() -> Duration {
    Duration::from_secs(600)
}

fn five() -> u32 {
    5
}

/// What becomes of manifests that nothing leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Untagged {
    #[default]
    Keep,
    Remove,
}

impl Default for Collect {
    fn default() -> Collect {
        Collect {
            every: Duration::from_secs(3600),
            grace: Duration::from_secs(24 * 3600),
            untagged: Untagged::Keep,
        }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    #[serde(deserialize_with = "size")]
    pub manifest: u64,
    pub connections: usize,
    pub webhooks: usize,
    #[serde(deserialize_with = "duration")]
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            manifest: 4 << 20,
            connections: 1024,
            webhooks: 8,
            patience: Duration::from_secs(60),
        }
    }
}

impl Config {
    pub fn read(path: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        toml::from_str(&text).map_err(|source| ConfigError::Parse {
            path: path.to_owned(),
            source: Box::new(source),
        })
    }
}

impl Config {
    /// Host and port of the address by which others reach the registry.
    pub(crate) fn external_host(&self) -> Option<&str> {
        let url = self.external_url.as_deref()?;
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        rest.split('/').next().filter(|host| !host.is_empty())
    }
}

fn quotas<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(Pattern, u64)>, D::Error> {
    let table = toml::Table::deserialize(from)?;
    let quota = |(pattern, value): (String, toml::Value)| {
        let pattern = pattern.parse().map_err(serde::de::Error::custom)?;
        let text = value.as_str().unwrap_or_default();
        let bytes = parse_size(text).ok_or_else(|| not("a size as 10GiB", &value.to_string()))?;
        Ok((pattern, bytes))
    };
    table.into_iter().map(quota).collect()
}

fn size<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let text = String::deserialize(from)?;
    parse_size(&text).ok_or_else(|| not("a size as 10GiB", &text))
}

pub(crate) fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    parse_duration(&text).ok_or_else(|| not("a duration as 90s or 24h", &text))
}

fn not<E: serde::de::Error>(what: &str, text: &str) -> E {
    E::custom(format!("{text:?} is not {what}"))
}

fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let unit = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        _ => return None,
    };
    number.checked_mul(unit)
}

fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let seconds = match unit {
        "ms" => return Some(Duration::from_millis(number)),
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    number.checked_mul(seconds).map(Duration::from_secs)
}

fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit());
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file that this module's documentation shows.
    fn documented() -> String {
        let source = include_str!("config.rs");
        let lines = source.lines().skip_while(|line| !line.contains("```toml"));
        let lines = lines.skip(1).take_while(|line| !line.contains("```"));
        lines
            .map(|line| format!("{}\n", line.trim_start_matches("//!")))
            .collect()
    }

    #[test]
    fn the_documented_file_is_one() {
        let config: Config = toml::from_str(&documented()).unwrap();
        assert_eq!(config.quota[0].1, 10 << 30);
        assert_eq!(config.collect.grace, Duration::from_secs(86_400));
        assert_eq!(config.limits.manifest, 4 << 20);
        assert_eq!(config.rights[0].actions.len(), 3);
        assert_eq!(config.auth.unwrap().users_may, UsersMay::Everything);
    }

    #[test]
    fn mistakes_are_named() {
        let check = |text: &str, part: &str| {
            let error = toml::from_str::<Config>(text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        check("nosuch = 1", "nosuch");
        check("[limits]\nmanifest = \"4XB\"", "is not a size");
        check("[collect]\ngrace = \"soon\"", "is not a duration");
        check("[quota]\n\"a\" = \"99999999999TiB\"", "is not a size");
        check("[quota]\n\"A\" = \"1GiB\"", "is not a pattern");
        check(
            "[[rights]]\nusers = []\nrepositories = []\nactions = [\"x\"]",
            "x",
        );
    }
}
