//! Names inside a registry, by the grammar of the OCI distribution specification.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha512};

use crate::digest::{Digest, DigestError};
use crate::reference::{MAX_PATH, ReferenceError, is_component, is_tag};

/// A repository's name: `library/busybox`. It has no host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryName(String);

impl RepositoryName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RepositoryName {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<RepositoryName, ReferenceError> {
        if text.len() > MAX_PATH {
            return Err(ReferenceError::TooLong);
        }
        if !text.split('/').all(is_component) {
            return Err(ReferenceError::Format);
        }
        Ok(RepositoryName(text.to_owned()))
    }
}

/// A tag: `latest`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagName(String);

impl TagName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TagName {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<TagName, ReferenceError> {
        match is_tag(text) {
            true => Ok(TagName(text.to_owned())),
            false => Err(ReferenceError::Format),
        }
    }
}

/// What a client calls content. Files are kept by SHA-256 whatever it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContentDigest {
    Sha256(Digest),
    Sha512([u8; 64]),
}

impl ContentDigest {
    /// The digest of `bytes` by the algorithm that this one is of.
    #[must_use]
    pub fn same_of(&self, bytes: &[u8]) -> ContentDigest {
        match self {
            ContentDigest::Sha256(_) => ContentDigest::Sha256(Digest::of(bytes)),
            ContentDigest::Sha512(_) => ContentDigest::Sha512(Sha512::digest(bytes).into()),
        }
    }
}

impl FromStr for ContentDigest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<ContentDigest, DigestError> {
        let Some(hex) = text.strip_prefix("sha512:") else {
            return text.parse().map(ContentDigest::Sha256);
        };
        if !hex
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        {
            return Err(DigestError::Format);
        }
        let mut bytes = [0; 64];
        hex::decode_to_slice(hex, &mut bytes).map_err(|_| DigestError::Length)?;
        Ok(ContentDigest::Sha512(bytes))
    }
}

impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ContentDigest::Sha256(digest) => fmt::Display::fmt(digest, f),
            ContentDigest::Sha512(bytes) => write!(f, "sha512:{}", hex::encode(bytes)),
        }
    }
}

impl fmt::Debug for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Digest> for ContentDigest {
    fn from(digest: Digest) -> ContentDigest {
        ContentDigest::Sha256(digest)
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for TagName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_follow_the_grammar() {
        for good in [
            "a",
            "library/busybox",
            "a/b/c/d",
            "a.b/c_d/e__f/g--h",
            "0/1",
            "a/".repeat(127).trim_end_matches('/'),
            &"a".repeat(255),
        ] {
            assert!(good.parse::<RepositoryName>().is_ok(), "{good:?}");
        }
        for bad in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "A",
            "a..b",
            "a___b",
            "-a",
            "a-",
            ".",
            "..",
            "a/../b",
            "a b",
            "a:b",
            "a\0",
            "ä",
            &"a".repeat(256),
        ] {
            assert!(bad.parse::<RepositoryName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn tags_follow_the_grammar() {
        for good in ["latest", "_", "V1.0-rc_2", &"t".repeat(128)] {
            assert!(good.parse::<TagName>().is_ok(), "{good:?}");
        }
        for bad in ["", ".a", "-a", "a/b", "a:b", "a b", &"t".repeat(129)] {
            assert!(bad.parse::<TagName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn both_algorithms_are_known_and_no_other() {
        let check = |text: &str| {
            text.parse::<ContentDigest>()
                .map(|digest| digest.to_string())
        };
        let short = Digest::of(b"x").to_string();
        assert_eq!(check(&short), Ok(short));
        let long = format!("sha512:{}", "0f".repeat(64));
        assert_eq!(check(&long), Ok(long.clone()));
        assert_eq!(check(&long[..134]), Err(DigestError::Length));
        assert_eq!(check(&long.replace('f', "F")), Err(DigestError::Format));
        assert_eq!(check("md5:00"), Err(DigestError::Algorithm));
        assert_eq!(check("sha512"), Err(DigestError::Format));
    }

    proptest! {
        #[test]
        fn nothing_makes_a_parser_panic(text in ".{0,300}") {
            let _ = text.parse::<RepositoryName>();
            let _ = text.parse::<TagName>();
            let _ = text.parse::<ContentDigest>();
        }
    }
}
