//! `--change`: Dockerfile instructions that change only an image's configuration.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::config::RunConfig;
use crate::words::{WordError, split};

/// Why a change is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    #[error("{0} is not a valid change command")]
    Instruction(String),
    #[error("{0} requires at least one argument")]
    NoArgument(String),
    #[error("{0} requires exactly one argument")]
    ManyArguments(String),
    #[error("{0} names can not be blank")]
    BlankName(String),
    #[error("Syntax error - can't find = in {word:?}. Must be of the form: name=value")]
    NoEquals { word: String },
    #[error("invalid containerPort: {0}")]
    Port(String),
    #[error("{instruction}: {source}")]
    Words {
        instruction: String,
        source: WordError,
    },
}

/// Applies one instruction, such as `CMD ["sh"]` or `ENV A=b C=d`.
pub fn apply(config: &mut RunConfig, change: &str) -> Result<(), ChangeError> {
    let change = change.trim();
    let (instruction, rest) = match change.split_once(char::is_whitespace) {
        Some((instruction, rest)) => (instruction, rest.trim()),
        None => (change, ""),
    };
    let name = instruction.to_ascii_uppercase();
    if !KNOWN.contains(&name.as_str()) {
        return Err(ChangeError::Instruction(instruction.to_owned()));
    }
    if rest.is_empty() && !matches!(name.as_str(), "CMD" | "ENTRYPOINT") {
        return Err(ChangeError::NoArgument(name));
    }
    let words = |config: &RunConfig| {
        split(rest, config).map_err(|source| ChangeError::Words {
            instruction: name.clone(),
            source,
        })
    };
    match name.as_str() {
        "CMD" => config.cmd = Some(command(config, rest)),
        "ENTRYPOINT" => {
            config.entrypoint = Some(command(config, rest));
            // What the image ran before was not meant as arguments of this.
            config.cmd = None;
        }
        "ENV" => {
            for (key, value) in pairs(&name, rest, &words(config)?)? {
                set_env(config.env.get_or_insert_default(), &key, &value);
            }
        }
        "LABEL" => {
            let pairs = pairs(&name, rest, &words(config)?)?;
            config.labels.get_or_insert_default().extend(pairs);
        }
        "EXPOSE" => {
            for word in words(config)? {
                let ports = ports(&word)?;
                insert(&mut config.exposed_ports, ports);
            }
        }
        "VOLUME" => {
            let paths = match serde_json::from_str(rest) {
                Ok(paths) => paths,
                Err(_) => words(config)?,
            };
            if paths.iter().any(|path| path.trim().is_empty()) {
                return Err(ChangeError::BlankName(name));
            }
            insert(&mut config.volumes, paths);
        }
        "USER" => config.user = single(&name, words(config)?)?,
        "STOPSIGNAL" => config.stop_signal = single(&name, words(config)?)?,
        _ => {
            let path = single(&name, words(config)?)?;
            config.working_dir = working_dir(&config.working_dir, &path);
        }
    }
    Ok(())
}

