//! Identities: a container's 64 hexadecimal digits, an exec's, and names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::EngineError;

/// 64 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContainerId(String);

impl ContainerId {
    /// The first twelve digits: the default host name, and what tables show.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }

    /// All 64.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A new one. Its first twelve digits hold a letter, so that it is never a number where a
    /// host name is expected.
    pub(crate) fn random() -> Result<Self, rustix::io::Errno> {
        loop {
            let id = random_hex()?;
            if id[..12].bytes().any(|b| b.is_ascii_lowercase()) {
                return Ok(Self(id));
            }
        }
    }
}

impl FromStr for ContainerId {
    type Err = EngineError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match is_hex64(s) {
            true => Ok(Self(s.to_owned())),
            false => Err(EngineError::NoSuchContainer(s.to_owned())),
        }
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// 64 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExecId(String);

impl ExecId {
    /// All 64.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn random() -> Result<Self, rustix::io::Errno> {
        random_hex().map(Self)
    }
}

impl FromStr for ExecId {
    type Err = EngineError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match is_hex64(s) {
            true => Ok(Self(s.to_owned())),
            false => Err(EngineError::NoSuchExec(s.to_owned())),
        }
    }
}

impl fmt::Display for ExecId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A container's name, without the leading `/` that Docker shows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContainerName(String);

impl ContainerName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ContainerName {
    type Err = EngineError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let name = s.strip_prefix('/').unwrap_or(s);
        let ok = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
        let valid = name.len() >= 2
            && name.len() <= 255
            && name.as_bytes()[0].is_ascii_alphanumeric()
            && name.bytes().all(ok);
        match valid {
            true => Ok(Self(name.to_owned())),
            false => Err(EngineError::InvalidName(s.to_owned())),
        }
    }
}

impl fmt::Display for ContainerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_hex64(s: &str) -> bool {
    s.len() == 64 && s.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn random_hex() -> Result<String, rustix::io::Errno> {
    let mut bytes = [0; 32];
    crate::random::fill(&mut bytes)?;
    Ok(hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_hex_and_distinct() {
        let (a, b) = (
            ContainerId::random().unwrap(),
            ContainerId::random().unwrap(),
        );
        assert_ne!(a, b);
        assert_eq!(a.as_str().parse::<ContainerId>().unwrap(), a);
        assert_eq!(a.short().len(), 12);
    }

    #[test]
    fn names_are_those_docker_takes() {
        for good in ["ab", "/web", "a_b.c-d", "0a"] {
            assert!(good.parse::<ContainerName>().is_ok(), "{good}");
        }
        for bad in ["", "/", "a", "-ab", "a b", "a/b", "é1", ".a"] {
            assert!(bad.parse::<ContainerName>().is_err(), "{bad}");
        }
    }
}
