//! Actions, and patterns of repositories' names.

use std::fmt;
use std::str::FromStr;

use hull_images::repositories::RepositoryName;
use serde::Deserialize;

/// What can be done to a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    Pull,
    Push,
    Delete,
}

impl Action {
    /// As tokens say it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Action::Pull => "pull",
            Action::Push => "push",
            Action::Delete => "delete",
        }
    }
}

/// Names of repositories: words of a name as they are, `*` for part of a word, `**` for any rest.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern(Vec<String>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a pattern of repository names: use team/app, team/* or team/**")]
pub struct PatternError(String);

impl Pattern {
    pub(crate) fn fits(&self, name: &RepositoryName) -> bool {
        let words: Vec<&str> = name.as_str().split('/').collect();
        fits(&self.0, &words)
    }
}

fn fits(pattern: &[String], words: &[&str]) -> bool {
    match (pattern.split_first(), words.split_first()) {
        (None, rest) => rest.is_none(),
        // Patterns have it at their end only.
        (Some((first, _)), rest) if first == "**" => rest.is_some(),
        (Some(_), None) => false,
        (Some((first, pattern)), Some((word, words))) => {
            fits_word(first.as_bytes(), word.as_bytes()) && fits(pattern, words)
        }
    }
}

/// Goes back to the last star only, so it takes no more than the product of the lengths.
fn fits_word(pattern: &[u8], word: &[u8]) -> bool {
    let (mut p, mut w) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while w < word.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, w));
                p += 1;
            }
            Some(byte) if word.get(w) == Some(byte) => {
                p += 1;
                w += 1;
            }
            _ => match star {
                Some((after, from)) => {
                    star = Some((after, from + 1));
                    p = after;
                    w = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|byte| *byte == b'*')
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Pattern, PatternError> {
        let words: Vec<String> = text.split('/').map(str::to_owned).collect();
        let known = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"*._-".contains(&byte)
        };
        let last = words.len() - 1;
        let sound = words.iter().enumerate().all(|(at, word)| {
            let is_rest = word == "**" && at == last;
            is_rest || (!word.is_empty() && !word.contains("**") && word.bytes().all(known))
        });
        match sound {
            true => Ok(Pattern(words)),
            false => Err(PatternError(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Pattern, PatternError> {
        text.parse()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("/"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_fit_words() {
        let check = |pattern: &str, name: &str| {
            let pattern: Pattern = pattern.parse().unwrap();
            pattern.fits(&name.parse().unwrap())
        };
        for (pattern, name) in [
            ("a", "a"),
            ("**", "a/b/c"),
            ("a/**", "a/b"),
            ("a/**", "a/b/c"),
            ("*/b", "a/b"),
            ("a/x*z", "a/xyz"),
            ("a/*-*", "a/b-c"),
            ("*a*b*", "xaxbxb"),
        ] {
            assert!(check(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("a", "b"),
            ("a", "a/b"),
            ("a/*", "a"),
            ("a/*", "a/b/c"),
            ("a/**", "a"),
            ("a/**", "ab/c"),
            ("a/x*z", "a/xy"),
        ] {
            assert!(!check(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn what_fits_no_name_is_no_pattern() {
        for bad in ["", "/", "a//b", "A", "a/", "**/a", "a**", "a b"] {
            assert!(bad.parse::<Pattern>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_name_fits_itself(name in "[a-z0-9]{1,8}(/[a-z0-9]{1,8}){0,3}") {
            let pattern: Pattern = name.parse().unwrap();
            prop_assert!(pattern.fits(&name.parse().unwrap()));
        }
    }
}
