//! What an administrator says about a cache.

use std::path::PathBuf;
use std::time::Duration;

use hull_images::remote::{InsecureRegistry, Patience, Remote, RemoteOptions};
use hyper::Uri;
use serde::Deserialize;

use crate::config::duration;

/// An upstream that wants to be asked again later than this is busy: a client can wait by itself.
const LONGEST: Duration = Duration::from_secs(5);

/// A cache of another registry.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    /// `https://registry-1.docker.io`
    pub upstream: String,
    /// A file that holds `user:password`, if the upstream wants to see them.
    #[serde(default)]
    pub credentials: Option<PathBuf>,
    /// A folder with a folder for each `host[:port]`, as `/etc/hull/certs.d`, which is looked at
    /// if nothing is said.
    #[serde(default)]
    pub certificates: Option<PathBuf>,
    /// The upstream need not prove who it is, and may be asked without TLS.
    #[serde(default)]
    pub insecure: bool,
    /// What was not used for so long is removed.
    #[serde(default = "week", deserialize_with = "duration")]
    pub expire: Duration,
    /// Without a byte from the upstream.
    #[serde(default = "half_a_minute", deserialize_with = "duration")]
    pub timeout: Duration,
    /// Tries of one request.
    #[serde(default = "three")]
    pub attempts: u32,
    /// An upstream that did not answer is not asked for so long where a copy will do.
    #[serde(default = "ten_seconds", deserialize_with = "duration")]
    pub retry: Duration,
}

fn week() -> Duration {
    Duration::from_secs(7 * 24 * 3600)
}

fn half_a_minute() -> Duration {
    Duration::from_secs(30)
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

fn three() -> u32 {
    3
}

impl Cache {
    /// A cache of which nothing more is said.
    pub fn of(upstream: String, credentials: Option<PathBuf>) -> Cache {
        Cache {
            upstream,
            credentials,
            certificates: None,
            insecure: false,
            expire: week(),
            timeout: half_a_minute(),
            attempts: three(),
            retry: ten_seconds(),
        }
    }

    /// How the upstream is asked.
    pub(super) fn remote(&self) -> Remote {
        let mut options = RemoteOptions {
            patience: Patience {
                connect: self.timeout.min(Patience::default().connect),
                idle: self.timeout,
                attempts: self.attempts.max(1),
                longest: LONGEST.min(self.timeout),
                ..Patience::default()
            },
            ..RemoteOptions::default()
        };
        if let Some(folder) = &self.certificates {
            options.certificates = vec![folder.clone()];
        }
        let uri: Option<Uri> = self.upstream.parse().ok();
        let host = uri.as_ref().and_then(Uri::authority);
        if let Some(host) = host.filter(|_| self.insecure) {
            let host = host.as_str().to_owned();
            options.insecure = vec![InsecureRegistry::Host(host)];
        }
        Remote::new(options)
    }
}
