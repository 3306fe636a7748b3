//! Which daemon a command talks to.
//!
//! `--host`, then `HULL_HOST`, then `DOCKER_HOST`, then this host's own socket. Only the
//! last one is ours to choose: where nothing answers there and this host's KVM cannot run a
//! guest, the emulated host is used instead, and said so on stderr.

use std::io::Write;
use std::path::PathBuf;

use hull_machine::doctor::probe::{self, Verdict};
use hull_machine::{Name, Options};

use crate::api::{Client, Endpoint, Error, PLAIN_PORT, TLS_PORT, Tls, TlsFiles};
use crate::args::Global;
use crate::failure::Failure;

const TWO_HOSTS: &str =
    "Failed to initialize: unable to resolve docker endpoint: Specify only one -H";
const DEFAULT_HOST: &str = "unix:///run/hull/hull.sock";

/// The daemon's address, whether somebody asked for it, and how to trust each other.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Host {
    endpoint: Endpoint,
    given: bool,
    tls: Option<TlsFiles>,
}

impl Host {
    /// From flags and the environment; empty variables count as unset.
    pub(crate) fn resolve(
        flags: &Global,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Host, Failure> {
        let set = |name| environment(name).filter(|value| !value.is_empty());
        if flags.host.len() > 1 {
            return Err(Failure::new(TWO_HOSTS));
        }
        let given = flags
            .host
            .first()
            .cloned()
            .or_else(|| set("HULL_HOST"))
            .or_else(|| set("DOCKER_HOST"));
        let tls = flags.tlsverify || set("DOCKER_TLS_VERIFY").is_some();
        let tls = tls.then(|| {
            let folder = set("DOCKER_CERT_PATH").map(PathBuf::from);
            let home = || PathBuf::from(set("HOME").unwrap_or_default()).join(".docker");
            let files = TlsFiles::within(&folder.unwrap_or_else(home));
            let or = |flag: &Option<PathBuf>, usual: PathBuf| flag.clone().unwrap_or(usual);
            TlsFiles {
                authority: or(&flags.tlscacert, files.authority),
                certificate: or(&flags.tlscert, files.certificate),
                key: or(&flags.tlskey, files.key),
            }
        });
        let port = if tls.is_some() { TLS_PORT } else { PLAIN_PORT };
        let text = given.as_deref().unwrap_or(DEFAULT_HOST);
        match Endpoint::parse(text, port) {
            Ok(endpoint) => Ok(Host {
                // A local socket needs no proof, as with Docker.
                tls: tls.filter(|_| matches!(endpoint, Endpoint::Tcp(_))),
                endpoint,
                given: given.is_some(),
            }),
            Err(error) => Err(Failure::new(error.to_string())),
        }
    }

    /// The daemon itself, where there is one: no machine is started for this.
    pub(crate) async fn connect_to_daemon(self) -> Result<Client, Failure> {
        let tls = self.tls.as_ref().map(Tls::open).transpose();
        let tls = tls.map_err(|error| Failure::new(error.to_string()))?;
        Ok(Client::connect(self.endpoint, tls).await?)
    }

    pub(crate) async fn connect(self) -> Result<Client, Failure> {
        let tls = self.tls.as_ref().map(Tls::open).transpose();
        let tls = tls.map_err(|error| Failure::new(error.to_string()))?;
        let refused = match Client::connect(self.endpoint, tls).await {
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
        Ok(Client::connect(Endpoint::Unix(socket), None).await?)
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
        let flags = Global {
            host: flag.map(str::to_owned).into_iter().collect(),
            ..Global::default()
        };
        Host::resolve(&flags, find).map(|host| (host.endpoint.to_string(), host.given))
    }

    #[test]
    fn tls_is_asked_for_by_flag_or_environment() {
        let tls = |flags: Global, set: &[(&str, &str)]| {
            let find = |name: &str| {
                let found = set.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            let host = Host::resolve(&flags, find).expect("an address");
            (host.endpoint.to_string(), host.tls)
        };
        let flags = |host: &str, tlsverify| Global {
            host: vec![host.to_owned()],
            tlsverify,
            ..Global::default()
        };
        let home = [("HOME", "/h")];
        assert_eq!(
            tls(flags("tcp://d", false), &home),
            ("tcp://d:2375".into(), None)
        );
        let (address, files) = tls(flags("tcp://d", true), &home);
        assert_eq!(address, "tcp://d:2376");
        assert_eq!(files, Some(TlsFiles::within("/h/.docker".as_ref())));
        assert_eq!(tls(flags("unix:///s", true), &home).1, None);
        let set = [("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", "/c")];
        let named = Global {
            tlskey: Some("/k".into()),
            ..flags("tcp://d:1", false)
        };
        let expected = TlsFiles {
            key: "/k".into(),
            ..TlsFiles::within("/c".as_ref())
        };
        assert_eq!(tls(named, &set), ("tcp://d:1".into(), Some(expected)));
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
    fn two_addresses_are_refused() {
        let flags = Global {
            host: vec!["unix:///a".into(), "unix:///b".into()],
            ..Global::default()
        };
        let refused = Host::resolve(&flags, |_| None).expect_err("two");
        assert_eq!((refused.text.as_str(), refused.status), (TWO_HOSTS, 1));
    }

    #[test]
    fn a_bad_address_is_refused() {
        assert!(resolve(Some("nonsense"), &[]).is_err());
    }
}
