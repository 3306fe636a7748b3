//! What a container is, fixed when it is created: the request merged with its image.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{capabilities, defaults};
use crate::api::{Config, CreateSpec, HostConfig};
use crate::error::EngineError;
use crate::health;
use crate::id::ContainerId;
use crate::images::RunImage;
use crate::layout::Layout;
use crate::log::{Driver, Log, Rotation, Shelf};
use crate::time::Timestamp;

/// What a container is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Blueprint {
    pub(crate) id: ContainerId,
    pub(crate) created: Timestamp,
    /// `sha256:…`.
    pub(crate) image_id: String,
    pub(crate) config: Config,
    pub(crate) host_config: HostConfig,
}

impl Blueprint {
    /// Merges by Docker's rules: the request wins, lists of names unite, and an entrypoint of the
    /// request's own takes none of the image's arguments.
    pub(crate) fn new(
        id: ContainerId,
        spec: CreateSpec,
        image: &RunImage,
    ) -> Result<Self, EngineError> {
        let CreateSpec {
            mut config,
            mut host_config,
            ..
        } = spec;
        let ours = &image.config;
        if config.entrypoint.as_ref().is_none_or(Vec::is_empty) {
            if config.cmd.as_ref().is_none_or(Vec::is_empty) {
                config.cmd = ours.cmd.clone();
            }
            if config.entrypoint.is_none() {
                config.entrypoint = ours.entrypoint.clone();
            }
        }
        if config.user.is_empty() {
            config.user = ours.user.clone();
        }
        if config.working_dir.is_empty() {
            config.working_dir = ours.working_dir.clone();
        }
        config.stop_signal = config.stop_signal.or_else(|| ours.stop_signal.clone());
        config.healthcheck = health::merge(config.healthcheck, ours.healthcheck.as_ref());
        if let (Some(shell), false) = (&ours.shell, config.other.contains_key("Shell")) {
            config
                .other
                .insert("Shell".to_owned(), shell.clone().into());
        }
        merge_env(&mut config, &ours.env);
        merge_ports(&mut config, &ours.exposed_ports);
        for (name, value) in &ours.labels {
            config
                .labels
                .entry(name.clone())
                .or_insert_with(|| value.clone());
        }
        if config.hostname.is_empty() {
            config.hostname = id.short().to_owned();
        }
        defaults::fill(&mut host_config);
        let blueprint = Self {
            id,
            created: Timestamp::now(),
            image_id: image.id.clone(),
            config,
            host_config,
        };
        capabilities::allowed(&blueprint.host_config)?;
        if let Some(signal) = &blueprint.config.stop_signal {
            crate::signal::parse(signal)?;
        }
        match blueprint.command().is_empty() {
            true => Err(EngineError::NoCommand),
            false => Ok(blueprint),
        }
    }

    /// Where its output is kept.
    pub(crate) fn log(&self, layout: &Layout) -> Log {
        let driver = self.host_config.log_config.driver();
        let rotation = match driver {
            Ok(Driver::Discard) => return Log::Discarded(layout.output_position(&self.id)),
            Ok(Driver::JsonFile(rotation) | Driver::Local(rotation)) => rotation,
            // It was checked when the container was made.
            Err(error) => {
                tracing::error!(container = %self.id, %error, "a log is kept without its options");
                Rotation::JSON_FILE
            }
        };
        let shelf = Shelf::new(layout.log(&self.id), rotation);
        if let Err(error) = shelf.mend() {
            tracing::error!(container = %self.id, %error, "a log is not as it was left");
        }
        Log::Files(Arc::new(shelf))
    }

    /// Whether others may read its log as a file.
    pub(crate) fn shows_log(&self) -> bool {
        matches!(
            self.host_config.log_config.driver(),
            Ok(Driver::JsonFile(_))
        )
    }

    /// Program and arguments.
    pub(crate) fn command(&self) -> Vec<String> {
        let entrypoint = self.config.entrypoint.iter().flatten();
        let cleared = self
            .config
            .entrypoint
            .as_ref()
            .is_some_and(|e| e.len() == 1 && e[0].is_empty());
        let entrypoint = entrypoint.filter(|_| !cleared);
        entrypoint
            .chain(self.config.cmd.iter().flatten())
            .cloned()
            .collect()
    }
}

