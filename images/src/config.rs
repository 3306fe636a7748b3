//! The image configuration: what an image says about itself and how to run it.
//!
//! OCI's and Docker's fields; what is not known here is kept, so that writing a configuration back
//! loses nothing. An image's id is the digest of the bytes it came in, never of these types.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::digest::DiffId;

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ImageConfig {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub author: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
    #[serde(flatten)]
    pub platform: Platform,
    #[serde(default, deserialize_with = "null_is_default")]
    pub config: RunConfig,
    pub rootfs: RootFs,
    #[serde(default, deserialize_with = "null_is_default")]
    pub history: Vec<History>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub docker_version: String,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// What an image runs on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Platform {
    #[serde(default)]
    pub architecture: String,
    #[serde(default)]
    pub os: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

/// Docker's container configuration, as an image holds it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RunConfig {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposed_ports: Option<BTreeMap<String, Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volumes: Option<BTreeMap<String, Value>>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_build: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stop_signal: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shell: Option<Vec<String>>,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Times are in nanoseconds; 0 means the default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Healthcheck {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub interval: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub timeout: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub start_period: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub start_interval: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RootFs {
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Bottom first.
    #[serde(default, deserialize_with = "null_is_default")]
    pub diff_ids: Vec<DiffId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct History {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub created_by: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub author: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// This step made no layer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

impl Platform {
    /// What this machine runs.
    pub fn host() -> Platform {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Platform {
            architecture: architecture.to_owned(),
            os: "linux".to_owned(),
            variant: String::new(),
        }
    }

    /// Whether an image of this platform runs on `host`.
    pub fn runs_on(&self, host: &Platform) -> bool {
        self.os == host.os && self.architecture == host.architecture
    }
}

impl Platform {
    /// Whether it is what `wanted` asks for; what is not asked for may be anything.
    pub fn provides(&self, wanted: &Platform) -> bool {
        let fits = |wanted: &str, found: &str| wanted.is_empty() || wanted == found;
        fits(&wanted.os, &self.os)
            && fits(&wanted.architecture, &self.architecture)
            && (self.variant.is_empty() || fits(&wanted.variant, &self.variant))
    }
}

/// `linux/amd64`, `linux/arm/v7`, or just one of a system and an architecture.
impl std::str::FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Platform, PlatformError> {
        let error = || PlatformError(text.to_owned());
        let is_word = |word: &&str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
            !word.is_empty() && word.bytes().all(allowed)
        };
        let words: Vec<&str> = text.split('/').collect();
        if !words.iter().all(is_word) {
            return Err(error());
        }
        let lower = |word: &str| word.to_ascii_lowercase();
        let architecture = |word: &str| match lower(word).as_str() {
            "x86_64" | "x86-64" => "amd64".to_owned(),
            "aarch64" => "arm64".to_owned(),
            other => other.to_owned(),
        };
        let host = Platform::host();
        let is_system = |word: &str| matches!(word, "linux" | "windows" | "darwin" | "freebsd");
        Ok(match words.as_slice() {
            [os] if is_system(&lower(os)) => Platform {
                os: lower(os),
                ..host
            },
            [other] => Platform {
                architecture: architecture(other),
                ..host
            },
            [os, other] => Platform {
                os: lower(os),
                architecture: architecture(other),
                variant: String::new(),
            },
            [os, other, variant] => Platform {
                os: lower(os),
                architecture: architecture(other),
                variant: lower(variant),
            },
            _ => return Err(error()),
        })
    }
}

/// A text that is no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is an invalid OS or architecture or platform: invalid argument")]
pub struct PlatformError(String);

impl std::fmt::Display for Platform {
    /// `linux/arm/v7`, as Docker shows it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if !self.variant.is_empty() {
            write!(f, "/{}", self.variant)?;
        }
        Ok(())
    }
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// Go writes `null` for what is empty.
fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_docker_configuration_survives_a_round_trip() {
        let text = serde_json::json!({
            "architecture": "arm", "variant": "v7", "os": "linux",
            "os.features": ["x"],
            "created": "2024-05-01T10:00:00.123456789Z",
            "docker_version": "28.5.2",
            "container": "abc",
            "container_config": {"Hostname": "abc", "Cmd": ["/bin/sh"]},
            "config": {
                "User": "1000:1000", "Env": ["PATH=/bin"], "Cmd": ["sh"],
                "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/data": {}},
                "Healthcheck": {"Test": ["CMD-SHELL", "true"], "Interval": 5},
                "OnBuild": ["RUN x"], "Shell": ["/bin/bash", "-c"], "ArgsEscaped": true,
                "Labels": {"a": "b"}, "StopSignal": "SIGINT", "WorkingDir": "/w"
            },
            "rootfs": {"type": "layers", "diff_ids": []},
            "history": [{"created_by": "x", "empty_layer": true}]
        });
        let config: ImageConfig = serde_json::from_value(text.clone()).unwrap();
        assert_eq!(config.platform.to_string(), "linux/arm/v7");
        assert!(!config.platform.runs_on(&Platform::host()));
        assert_eq!(config.config.cmd.as_deref(), Some(&["sh".to_owned()][..]));
        assert_eq!(serde_json::to_value(&config).unwrap(), text);
    }

    #[test]
    fn platforms_are_read_as_users_write_them() {
        let check = |text: &str, expected: Option<&str>| {
            let found = text.parse::<Platform>().ok().map(|found| found.to_string());
            assert_eq!(found.as_deref(), expected, "{text:?}");
        };
        check("linux/amd64", Some("linux/amd64"));
        check("linux/x86_64", Some("linux/amd64"));
        check("Linux/arm/v7", Some("linux/arm/v7"));
        check("arm64", Some("linux/arm64"));
        check("", None);
        check("linux/", None);
        check("a/b/c/d", None);
        check("linux/am d64", None);
        let image: Platform = "linux/arm64".parse().unwrap();
        let asks = |text: &str| image.provides(&text.parse().unwrap());
        assert!(asks("linux/arm64") && asks("linux/arm64/v8"));
        assert!(!asks("linux/amd64"));
    }

    #[test]
    fn nulls_and_missing_parts_are_empty() {
        let text = r#"{"config":null,"history":null,"created":null,
            "rootfs":{"type":"layers","diff_ids":null}}"#;
        let config: ImageConfig = serde_json::from_str(text).unwrap();
        assert_eq!(config.config, RunConfig::default());
        assert_eq!(config.created, None);
        let text = r#"{"config":{"Cmd":null,"Labels":null},"rootfs":{}}"#;
        serde_json::from_str::<ImageConfig>(text).unwrap();
        assert!(serde_json::from_str::<ImageConfig>("{}").is_err());
    }
}
