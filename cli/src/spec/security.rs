//! `--security-opt`. A seccomp profile is sent as its text: the daemon may be on another
//! host, where the file is not.

use std::path::Path;

use super::lists;

#[derive(Debug, thiserror::Error)]
pub(crate) enum SecurityError {
    #[error("Invalid --security-opt: \"{0}\"")]
    Unknown(String),
    #[error("opening seccomp profile ({path}) failed: open {path}: {reason}")]
    Open { path: String, reason: String },
    #[error("compacting json for seccomp profile ({path}) failed: {source}")]
    Json {
        path: String,
        source: serde_json::Error,
    },
}

pub(super) struct Security {
    pub(super) options: Vec<String>,
    /// `systempaths=unconfined`: nothing of `/proc` and `/sys` is hidden or read-only.
    pub(super) paths_shown: bool,
}

pub(super) fn resolve(given: &[String]) -> Result<Security, SecurityError> {
    let mut security = Security {
        options: Vec::new(),
        paths_shown: false,
    };
    for option in given {
        if option == "systempaths=unconfined" {
            security.paths_shown = true;
            continue;
        }
        let split = option.split_once('=').or_else(|| option.split_once(':'));
        security.options.push(match split {
            None if option == "no-new-privileges" => option.clone(),
            None => return Err(SecurityError::Unknown(option.clone())),
            Some(("seccomp", profile)) if profile != "unconfined" && profile != "builtin" => {
                format!("seccomp={}", profile_text(profile)?)
            }
            Some(_) => option.clone(),
        });
    }
    Ok(security)
}

fn profile_text(path: &str) -> Result<String, SecurityError> {
    let text = std::fs::read_to_string(Path::new(path)).map_err(|error| SecurityError::Open {
        path: path.to_owned(),
        // As the system call puts it, without Rust's number after it.
        reason: lists::reason(&error),
    })?;
    let profile: serde_json::Value =
        serde_json::from_str(&text).map_err(|source| SecurityError::Json {
            path: path.to_owned(),
            source,
        })?;
    Ok(profile.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_have_a_key_and_a_value_but_for_one() {
        let given = [
            "no-new-privileges",
            "label=disable",
            "apparmor:x",
            "systempaths=unconfined",
        ];
        let security = resolve(&given.map(str::to_owned)).expect("valid");
        assert_eq!(security.options, given[..3]);
        assert!(security.paths_shown);
        let error = resolve(&["foo".to_owned()])
            .err()
            .map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("Invalid --security-opt: \"foo\""));
    }

    #[test]
    fn a_profile_is_sent_as_its_text() {
        let file = tempfile::NamedTempFile::new().expect("temporary file");
        std::fs::write(file.path(), "{ \"defaultAction\" : \"SCMP_ACT_ALLOW\" }").expect("written");
        let option = format!("seccomp={}", file.path().display());
        let security = resolve(&[option]).expect("valid");
        assert_eq!(
            security.options,
            ["seccomp={\"defaultAction\":\"SCMP_ACT_ALLOW\"}"]
        );
        let error = resolve(&["seccomp=/nosuch".to_owned()]).err();
        assert_eq!(
            error.map(|error| error.to_string()).as_deref(),
            Some(
                "opening seccomp profile (/nosuch) failed: open /nosuch: no such file or directory"
            )
        );
    }
}
