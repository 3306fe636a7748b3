//! API versions: the optional `/v1.NN` in front of a path, and which ones are served.

use std::fmt;

/// `major.minor`, compared as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ApiVersion {
    major: u32,
    minor: u32,
}

impl ApiVersion {
    /// The newest served, and what a path without a version means. 1.52 and later drop
    /// `NetworkSettings.IPAddress`, which many scripts read.
    pub(crate) const MAX: Self = Self {
        major: 1,
        minor: 51,
    };
    /// The oldest served.
    pub(crate) const MIN: Self = Self {
        major: 1,
        minor: 24,
    };
    /// The first whose framed streams have a media type of their own.
    pub(crate) const MULTIPLEXED_TYPE: Self = Self {
        major: 1,
        minor: 42,
    };

    /// The version in a path segment such as `v1.50`.
    pub(crate) fn from_segment(segment: &str) -> Option<Self> {
        let (major, minor) = segment.strip_prefix('v')?.split_once('.')?;
        let number = |s: &str| match s.bytes().all(|b| b.is_ascii_digit()) {
            true => s.parse().ok(),
            false => None,
        };
        Some(Self {
            major: number(major)?,
            minor: number(minor)?,
        })
    }

    /// Refuses what is not served, in Docker's words.
    pub(crate) fn check(self) -> Result<Self, UnsupportedVersion> {
        match self {
            v if v < Self::MIN => Err(UnsupportedVersion::TooOld(v)),
            v if v > Self::MAX => Err(UnsupportedVersion::TooNew(v)),
            v => Ok(v),
        }
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A client that speaks another API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnsupportedVersion {
    #[error(
        "client version {0} is too old. Minimum supported API version is {min}, please upgrade your client to a newer version",
        min = ApiVersion::MIN
    )]
    TooOld(ApiVersion),
    #[error(
        "client version {0} is too new. Maximum supported API version is {max}",
        max = ApiVersion::MAX
    )]
    TooNew(ApiVersion),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_version_segments_are_versions() {
        for (segment, expected) in [
            ("v1.50", Some("1.50")),
            ("v1.9", Some("1.9")),
            ("v12.345", Some("12.345")),
            ("1.50", None),
            ("v1", None),
            ("v1.", None),
            ("v1.x", None),
            ("v1.+5", None),
            ("v1.50.1", None),
            ("v99999999999.1", None),
            ("version", None),
        ] {
            let got = ApiVersion::from_segment(segment).map(|v| v.to_string());
            assert_eq!(got.as_deref(), expected, "{segment}");
        }
    }

    #[test]
    fn minor_versions_compare_as_numbers() {
        let check = |s| {
            ApiVersion::from_segment(s)
                .unwrap()
                .check()
                .map_err(|e| e.to_string())
        };
        assert!(check("v1.24").is_ok());
        assert!(check("v1.51").is_ok());
        assert_eq!(
            check("v1.99").unwrap_err(),
            "client version 1.99 is too new. Maximum supported API version is 1.51"
        );
        assert_eq!(
            check("v1.9").unwrap_err(),
            "client version 1.9 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version"
        );
    }
}
