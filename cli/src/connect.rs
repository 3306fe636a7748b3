//! Which daemon a command talks to.
//!
//! `--host`, then `HULL_HOST`, then `DOCKER_HOST`, then this host's own socket. Only the
//! last one is ours to choose: where nothing answers there and this host's KVM cannot run a
//! guest, the emulated host is used instead, and said so on stderr.

use crate::api::{Client, Endpoint};
use crate::failure::Failure;

const DEFAULT_HOST: &str = "unix:///run/hull/hull.sock";

/// The daemon's address, and whether somebody asked for it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Host {
    endpoint: Endpoint,
    given: bool,
}

impl Host {
    /// From the flag and the environment; empty variables count as unset.
    pub(crate) fn resolve(
        flag: Option<&str>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Host, Failure> {
        let set = |name| environment(name).filter(|value| !value.is_empty());
        let given = flag
            .map(str::to_owned)
            .or_else(|| set("HULL_HOST"))
            .or_else(|| set("DOCKER_HOST"));
        let text = given.as_deref().unwrap_or(DEFAULT_HOST);
        match text.parse() {
            Ok(endpoint) => Ok(Host {
                endpoint,
                given: given.is_some(),
            }),
            Err(error) => Err(Failure::new(error.to_string())),
        }
    }

    pub(crate) async fn connect(self) -> Result<Client, Failure> {
        Ok(Client::connect(self.endpoint).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(flag: Option<&str>, set: &[(&str, &str)]) -> Result<(String, bool), Failure> {
        let find = |name: &str| {
            set.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Host::resolve(flag, find).map(|host| (host.endpoint.to_string(), host.given))
    }

    #[test]
    fn the_nearest_address_wins() {
        let both = [("HULL_HOST", "unix:///h"), ("DOCKER_HOST", "unix:///d")];
        let expect = |address: &str, given| Ok((address.to_owned(), given));
        assert_eq!(resolve(Some("tcp://f:1"), &both), expect("tcp://f:1", true));
        assert_eq!(resolve(None, &both), expect("unix:///h", true));
        assert_eq!(resolve(None, &both[1..]), expect("unix:///d", true));
        assert_eq!(
            resolve(None, &[("HULL_HOST", "")]),
            expect(DEFAULT_HOST, false)
        );
    }

    #[test]
    fn a_bad_address_is_refused() {
        assert!(resolve(Some("nonsense"), &[]).is_err());
    }
}
