//! Flags that can be given many times, and the files that stand for many of them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub(crate) enum EnvError {
    #[error("open {path}: {reason}")]
    Open { path: String, reason: String },
    #[error("no variable name on line '{0}'")]
    NoName(String),
    #[error("variable '{0}' contains whitespaces")]
    Whitespace(String),
    #[error("env file {path} contains invalid utf8 bytes")]
    Utf8 { path: String },
}

/// Variables of `--env-file`, then of `-e`: a name alone takes our value, or is left out.
pub(crate) fn environment(
    files: &[PathBuf],
    given: &[String],
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<String>, EnvError> {
    let mut all = Vec::new();
    for file in files {
        all.extend(lines(file)?);
    }
    all.extend(given.iter().cloned());
    let valued = all
        .into_iter()
        .filter_map(|variable| match variable.contains('=') {
            true => Some(variable),
            false => lookup(&variable).map(|value| format!("{variable}={value}")),
        });
    Ok(valued.collect())
}

/// Labels of `--label-file`, then of `--label`; one without a value has an empty one.
pub(super) fn labels(
    files: &[PathBuf],
    given: &[String],
) -> Result<HashMap<String, String>, EnvError> {
    let mut all = Vec::new();
    for file in files {
        all.extend(lines(file)?);
    }
    all.extend(given.iter().cloned());
    Ok(pairs(&all))
}

/// `key=value` words as a map; the last of a key wins.
pub(super) fn pairs(words: &[String]) -> HashMap<String, String> {
    let split = |word: &String| {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        (key.to_owned(), value.to_owned())
    };
    words.iter().map(split).collect()
}

/// `path[:options]` words as a map.
pub(super) fn tmpfs(words: &[String]) -> HashMap<String, String> {
    let split = |word: &String| {
        let (path, options) = word.split_once(':').unwrap_or((word, ""));
        (path.to_owned(), options.to_owned())
    };
    words.iter().map(split).collect()
}

/// A file's lines without blank ones and comments.
fn lines(path: &Path) -> Result<Vec<String>, EnvError> {
    let shown = || path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| EnvError::Open {
        path: shown(),
        // As the system call puts it, without Rust's number after it.
        reason: reason(&error),
    })?;
    let text = String::from_utf8(bytes).map_err(|_| EnvError::Utf8 { path: shown() })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let name = line.split_once('=').map_or(line, |(name, _)| name);
        if name.is_empty() {
            return Err(EnvError::NoName(line.to_owned()));
        }
        if name.contains(char::is_whitespace) {
            return Err(EnvError::Whitespace(name.to_owned()));
        }
        found.push(line.to_owned());
    }
    Ok(found)
}

/// The message of a system error, as C and Go print it.
pub(crate) fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut characters = text.chars();
    characters
        .next()
        .map(|first| first.to_lowercase().chain(characters).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("temporary file");
        std::fs::write(file.path(), text).expect("written");
        file
    }

    #[test]
    fn names_alone_take_our_value_and_comments_are_skipped() {
        let file = file("\u{feff}A=1\n# comment\n\n  B=two words\nC\nD\n");
        let lookup = |name: &str| (name == "C").then(|| "host".to_owned());
        let given = ["E=5".to_owned(), "D".to_owned()];
        let environment = environment(&[file.path().into()], &given, &lookup).expect("valid");
        assert_eq!(environment, ["A=1", "B=two words", "C=host", "E=5"]);
    }

    #[test]
    fn bad_files_are_refused_in_dockers_words() {
        let refused = |path: &Path| lines(path).expect_err("refused").to_string();
        assert_eq!(
            refused(Path::new("/nosuch")),
            "open /nosuch: no such file or directory"
        );
        assert_eq!(
            refused(file("=x\n").path()),
            "no variable name on line '=x'"
        );
        assert_eq!(
            refused(file("a b=x\n").path()),
            "variable 'a b' contains whitespaces"
        );
    }

    #[test]
    fn labels_of_flags_come_after_those_of_files() {
        let file = file("a=1\nb=2\n");
        let labels = labels(&[file.path().into()], &["b=3".into(), "c".into()]).expect("valid");
        let expected = [("a", "1"), ("b", "3"), ("c", "")];
        assert_eq!(
            labels,
            expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into()
        );
    }
}
