//! Which daemon a command talks to.
//!
//! `--host`, then `HULL_HOST`, then `DOCKER_HOST`, then this host's own socket. Only the
//! last one is ours to choose: where nothing answers there and this host's KVM cannot run a
//! guest, the emulated host is used instead, and said so on stderr.

use std::io::Write;

use hull_machine::doctor::probe::{self, Verdict};
use hull_machine::{Name, Options};

use crate::api::{Client, Endpoint, Error};
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
        let refused = match Client::connect(self.endpoint).await {
            Ok(client) => return Ok(client),
            Err(error) => error,
        };
        let unanswered = matches!(refused, Error::Unreachable { .. });
        if self.given || !unanswered || !needs_machine(&probe::cached(hull_machine::probe_file())) {
            return Err(refused.into());
        }
        let socket = tokio::task::spawn_blocking(ensure_machine)
            .await
            .map_err(|error| Failure::new(format!("cannot start the machine: {error}")))??;
        Ok(Client::connect(Endpoint::Unix(socket)).await?)
    }
}

/// Whether what is missing is a KVM that works. One that this user may not open is no reason:
/// the machine would not get it either, and a user who may not use KVM has a daemon to ask.
fn needs_machine(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Slow { .. } | Verdict::Incomplete { .. } | Verdict::Hangs | Verdict::Missing => {
            true
        }
        Verdict::Works { .. } | Verdict::Denied | Verdict::Unknown { .. } => false,
    }
}

/// The socket of the daemon in the emulated host, which is started if need be. What it does is
/// told on stderr: it takes its time, and containers there are slow.
fn ensure_machine() -> Result<std::path::PathBuf, Failure> {
    let name = match std::env::var("HULL_MACHINE") {
        Ok(name) => name
            .parse()
            .map_err(|error: hull_machine::NameError| Failure::new(error.to_string()))?,
        Err(_) => Name::default(),
    };
    let options = Options::new(name).map_err(|error| Failure::new(error.to_string()))?;
    let mut told = false;
    let mut progress = |what: &str| {
        let lead = if told {
            ""
        } else {
            "this host's KVM cannot run a guest; using an emulated host: "
        };
        told = true;
        // There is no other place to say that stderr is closed.
        drop(writeln!(std::io::stderr(), "hull: {lead}{what}"));
    };
    hull_machine::ensure(&options, &mut progress).map_err(|error| Failure::new(error.to_string()))
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
    fn only_a_kvm_that_cannot_run_a_guest_asks_for_the_machine() {
        assert!(needs_machine(&Verdict::Slow { mips: 1.0 }));
        assert!(needs_machine(&Verdict::Missing));
        assert!(!needs_machine(&Verdict::Works { mips: 5000.0 }));
        assert!(!needs_machine(&Verdict::Denied));
    }

    #[test]
    fn a_bad_address_is_refused() {
        assert!(resolve(Some("nonsense"), &[]).is_err());
    }
}
