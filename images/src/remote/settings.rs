//! What an administrator says about registries, read once: insecure ones, mirrors, patience.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use ureq::http::Uri;

/// How long and how often.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    pub connect: Duration,
    /// Without a byte from the registry, or taken by it.
    pub idle: Duration,
    /// For an answer to what makes a registry work: it hashes a whole blob before it says yes.
    pub answer: Duration,
    /// Tries of one thing, the first included.
    pub attempts: u32,
    /// Before the second try; doubled before each other.
    pub backoff: Duration,
    /// The longest that a registry's `Retry-After` is followed.
    pub longest: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            connect: Duration::from_secs(15),
            idle: Duration::from_secs(60),
            answer: Duration::from_secs(900),
            attempts: 5,
            backoff: Duration::from_secs(1),
            longest: Duration::from_secs(60),
        }
    }
}

/// Why an option cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("insecure registry {0} should not contain '://'")]
    Scheme(String),
    #[error("insecure registry {0} is not valid: invalid host \"{0}\"")]
    Host(String),
    #[error("invalid mirror: {0:?} is not http://HOST or https://HOST")]
    Mirror(String),
}

/// A registry that need not prove who it is: by name, or all in a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InsecureRegistry {
    /// `host[:port]`.
    Host(String),
    Network {
        address: IpAddr,
        prefix: u8,
    },
}

impl FromStr for InsecureRegistry {
    type Err = SettingsError;

    fn from_str(text: &str) -> Result<InsecureRegistry, SettingsError> {
        if text.contains("://") {
            return Err(SettingsError::Scheme(text.to_owned()));
        }
        if let Some((address, prefix)) = text.split_once('/') {
            let wrong = || SettingsError::Host(text.to_owned());
            let address: IpAddr = address.parse().map_err(|_| wrong())?;
            let prefix: u8 = prefix.parse().map_err(|_| wrong())?;
            let most = if address.is_ipv4() { 32 } else { 128 };
            if prefix > most {
                return Err(wrong());
            }
            return Ok(InsecureRegistry::Network { address, prefix });
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
        if text.is_empty() || !text.chars().all(plain) {
            return Err(SettingsError::Host(text.to_owned()));
        }
        Ok(InsecureRegistry::Host(text.to_owned()))
    }
}

impl InsecureRegistry {
    pub(crate) fn covers(&self, host: &str, addresses: &[IpAddr]) -> bool {
        match self {
            InsecureRegistry::Host(name) => name == host,
            InsecureRegistry::Network { address, prefix } => addresses
                .iter()
                .any(|one| within(one.to_canonical(), *address, *prefix)),
        }
    }
}

impl fmt::Display for InsecureRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InsecureRegistry::Host(name) => f.write_str(name),
            InsecureRegistry::Network { address, prefix } => write!(f, "{address}/{prefix}"),
        }
    }
}

fn within(one: IpAddr, network: IpAddr, prefix: u8) -> bool {
    let same = |one: u128, network: u128, width: u32| {
        let rest = width.saturating_sub(u32::from(prefix));
        one.checked_shr(rest).unwrap_or(0) == network.checked_shr(rest).unwrap_or(0)
    };
    match (one, network) {
        (IpAddr::V4(one), IpAddr::V4(network)) => {
            same(one.to_bits().into(), network.to_bits().into(), 32)
        }
        (IpAddr::V6(one), IpAddr::V6(network)) => same(one.to_bits(), network.to_bits(), 128),
        _ => false,
    }
}

/// A registry that has what Docker Hub has: `https://mirror.example`, without a slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    base: String,
    host: String,
    secure: bool,
}

impl Mirror {
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.secure
    }
}

impl FromStr for Mirror {
    type Err = SettingsError;

    fn from_str(text: &str) -> Result<Mirror, SettingsError> {
        let wrong = || SettingsError::Mirror(text.to_owned());
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let host = uri.authority().ok_or_else(wrong)?.as_str();
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong()),
        };
        if host.is_empty() || host.contains('@') || uri.query().is_some() {
            return Err(wrong());
        }
        Ok(Mirror {
            base: text.trim_end_matches('/').to_owned(),
            host: host.to_owned(),
            secure,
        })
    }
}

impl fmt::Display for Mirror {
    /// With the slash that dockerd shows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn insecure_registries_are_hosts_or_networks() {
        let covers = |rule: &str, host: &str, address: &str| {
            let rule: InsecureRegistry = rule.parse().unwrap();
            rule.covers(host, &[address.parse().unwrap()])
        };
        assert!(covers("reg:5000", "reg:5000", "10.0.0.1"));
        assert!(!covers("reg:5000", "reg", "10.0.0.1"));
        assert!(covers("10.1.0.0/16", "x", "10.1.200.3"));
        assert!(covers("10.1.0.0/16", "x", "::ffff:10.1.200.3"));
        assert!(!covers("10.1.0.0/16", "x", "10.2.0.1"));
        assert!(covers("0.0.0.0/0", "x", "192.0.2.1"));
        assert!(covers("fd00::/8", "x", "fd12::1"));
        assert!(!covers("fd00::/8", "x", "10.1.1.1"));
        for bad in ["http://x", "10.0.0.0/33", "a b", "", "x/y"] {
            assert!(bad.parse::<InsecureRegistry>().is_err(), "{bad}");
        }
    }

    #[test]
    fn mirrors_are_addresses() {
        let mirror: Mirror = "https://m.example:444/hub/".parse().unwrap();
        assert_eq!(
            (mirror.base(), mirror.host(), mirror.to_string().as_str()),
            (
                "https://m.example:444/hub",
                "m.example:444",
                "https://m.example:444/hub/"
            )
        );
        for bad in ["m.example", "ftp://x", "http://u:p@x", "http://x/?a=b", ""] {
            assert!(bad.parse::<Mirror>().is_err(), "{bad}");
        }
    }
}
