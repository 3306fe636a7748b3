//! Image names as users type them: `[host[:port]/]path[:tag][@digest]`, with Docker's
//! defaults (`busybox` is `docker.io/library/busybox:latest`).

use std::fmt;
use std::str::FromStr;

const DEFAULT_HOST: &str = "docker.io";
const OFFICIAL: &str = "library/";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    host: String,
    path: String,
    tag: Option<String>,
    digest: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReferenceError {
    #[error("invalid reference format")]
    Format,
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    Uppercase(String),
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    LooksLikeId(String),
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Reference, ReferenceError> {
        if text.len() == 64
            && text
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        {
            return Err(ReferenceError::LooksLikeId(text.to_owned()));
        }
        let (named, digest) = match text.split_once('@') {
            Some((named, digest)) if is_digest(digest) => (named, Some(digest.to_owned())),
            Some(_) => return Err(ReferenceError::Format),
            None => (text, None),
        };
        let (name, tag) = match named.rsplit_once(':') {
            // A colon before a slash belongs to a port.
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag.to_owned())),
            _ => (named, None),
        };
        let (host, mut path) = match name.split_once('/') {
            Some((host, path)) if is_host(host) => (host.to_owned(), path.to_owned()),
            _ => (DEFAULT_HOST.to_owned(), name.to_owned()),
        };
        let host = if host == "index.docker.io" {
            DEFAULT_HOST.to_owned()
        } else {
            host
        };
        if host == DEFAULT_HOST && !path.contains('/') && !path.is_empty() {
            path.insert_str(0, OFFICIAL);
        }
        if path.chars().any(|c| c.is_ascii_uppercase()) {
            return Err(ReferenceError::Uppercase(path));
        }
        let tag_fits = tag.as_deref().is_none_or(is_tag);
        if !path.split('/').all(is_component) || !tag_fits || host.len() + path.len() > 254 {
            return Err(ReferenceError::Format);
        }
        Ok(Reference {
            host,
            path,
            tag,
            digest,
        })
    }
}

impl Reference {
    /// The name without tag or digest, as the daemon stores it.
    pub(crate) fn full_name(&self) -> String {
        format!("{}/{}", self.host, self.path)
    }

    /// The name without tag or digest, as people write it.
    pub(crate) fn familiar_name(&self) -> String {
        let path = &self.path;
        match (self.host.as_str(), path.strip_prefix(OFFICIAL)) {
            (DEFAULT_HOST, Some(short)) if !short.contains('/') => short.to_owned(),
            (DEFAULT_HOST, _) => path.clone(),
            (host, _) => format!("{host}/{path}"),
        }
    }

    /// The registry, as names begin.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Whether it names neither tag nor digest.
    pub(crate) fn is_repository(&self) -> bool {
        self.tag.is_none() && self.digest.is_none()
    }

    /// The whole name, its registry too.
    pub(crate) fn canonical(&self) -> String {
        let tag = self.tag.as_ref().map(|tag| format!(":{tag}"));
        let digest = self.digest.as_ref().map(|digest| format!("@{digest}"));
        let parts = [tag, digest].into_iter().flatten();
        format!("{}{}", self.full_name(), parts.collect::<String>())
    }

    /// The tag or digest to ask a registry for.
    pub(crate) fn version(&self) -> &str {
        self.digest
            .as_deref()
            .or(self.tag.as_deref())
            .unwrap_or("latest")
    }

    pub(crate) fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    pub(crate) fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// With the default tag where it names neither tag nor digest.
    pub(crate) fn tagged(mut self) -> Reference {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some("latest".into());
        }
        self
    }
}

/// As people write it.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.familiar_name())?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

fn is_host(word: &str) -> bool {
    let named = word.contains(['.', ':']) || word == "localhost" || word != word.to_lowercase();
    let (name, port) = word
        .split_once(':')
        .map_or((word, None), |(name, port)| (name, Some(port)));
    let port_fits =
        port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
    let letters = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    named && port_fits && name.split('.').all(letters)
}

/// Lower-case letters and digits, joined by one dot, one or two underscores, or dashes.
fn is_component(word: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends_plain =
        word.bytes().next().is_some_and(plain) && word.bytes().last().is_some_and(plain);
    let separators = word.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let joined = separators
        .filter(|separator| !separator.is_empty())
        .all(|separator| {
            matches!(separator, "." | "_" | "__") || separator.bytes().all(|b| b == b'-')
        });
    ends_plain && joined
}

fn is_tag(word: &str) -> bool {
    let first = word
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
    let rest = word
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    first && rest && word.len() <= 128
}

fn is_digest(word: &str) -> bool {
    word.split_once(':').is_some_and(|(algorithm, hex)| {
        let lengths = match algorithm {
            "sha256" => 64,
            "sha384" => 96,
            "sha512" => 128,
            _ => return false,
        };
        hex.len() == lengths && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_get_dockers_defaults() {
        for (text, full, shown) in [
            ("busybox", "docker.io/library/busybox", "busybox:latest"),
            ("user/repo:1", "docker.io/user/repo", "user/repo:1"),
            ("localhost/x", "localhost/x", "localhost/x:latest"),
            (
                "127.0.0.1:5000/hello:v7",
                "127.0.0.1:5000/hello",
                "127.0.0.1:5000/hello:v7",
            ),
            (
                "localhost:5000/a/b",
                "localhost:5000/a/b",
                "localhost:5000/a/b:latest",
            ),
            ("docker.io/library/x:1", "docker.io/library/x", "x:1"),
            ("index.docker.io/x", "docker.io/library/x", "x:latest"),
            (
                "a__b/c-d.e_f",
                "docker.io/a__b/c-d.e_f",
                "a__b/c-d.e_f:latest",
            ),
        ] {
            let reference: Reference = text.parse().expect(text);
            assert_eq!(reference.full_name(), full);
            assert_eq!(reference.tagged().to_string(), shown);
        }
        let digest = format!("sha256:{}", "a".repeat(64));
        let reference: Reference = format!("busybox@{digest}").parse().unwrap();
        assert_eq!(reference.version(), digest);
        assert_eq!(reference.tagged().to_string(), format!("busybox@{digest}"));
    }

    #[test]
    fn bad_names_are_refused_in_dockers_words() {
        for (text, expected) in [
            (
                "UPPER",
                "invalid reference format: repository name (library/UPPER) must be lowercase",
            ),
            ("", "invalid reference format"),
            (":tag", "invalid reference format"),
            ("a:", "invalid reference format"),
            ("a//b", "invalid reference format"),
            ("-a", "invalid reference format"),
            ("a..b", "invalid reference format"),
            ("a:b c", "invalid reference format"),
            ("a@sha256:12", "invalid reference format"),
        ] {
            assert_eq!(
                text.parse::<Reference>().unwrap_err().to_string(),
                expected,
                "{text}"
            );
        }
        let id = "0".repeat(64);
        assert_eq!(
            id.parse::<Reference>(),
            Err(ReferenceError::LooksLikeId(id))
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn what_is_shown_reads_back_the_same(
            text in "([a-z]{1,5}(\\.[a-z]{1,3})?(:[0-9]{1,4})?/)?[a-z0-9]{1,6}(/[a-z0-9]{1,6})?(:[A-Za-z0-9_.-]{1,6})?",
        ) {
            if let Ok(reference) = text.parse::<Reference>() {
                prop_assert_eq!(reference.to_string().parse(), Ok(reference));
            }
        }
    }
}
