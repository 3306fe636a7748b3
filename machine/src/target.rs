//! What a tunnelled stream leads to, inside the machine.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// Named when a stream is opened, as a word: `unix:PATH`, `tcp:ADDRESS`, `exec`, …
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Unix(PathBuf),
    Tcp(SocketAddr),
    /// A conversation as in [`exec`](crate::exec).
    Exec,
    /// Says `ready` once the machine has all its mounts.
    Ready,
    /// Ends everything in the machine, then the machine.
    PowerOff,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the tunnel leads to no {0:?}")]
pub(crate) struct TargetError(String);

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let error = || TargetError(text.to_owned());
        match text.split_once(':') {
            Some(("unix", path)) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(("tcp", address)) => address.parse().map(Self::Tcp).map_err(|_| error()),
            None if text == "exec" => Ok(Self::Exec),
            None if text == "ready" => Ok(Self::Ready),
            None if text == "poweroff" => Ok(Self::PowerOff),
            _ => Err(error()),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            Self::Exec => f.write_str("exec"),
            Self::Ready => f.write_str("ready"),
            Self::PowerOff => f.write_str("poweroff"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_what_they_print() {
        for text in [
            "unix:/run/hull/hull.sock",
            "tcp:127.0.0.1:80",
            "tcp:[::1]:80",
            "exec",
            "ready",
            "poweroff",
        ] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "unix:relative",
            "tcp:localhost",
            "tcp:1.2.3.4",
            "exec:",
            "file:/x",
        ] {
            text.parse::<Target>().unwrap_err();
        }
    }
}
