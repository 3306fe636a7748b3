//! Where a registry is asked: its addresses in the order in which they are tried.

use std::net::{IpAddr, ToSocketAddrs};

use super::{InsecureRegistry, Remote};

/// Docker Hub, as images name it and as it is on the net.
const HUB: &str = "docker.io";
const HUB_REGISTRY: &str = "registry-1.docker.io";

/// One address of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// `https://registry-1.docker.io`: what comes before `/v2/`.
    pub(crate) base: String,
    /// `host[:port]`.
    pub(crate) host: String,
    /// Its certificate must be sound.
    pub(crate) verified: bool,
    /// Somebody else's copy: its failures do not count, and it is shown no credentials.
    pub(crate) mirror: bool,
}

/// Who will be asked for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Pull,
    /// Mirrors only read.
    Push,
}

impl Endpoint {
    /// Whether it is on this machine, where it may be this very process.
    pub(crate) fn is_here(&self) -> bool {
        let addresses = addresses(&self.host);
        addresses.iter().any(|one| one.to_canonical().is_loopback())
    }
}

impl Remote {
    /// The endpoints of the registry that names of `domain` belong to.
    pub(crate) fn endpoints(&self, domain: &str, purpose: Purpose) -> Vec<Endpoint> {
        let mut found = Vec::new();
        if domain == HUB {
            if purpose == Purpose::Pull {
                found.extend(self.options.mirrors.iter().map(|mirror| Endpoint {
                    base: mirror.base().to_owned(),
                    host: mirror.host().to_owned(),
                    verified: mirror.is_secure() && !self.is_insecure(mirror.host()),
                    mirror: true,
                }));
            }
            found.push(direct("https", HUB_REGISTRY, true));
            return found;
        }
        let insecure = self.is_insecure(domain);
        found.push(direct("https", domain, !insecure));
        if insecure {
            found.push(direct("http", domain, false));
        }
        found
    }

    /// Whether plain HTTP will do: by what the administrator said, or because it is this machine.
    pub(crate) fn is_insecure(&self, host: &str) -> bool {
        let named = |rule: &InsecureRegistry| rule.covers(host, &[]);
        if self.options.insecure.iter().any(named) {
            return true;
        }
        let addresses = addresses(host);
        let within = |rule: &InsecureRegistry| rule.covers(host, &addresses);
        is_loopback(&addresses) || self.options.insecure.iter().any(within)
    }
}

/// Whether `host[:port]` is this machine.
pub(crate) fn is_here(host: &str) -> bool {
    is_loopback(&addresses(host))
}

fn is_loopback(addresses: &[IpAddr]) -> bool {
    addresses.iter().any(|one| one.to_canonical().is_loopback())
}

fn direct(scheme: &str, host: &str, verified: bool) -> Endpoint {
    Endpoint {
        base: format!("{scheme}://{host}"),
        host: host.to_owned(),
        verified,
        mirror: false,
    }
}

/// What `host[:port]` resolves to; nothing where it does not.
fn addresses(host: &str) -> Vec<IpAddr> {
    let (name, _) = split_port(host);
    if let Ok(address) = name.parse() {
        return vec![address];
    }
    match (name, 0).to_socket_addrs() {
        Ok(found) => found.map(|one| one.ip()).collect(),
        Err(_) => Vec::new(),
    }
}

/// A host without brackets, and its port if one is given.
pub(crate) fn split_port(host: &str) -> (&str, Option<u16>) {
    if let Some(rest) = host.strip_prefix('[') {
        let (name, port) = rest.split_once(']').unwrap_or((rest, ""));
        return (name, port.strip_prefix(':').and_then(|p| p.parse().ok()));
    }
    match host.split_once(':') {
        Some((name, port)) => (name, port.parse().ok()),
        None => (host, None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::RemoteOptions;
    use super::*;

    fn bases(options: RemoteOptions, domain: &str, purpose: Purpose) -> Vec<String> {
        let endpoints = Remote::new(options).endpoints(domain, purpose);
        let shown = |one: Endpoint| format!("{}{}", one.base, if one.verified { "" } else { "!" });
        endpoints.into_iter().map(shown).collect()
    }

    #[test]
    fn the_hub_has_mirrors_for_pulls_only() {
        let options = || RemoteOptions {
            mirrors: vec!["http://127.0.0.1:7/".parse().unwrap()],
            ..RemoteOptions::default()
        };
        let hub = "https://registry-1.docker.io";
        assert_eq!(
            bases(options(), "docker.io", Purpose::Pull),
            ["http://127.0.0.1:7!", hub]
        );
        assert_eq!(bases(options(), "docker.io", Purpose::Push), [hub]);
    }

    #[test]
    fn plain_http_is_for_this_machine_and_for_whom_the_administrator_names() {
        for local in [
            "localhost:5000",
            "127.0.0.1:5000",
            "127.9.9.9",
            "[::1]:5000",
        ] {
            assert_eq!(
                bases(RemoteOptions::default(), local, Purpose::Pull),
                [format!("https://{local}!"), format!("http://{local}!")]
            );
        }
        for remote in ["192.0.2.1:5000", "registry.invalid"] {
            assert_eq!(
                bases(RemoteOptions::default(), remote, Purpose::Push),
                [format!("https://{remote}")]
            );
        }
        let options = RemoteOptions {
            insecure: vec![
                "192.0.2.0/24".parse().unwrap(),
                "r.invalid".parse().unwrap(),
            ],
            ..RemoteOptions::default()
        };
        assert_eq!(
            bases(options.clone(), "192.0.2.1:5000", Purpose::Pull).len(),
            2
        );
        assert_eq!(bases(options, "r.invalid", Purpose::Pull).len(), 2);
    }

    #[test]
    fn ports_come_after_brackets() {
        assert_eq!(split_port("[::1]:5000"), ("::1", Some(5000)));
        assert_eq!(split_port("a.b"), ("a.b", None));
        assert_eq!(split_port("a.b:1"), ("a.b", Some(1)));
    }
}
