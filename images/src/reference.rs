//! Names of images: `x`, `x/y:tag`, `host:5000/x/y@sha256:…`.
//!
//! The grammar and the errors are those of the `distribution/reference` library, which Docker's
//! clients and daemon use:
//!
//! ```text
//! reference  = name [ ":" tag ] [ "@" digest ]
//! name       = [ domain "/" ] component { "/" component }
//! domain     = host [ ":" port ]          host = name of dotted labels, or "[" IPv6 "]"
//! component  = alnum { separator alnum }  separator = "." | "_" | "__" | "-" { "-" }
//! tag        = word character, then at most 127 word characters, "." or "-"
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, DigestError};

const DEFAULT_DOMAIN: &str = "docker.io";
const LEGACY_DOMAIN: &str = "index.docker.io";
const OFFICIAL: &str = "library/";
const DEFAULT_TAG: &str = "latest";
pub(crate) const MAX_PATH: usize = 255;

/// A repository: where images with the same name and different tags are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository {
    domain: String,
    path: String,
}

/// An image's name, normalised: the domain is always there, tag and digest where given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    repository: Repository,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// What a user may type for an image: a name, or a whole digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnyReference {
    Named(Reference),
    Digest(Digest),
}

/// Why a text names no image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    #[error("invalid reference format")]
    Format,
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    Uppercase(String),
    #[error("repository name must not be more than 255 characters")]
    TooLong,
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    LooksLikeId(String),
    #[error(transparent)]
    Digest(#[from] DigestError),
}

impl Repository {
    /// The registry's host, with its port where one was given.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The path below the host: `library/busybox`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The short form that Docker shows: `busybox` for `docker.io/library/busybox`.
    pub fn familiar(&self) -> String {
        if self.domain != DEFAULT_DOMAIN {
            return self.to_string();
        }
        let short = match self.path.strip_prefix(OFFICIAL) {
            Some(name) if !name.contains('/') => name,
            _ => &self.path,
        };
        // `docker.io/a.b/c` must not be shown as what would mean host `a.b`.
        match split_domain(short) {
            (DEFAULT_DOMAIN, path) if path == self.path => short.to_owned(),
            _ => self.to_string(),
        }
    }

    /// This repository's image with `tag`, which must be one.
    pub fn with_tag(&self, tag: &str) -> Result<Reference, ReferenceError> {
        if !is_tag(tag) {
            return Err(ReferenceError::Format);
        }
        Ok(Reference {
            repository: self.clone(),
            tag: Some(tag.to_owned()),
            digest: None,
        })
    }

    /// This repository's image with that manifest.
    pub fn with_digest(&self, digest: Digest) -> Reference {
        Reference {
            repository: self.clone(),
            tag: None,
            digest: Some(digest),
        }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.domain, self.path)
    }
}

impl FromStr for Repository {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Repository, ReferenceError> {
        let reference: Reference = text.parse()?;
        match reference {
            Reference {
                repository,
                tag: None,
                digest: None,
            } => Ok(repository),
            _ => Err(ReferenceError::Format),
        }
    }
}

impl Reference {
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Whether it is a repository alone: neither tag nor digest was given.
    pub fn is_name_only(&self) -> bool {
        self.tag.is_none() && self.digest.is_none()
    }

    /// What to ask a registry for: the digest before the tag, and `latest` where there is neither.
    pub fn version(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => DEFAULT_TAG.to_owned(),
        }
    }

    /// With `latest` where neither tag nor digest was given.
    #[must_use]
    pub fn or_latest(mut self) -> Reference {
        if self.is_name_only() {
            self.tag = Some(DEFAULT_TAG.to_owned());
        }
        self
    }

    /// With a digest, beside its tag.
    #[must_use]
    pub fn and_digest(mut self, digest: Digest) -> Reference {
        self.digest = Some(digest);
        self
    }

    /// The short form that Docker shows.
    pub fn familiar(&self) -> String {
        self.with_name(self.repository.familiar())
    }

    fn with_name(&self, mut text: String) -> String {
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(&digest.to_string());
        }
        text
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with_name(self.repository.to_string()))
    }
}

impl TryFrom<String> for Reference {
    type Error = ReferenceError;

    fn try_from(text: String) -> Result<Reference, ReferenceError> {
        text.parse()
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> String {
        reference.to_string()
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Reference, ReferenceError> {
        if is_id(text) {
            return Err(ReferenceError::LooksLikeId(text.to_owned()));
        }
        let (domain, rest) = split_domain(text);
        let before_colon = rest.split(':').next().unwrap_or_default();
        if before_colon.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(ReferenceError::Uppercase(before_colon.to_owned()));
        }
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (rest.as_str(), None),
        };
        let (path, tag) = match rest.split_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };
        let sound = is_domain(domain)
            && path.split('/').all(is_component)
            && tag.is_none_or(is_tag)
            && digest.is_none_or(looks_like_digest);
        if !sound {
            return Err(ReferenceError::Format);
        }
        if path.len() > MAX_PATH {
            return Err(ReferenceError::TooLong);
        }
        Ok(Reference {
            repository: Repository {
                domain: domain.to_owned(),
                path: path.to_owned(),
            },
            tag: tag.map(str::to_owned),
            digest: digest.map(str::parse).transpose()?,
        })
    }
}

