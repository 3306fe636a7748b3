//! `/v1/search`: what is left of the protocol before this one, because `docker search` uses it.

use serde::Deserialize;
use ureq::http::header::ACCEPT;
use ureq::http::{Method, StatusCode};

use super::connection::checked;
use super::endpoint::{Endpoint, Purpose};
use super::error::clean;
use super::wire::{Call, Wire};
use super::{Cancel, Credentials, Remote, RemoteError};

const MAX_ANSWER: u64 = 4 << 20;
/// What is searched where images are pulled from somewhere else.
const HUB_INDEX: &str = "index.docker.io";

/// A repository that was found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Hit {
    pub name: String,
    pub description: String,
    pub star_count: i64,
    pub is_official: bool,
    pub is_automated: bool,
}

impl Remote {
    /// Searches Docker Hub, or the registry that `term` begins with: `localhost:5000/busy`.
    pub fn search(
        &self,
        term: &str,
        limit: u32,
        credentials: &Credentials,
    ) -> Result<Vec<Hit>, RemoteError> {
        let (domain, term) = split(term);
        let query = form_urlencoded::byte_serialize(term.as_bytes()).collect::<String>();
        let endpoints = match domain {
            "docker.io" => vec![Endpoint {
                base: format!("https://{HUB_INDEX}"),
                host: HUB_INDEX.to_owned(),
                verified: true,
                mirror: false,
            }],
            domain => self.endpoints(domain, Purpose::Push),
        };
        let mut failure = None;
        for endpoint in endpoints {
            let wire = Wire::new(self, &endpoint, &Cancel::default());
            let url = format!("{}/v1/search?q={query}&n={limit}", endpoint.base);
            let call = Call::new(Method::GET, url.clone()).header(ACCEPT, "application/json");
            // Nobody is asked here what they want to see: a name and a password, if any.
            let answer = match wire.run(&call, credentials.basic().as_deref()) {
                Ok(answer) => checked(answer)?,
                Err(error) => {
                    failure = Some(error);
                    continue;
                }
            };
            let mut hits = read(&answer.bytes(MAX_ANSWER)?)
                .map_err(|why| RemoteError::Nonsense { url, why })?;
            hits.truncate(limit as usize);
            return Ok(hits);
        }
        // There is an endpoint for every name.
        Err(failure.unwrap_or(RemoteError::Status(StatusCode::NOT_FOUND)))
    }
}

/// The registry that a term names, and what is searched there.
fn split(term: &str) -> (&str, &str) {
    match term.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => match host {
            "docker.io" | HUB_INDEX => ("docker.io", official(rest)),
            host => (host, rest),
        },
        _ => ("docker.io", official(term)),
    }
}

/// Official repositories are searched by their short names.
fn official(term: &str) -> &str {
    term.strip_prefix("library/").unwrap_or(term)
}

fn read(body: &[u8]) -> Result<Vec<Hit>, String> {
    #[derive(Deserialize)]
    struct Body {
        results: Option<Vec<Hit>>,
    }
    let body: Body = serde_json::from_slice(body).map_err(|error| clean(&error.to_string()))?;
    let clean = |hit: Hit| Hit {
        name: clean(&hit.name),
        description: clean(&hit.description),
        ..hit
    };
    Ok(body.results.into_iter().flatten().map(clean).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_may_begin_with_a_registry() {
        assert_eq!(split("busybox"), ("docker.io", "busybox"));
        assert_eq!(split("library/busybox"), ("docker.io", "busybox"));
        assert_eq!(split("me/app"), ("docker.io", "me/app"));
        assert_eq!(split("docker.io/me/app"), ("docker.io", "me/app"));
        assert_eq!(split("localhost:5000/a/b"), ("localhost:5000", "a/b"));
    }

    #[test]
    fn answers_are_lists() {
        let body = br#"{"num_results":1,"results":[{"name":"a\u001b","star_count":3,"is_official":true,"x":1}]}"#;
        let hits = read(body).unwrap();
        assert_eq!((hits[0].name.as_str(), hits[0].star_count), ("a", 3));
        assert!(read(b"{\"results\":null}").unwrap().is_empty());
        assert!(read(b"nonsense").is_err());
    }
}