const KNOWN: [&str; 9] = [
    "CMD",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "LABEL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// JSON is the command itself; anything else goes to the image's shell.
fn command(config: &RunConfig, text: &str) -> Vec<String> {
    if let Ok(words) = serde_json::from_str(text) {
        return words;
    }
    let default = || vec!["/bin/sh".to_owned(), "-c".to_owned()];
    let mut words = config.shell.clone().unwrap_or_else(default);
    words.push(text.to_owned());
    words
}

/// `A=b C=d`, or the old form `A b c`.
fn pairs(
    instruction: &str,
    rest: &str,
    words: &[String],
) -> Result<Vec<(String, String)>, ChangeError> {
    let first = rest.split_whitespace().next().unwrap_or_default();
    let pairs: Vec<(String, String)> = if first.contains('=') {
        let split = |word: &String| match word.split_once('=') {
            Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
            None => Err(ChangeError::NoEquals { word: word.clone() }),
        };
        words.iter().map(split).collect::<Result<_, _>>()?
    } else {
        match words.split_first() {
            Some((key, values)) if !values.is_empty() => vec![(key.clone(), values.join(" "))],
            _ => {
                let word = first.to_owned();
                return Err(ChangeError::NoEquals { word });
            }
        }
    };
    if pairs.iter().any(|(key, _)| key.is_empty()) {
        return Err(ChangeError::BlankName(instruction.to_owned()));
    }
    Ok(pairs)
}

fn set_env(env: &mut Vec<String>, key: &str, value: &str) {
    let entry = format!("{key}={value}");
    let is_same = |entry: &&mut String| entry.split('=').next() == Some(key);
    match env.iter_mut().find(is_same) {
        Some(old) => *old = entry,
        None => env.push(entry),
    }
}

/// `80`, `80/udp`, `8000-8010/tcp`, as `port/protocol` each.
fn ports(word: &str) -> Result<Vec<String>, ChangeError> {
    let refused = || ChangeError::Port(word.to_owned());
    let (range, protocol) = word.split_once('/').unwrap_or((word, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(refused());
    }
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let first: u16 = first.parse().map_err(|_| refused())?;
    let last: u16 = last.parse().map_err(|_| refused())?;
    if first > last {
        return Err(refused());
    }
    Ok((first..=last)
        .map(|port| format!("{port}/{protocol}"))
        .collect())
}

fn insert(set: &mut Option<BTreeMap<String, Value>>, keys: Vec<String>) {
    let empty = || Value::Object(Map::new());
    let entries = keys.into_iter().map(|key| (key, empty()));
    set.get_or_insert_default().extend(entries);
}

fn single(instruction: &str, words: Vec<String>) -> Result<String, ChangeError> {
    match <[String; 1]>::try_from(words) {
        Ok([word]) => Ok(word),
        Err(_) => Err(ChangeError::ManyArguments(instruction.to_owned())),
    }
}

/// A relative path is seen from the directory before.
fn working_dir(before: &str, path: &str) -> String {
    let joined = match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("{before}/{path}"),
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in joined.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// `changes` make the configuration `expected`, or fail with that text.
    fn check(changes: &[&str], expected: Result<Value, &str>) {
        let mut config = RunConfig::default();
        let result = changes
            .iter()
            .try_for_each(|change| apply(&mut config, change));
        let found = result.map(|()| serde_json::to_value(config).unwrap());
        let found = found.map_err(|error| error.to_string());
        assert_eq!(found, expected.map_err(str::to_owned), "{changes:?}");
    }

    #[test]
    fn instructions_change_the_configuration() {
        let ok = |changes: &[&str], config| check(changes, Ok(config));
        ok(&["CMD [\"a\", \"b\"]"], json!({"Cmd": ["a", "b"]}));
        ok(
            &["cmd echo $X"],
            json!({"Cmd": ["/bin/sh", "-c", "echo $X"]}),
        );
        ok(
            &["CMD a", "ENTRYPOINT [\"e\"]"],
            json!({"Entrypoint": ["e"]}),
        );
        ok(
            &["ENV A=1 B=\"two words\"", "ENV A='$B' C=$A-${B}"],
            json!({"Env": ["A=$B", "B=two words", "C=1-two words"]}),
        );
        ok(&["ENV key some  value"], json!({"Env": ["key=some value"]}));
        ok(
            &["EXPOSE 80 53/UDP 8000-8001"],
            json!({"ExposedPorts": {"80/tcp": {}, "53/udp": {}, "8000/tcp": {}, "8001/tcp": {}}}),
        );
        ok(
            &["LABEL a=b \"c d\"=e", "LABEL f g h"],
            json!({"Labels": {"a": "b", "c d": "e", "f": "g h"}}),
        );
        ok(&["USER 1000:1000"], json!({"User": "1000:1000"}));
        ok(
            &["WORKDIR /a/", "WORKDIR b/../c"],
            json!({"WorkingDir": "/a/c"}),
        );
        ok(
            &["VOLUME /a /b", "VOLUME [\"/c\"]"],
            json!({"Volumes": {"/a": {}, "/b": {}, "/c": {}}}),
        );
        ok(&["STOPSIGNAL SIGINT"], json!({"StopSignal": "SIGINT"}));
    }

    #[test]
    fn what_is_no_change_is_refused() {
        let refused = |change, message| check(&[change], Err(message));
        refused("FROM x", "FROM is not a valid change command");
        refused("RUN x", "RUN is not a valid change command");
        refused("ENV", "ENV requires at least one argument");
        refused("USER a b", "USER requires exactly one argument");
        refused("ENV =a", "ENV names can not be blank");
        refused("EXPOSE 99999", "invalid containerPort: 99999");
        refused("EXPOSE 5-4", "invalid containerPort: 5-4");
        refused("EXPOSE 80/icmp", "invalid containerPort: 80/icmp");
        refused(
            "ENV a",
            "Syntax error - can't find = in \"a\". Must be of the form: name=value",
        );
        refused(
            "LABEL a='x",
            "LABEL: unexpected end of statement while looking for matching '",
        );
        refused(
            "ENV a=${B:-c}",
            "ENV: unsupported modifier in ${B:-c}: write the value out",
        );
    }
}
