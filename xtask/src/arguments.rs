//! A chore's command line: a few flags and words, taken one by one.
//!
//! Each chore takes what it knows and then calls [`Arguments::finish`] or
//! [`Arguments::words`], so a misspelt flag is an error and not ignored.

use anyhow::{Context, Result, bail};

pub(crate) struct Arguments(Vec<String>);

impl Arguments {
    pub(crate) fn new(words: impl IntoIterator<Item = String>) -> Self {
        Self(words.into_iter().collect())
    }

    /// Whether `--name` was given.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|word| word != name);
        self.0.len() != before
    }

    /// The value of `--name VALUE` or `--name=VALUE`.
    pub(crate) fn value(&mut self, name: &str) -> Result<Option<String>> {
        let prefix = format!("{name}=");
        let Some(at) = self
            .0
            .iter()
            .position(|word| word == name || word.starts_with(&prefix))
        else {
            return Ok(None);
        };
        let word = self.0.remove(at);
        if let Some(value) = word.strip_prefix(&prefix) {
            return Ok(Some(value.to_owned()));
        }
        if at == self.0.len() {
            bail!("{name} wants a value");
        }
        Ok(Some(self.0.remove(at)))
    }

    /// The remaining words; a flag among them is an error.
    pub(crate) fn words(self) -> Result<Vec<String>> {
        match self.0.iter().find(|word| word.starts_with('-')) {
            Some(flag) => bail!("unknown option {flag}"),
            None => Ok(self.0),
        }
    }

    /// Checks that nothing is left.
    pub(crate) fn finish(self) -> Result<()> {
        let words = self.words()?;
        words
            .first()
            .map_or(Ok(()), |word| {
                Err(anyhow::anyhow!("unexpected argument {word:?}"))
            })
            .context("see `cargo xtask help`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(text: &str) -> Arguments {
        Arguments::new(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn flags_and_values_are_taken_in_any_order() {
        let mut given = arguments("one --prefix=/opt --debug two --destdir /tmp/x");
        assert!(given.flag("--debug"));
        assert!(!given.flag("--release"));
        assert_eq!(given.value("--prefix").unwrap().as_deref(), Some("/opt"));
        assert_eq!(given.value("--destdir").unwrap().as_deref(), Some("/tmp/x"));
        assert_eq!(given.words().unwrap(), ["one", "two"]);
    }

    #[test]
    fn what_no_chore_took_is_an_error() {
        assert!(arguments("--bogus").words().is_err());
        assert!(arguments("word").finish().is_err());
        assert!(arguments("--prefix").value("--prefix").is_err());
    }
}