impl AnyReference {
    /// As the `No such image` messages show it.
    pub fn familiar(&self) -> String {
        match self {
            AnyReference::Named(reference) => reference.clone().or_latest().familiar(),
            AnyReference::Digest(digest) => digest.to_string(),
        }
    }
}

impl FromStr for AnyReference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<AnyReference, ReferenceError> {
        if is_id(text) {
            return Ok(AnyReference::Digest(Digest::from_hex(text)?));
        }
        match text.parse() {
            Ok(digest) => Ok(AnyReference::Digest(digest)),
            Err(_) => text.parse().map(AnyReference::Named),
        }
    }
}

/// Docker's rule for whether what stands before the first slash is a host.
fn split_domain(text: &str) -> (&str, String) {
    let (domain, mut rest) = match text.split_once('/') {
        None => (DEFAULT_DOMAIN, text.to_owned()),
        Some((LEGACY_DOMAIN, rest)) => (DEFAULT_DOMAIN, rest.to_owned()),
        Some((first, rest))
            if first == "localhost"
                || first.contains(['.', ':'])
                || first.bytes().any(|byte| byte.is_ascii_uppercase()) =>
        {
            (first, rest.to_owned())
        }
        Some(_) => (DEFAULT_DOMAIN, text.to_owned()),
    };
    if domain == DEFAULT_DOMAIN && !rest.contains('/') {
        rest.insert_str(0, OFFICIAL);
    }
    (domain, rest)
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && is_lower_hex(text)
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_domain(text: &str) -> bool {
    let (host, port) = if text.starts_with('[') {
        match text.find(']') {
            Some(end) => text.split_at(end + 1),
            None => return false,
        }
    } else {
        text.split_at(text.find(':').unwrap_or(text.len()))
    };
    let port_is_sound = match port.strip_prefix(':') {
        Some(digits) => !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()),
        None => port.is_empty(),
    };
    let host_is_sound = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(address) => {
            !address.is_empty()
                && address
                    .bytes()
                    .all(|byte| byte.is_ascii_hexdigit() || byte == b':')
        }
        None => host.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        }),
    };
    port_is_sound && host_is_sound
}

pub(crate) fn is_component(text: &str) -> bool {
    let is_alnum = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = |byte: Option<&u8>| byte.is_some_and(|&byte| is_alnum(byte));
    let bytes = text.as_bytes();
    ends(bytes.first())
        && ends(bytes.last())
        && text
            .split(|c: char| u8::try_from(c).is_ok_and(is_alnum))
            .all(|separator| {
                matches!(separator, "" | "." | "_" | "__")
                    || separator.bytes().all(|byte| byte == b'-')
            })
}

pub(crate) fn is_tag(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(is_word)
        && text
            .bytes()
            .all(|byte| is_word(byte) || byte == b'.' || byte == b'-')
}