/// The request's variables, then those of the image that it does not name.
fn merge_env(config: &mut Config, image: &[String]) {
    let name = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
    let mut env = config.env.take().unwrap_or_default();
    let given: Vec<String> = env.iter().map(|e| name(e)).collect();
    env.extend(image.iter().filter(|e| !given.contains(&name(e))).cloned());
    config.env = Some(env);
}

/// The ports of both. A set is an object whose fields are what is in it.
fn merge_ports(config: &mut Config, image: &BTreeSet<String>) {
    let given = config.other.remove("ExposedPorts");
    let mut ports = match given {
        Some(Value::Object(ports)) => ports,
        _ => Map::new(),
    };
    for port in image {
        ports.insert(port.clone(), Value::Object(Map::new()));
    }
    if !ports.is_empty() {
        let ports = Value::Object(ports);
        config.other.insert("ExposedPorts".to_owned(), ports);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::ImageConfig;

    fn words(list: &[&str]) -> Option<Vec<String>> {
        Some(list.iter().map(|s| (*s).to_owned()).collect())
    }

    fn command(
        request: (Option<Vec<String>>, Option<Vec<String>>),
    ) -> Result<Vec<String>, EngineError> {
        let image = RunImage {
            id: "sha256:0".into(),
            config: ImageConfig {
                entrypoint: words(&["entry"]),
                cmd: words(&["arg"]),
                ..ImageConfig::default()
            },
            ..RunImage::default()
        };
        let config = Config {
            entrypoint: request.0,
            cmd: request.1,
            ..Config::default()
        };
        let spec = CreateSpec {
            config,
            ..CreateSpec::default()
        };
        Ok(Blueprint::new(ContainerId::random().unwrap(), spec, &image)?.command())
    }

    #[test]
    fn entrypoint_and_command_merge_as_dockers() {
        for (entrypoint, cmd, merged) in [
            (None, None, &["entry", "arg"][..]),
            (None, words(&["x"]), &["entry", "x"]),
            (words(&["e"]), None, &["e"]),
            (words(&["e"]), words(&["x"]), &["e", "x"]),
            (words(&[""]), words(&["x"]), &["x"]),
            (words(&[]), words(&["x"]), &["x"]),
        ] {
            assert_eq!(
                command((entrypoint.clone(), cmd.clone())).unwrap(),
                merged,
                "{entrypoint:?} {cmd:?}"
            );
        }
        assert!(matches!(
            command((words(&[""]), None)),
            Err(EngineError::NoCommand)
        ));
    }

    #[test]
    fn ports_of_the_request_and_the_image_unite() {
        let merged = |given: serde_json::Value, image: &[&str]| {
            let mut config: Config = serde_json::from_value(given).unwrap();
            let image = image.iter().map(|port| (*port).to_owned()).collect();
            merge_ports(&mut config, &image);
            config.other.get("ExposedPorts").map(ToString::to_string)
        };
        let own = serde_json::json!({ "ExposedPorts": { "81/tcp": {}, "80/tcp": {} } });
        assert_eq!(
            merged(own, &["53/udp", "80/tcp"]).as_deref(),
            Some(r#"{"53/udp":{},"80/tcp":{},"81/tcp":{}}"#)
        );
        let none = || serde_json::json!({ "ExposedPorts": null });
        assert_eq!(
            merged(none(), &["80/tcp"]).as_deref(),
            Some(r#"{"80/tcp":{}}"#)
        );
        assert_eq!(merged(none(), &[]), None);
    }

    #[test]
    fn variables_of_the_request_win() {
        let mut config = Config {
            env: words(&["A=1", "B"]),
            ..Config::default()
        };
        merge_env(&mut config, &["A=9".into(), "B=9".into(), "C=3".into()]);
        assert_eq!(config.env, words(&["A=1", "B", "C=3"]));
    }
}