/// The grammar's digest, which is wider than the digests that exist.
fn looks_like_digest(text: &str) -> bool {
    let Some((algorithm, hex)) = text.split_once(':') else {
        return false;
    };
    let is_part = |part: &str| {
        part.bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_alphabetic())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    algorithm.split(['-', '_', '+', '.']).all(is_part)
        && hex.len() >= 32
        && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    /// `input` parses to the normalised and familiar forms, or fails with the error.
    fn check(input: &str, expected: Result<(&str, &str), &str>) {
        let found = input
            .parse::<Reference>()
            .map(|reference| (reference.to_string(), reference.familiar()))
            .map_err(|error| error.to_string());
        let expected = expected
            .map(|(full, familiar)| (full.to_owned(), familiar.to_owned()))
            .map_err(str::to_owned);
        assert_eq!(found, expected, "{input:?}");
    }

    #[test]
    fn references_are_normalised_as_docker_does() {
        let ok = |input: &str, full: &str, familiar: &str| check(input, Ok((full, familiar)));
        ok("x", "docker.io/library/x", "x");
        ok("x:1", "docker.io/library/x:1", "x:1");
        ok("x/y", "docker.io/x/y", "x/y");
        ok("x/y/z:v_1.0-a", "docker.io/x/y/z:v_1.0-a", "x/y/z:v_1.0-a");
        ok("docker.io/x", "docker.io/library/x", "x");
        ok("docker.io/library/x", "docker.io/library/x", "x");
        ok("index.docker.io/x", "docker.io/library/x", "x");
        ok("library/x", "docker.io/library/x", "x");
        ok("library/x/y", "docker.io/library/x/y", "library/x/y");
        ok("localhost/x", "localhost/x", "localhost/x");
        ok(
            "localhost:5000/x:2",
            "localhost:5000/x:2",
            "localhost:5000/x:2",
        );
        ok("LOCALHOST/x", "LOCALHOST/x", "LOCALHOST/x");
        ok("Host/x", "Host/x", "Host/x");
        ok(
            "dev.docker.local:5000/a/b",
            "dev.docker.local:5000/a/b",
            "dev.docker.local:5000/a/b",
        );
        ok("[::1]:5000/x", "[::1]:5000/x", "[::1]:5000/x");
        ok("docker.io/a.b/c", "docker.io/a.b/c", "docker.io/a.b/c");
        let local = "docker.io/localhost/c";
        ok(local, local, local);
        ok("127.0.0.1:5000/x", "127.0.0.1:5000/x", "127.0.0.1:5000/x");
        ok(
            "a-b.c_d__e---f",
            "docker.io/library/a-b.c_d__e---f",
            "a-b.c_d__e---f",
        );
        ok("5000", "docker.io/library/5000", "5000");
        ok("abc:ABC", "docker.io/library/abc:ABC", "abc:ABC");
        ok(
            &format!("x@sha256:{HEX}"),
            &format!("docker.io/library/x@sha256:{HEX}"),
            &format!("x@sha256:{HEX}"),
        );
        ok(
            &format!("h:1/x:t@sha256:{HEX}"),
            &format!("h:1/x:t@sha256:{HEX}"),
            &format!("h:1/x:t@sha256:{HEX}"),
        );
        ok(
            &format!("x:{}", "t".repeat(128)),
            &format!("docker.io/library/x:{}", "t".repeat(128)),
            &format!("x:{}", "t".repeat(128)),
        );
    }

    #[test]
    fn what_is_no_reference_is_refused_in_docker_s_words() {
        let invalid = |input| check(input, Err("invalid reference format"));
        for input in [
            "",
            ":x",
            "x:",
            "x@",
            "x/",
            "/x",
            "x//y",
            "-x",
            "x-",
            "x..y",
            "x___y",
            "x._y",
            "x y",
            "x:t t",
            "x:-t",
            "x@sha256:abc",
            "host:port/x",
            "-h.c/x",
            "h..c/x",
            "[::1/x",
            "[::1]5/x",
            "é",
            "https://x/y",
            "x:a:b",
            "x\n",
        ] {
            invalid(input);
        }
        invalid(&format!("x:{}", "t".repeat(129)));
        let upper = |input, name: &str| {
            let message =
                format!("invalid reference format: repository name ({name}) must be lowercase");
            check(input, Err(&message));
        };
        upper("UPPER", "library/UPPER");
        upper("UPPER:tag", "library/UPPER");
        upper("x/Y", "x/Y");
        upper("h:5000/Xy", "Xy");
        check(
            HEX,
            Err(&format!(
                "invalid repository name ({HEX}), cannot specify 64-byte hexadecimal strings"
            )),
        );
        check(
            "a/".repeat(150).trim_end_matches('/'),
            Err("repository name must not be more than 255 characters"),
        );
        check(
            &format!("x@sha512:{HEX}"),
            Err("unsupported digest algorithm"),
        );
        check(
            &format!("x@sha256:{}", &HEX[..40]),
            Err("invalid checksum digest length"),
        );
        check(
            &format!("x@sha256:{}", HEX.to_uppercase()),
            Err("invalid checksum digest format"),
        );
    }

    #[test]
    fn latest_is_added_only_where_nothing_was_said() {
        let shown = |text: &str| text.parse::<Reference>().unwrap().or_latest().familiar();
        assert_eq!(shown("x"), "x:latest");
        assert_eq!(shown("x:1"), "x:1");
        let digested = format!("x@sha256:{HEX}");
        assert_eq!(shown(&digested), digested);
    }

    #[test]
    fn ids_and_digests_are_told_from_names() {
        let any = |text: &str| text.parse::<AnyReference>().unwrap();
        assert_eq!(any(HEX), any(&format!("sha256:{HEX}")));
        assert_eq!(any("x").familiar(), "x:latest");
        assert_eq!(any("sha256:abc").familiar(), "sha256:abc");
        assert_eq!(any(HEX).familiar(), format!("sha256:{HEX}"));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "\\PC{0,80}") {
            let _ = text.parse::<AnyReference>();
        }

        #[test]
        fn the_shown_forms_parse_to_the_same(
            text in "([a-z]{1,4}(\\.[a-z]{1,3})?(:[0-9]{1,4})?/)?[a-z0-9]{1,3}([._/-][a-z0-9]{1,3}){0,3}(:[A-Za-z0-9_.-]{1,5})?"
        ) {
            if let Ok(reference) = text.parse::<Reference>() {
                prop_assert_eq!(&reference.to_string().parse::<Reference>().unwrap(), &reference);
                prop_assert_eq!(reference.familiar().parse::<Reference>().unwrap(), reference);
            }
        }
    }
}
