//! Bearer tokens: what a token server gives for credentials, and for none.
//!
//! The two ways of the distribution project's specification: `GET` with a name and a password (or
//! nothing), and `POST` of an OAuth 2 form with an identity token.

use std::time::{Duration, Instant};

use serde::Deserialize;
use ureq::http::header::{ACCEPT, CONTENT_TYPE};
use ureq::http::{Method, Uri};

use super::challenge::Challenge;
use super::error::{Complaint, clean};
use super::wire::{Answer, Call, Payload, Wire};
use super::{Credentials, RemoteError};

/// Of a token server's answer.
const MAX_ANSWER: u64 = 1 << 20;
/// Longer tokens fit no header.
const MAX_TOKEN: usize = 32 << 10;
/// As the specification says, where the server does not.
const USUAL_LIFE: u64 = 60;
/// A token is not shown in its last seconds.
const SLACK: Duration = Duration::from_secs(5);

/// What this client calls itself.
const CLIENT: &str = "hull";

#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) value: String,
    /// For later logins, where it was asked for.
    pub(crate) identity: String,
    ends: Instant,
}

impl Token {
    pub(crate) fn is_fresh(&self) -> bool {
        Instant::now() < self.ends
    }
}

/// What is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) challenge: &'a Challenge,
    pub(crate) scopes: &'a [String],
    pub(crate) credentials: &'a Credentials,
    /// An identity token, too.
    pub(crate) offline: bool,
    /// Who wants the token, for errors and for whether plain HTTP will do.
    pub(crate) method: &'static str,
    pub(crate) url: &'a str,
}

pub(crate) fn fetch(wire: &Wire, wanted: Wanted<'_>) -> Result<Token, RemoteError> {
    let nonsense = |why: &str| RemoteError::Nonsense {
        url: wanted.url.to_owned(),
        why: why.to_owned(),
    };
    let realm = wanted.challenge.get("realm");
    let realm = realm.ok_or_else(|| nonsense("its challenge names no realm"))?;
    let uri: Uri = realm
        .parse()
        .map_err(|_| nonsense("its challenge's realm is not an address"))?;
    let host = uri.authority().map_or("", |authority| authority.as_str());
    match uri.scheme_str() {
        Some("https") => {}
        // Passwords go in the clear only where the registry is asked so anyway.
        Some("http") if wanted.url.starts_with("http:") || wire.remote().is_insecure(host) => {}
        _ => return Err(nonsense("its challenge's realm is not https")),
    }
    let answer = match wanted.credentials.identity_token.as_str() {
        "" => get(wire, realm, wanted)?,
        identity => post(wire, realm, identity, wanted)?,
    };
    let status = answer.status();
    if !status.is_success() {
        let body = answer.complaint_bytes();
        let complaint = Complaint::read(status.as_u16(), &body);
        return Err(match complaint {
            Some(complaint) => RemoteError::NoToken {
                method: wanted.method,
                url: wanted.url.to_owned(),
                complaint,
            },
            None => RemoteError::Status(status),
        });
    }
    read(&answer.bytes(MAX_ANSWER)?).map_err(|why| nonsense(&why))
}

fn get(wire: &Wire, realm: &str, wanted: Wanted<'_>) -> Result<Answer, RemoteError> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    if let Some(service) = wanted.challenge.get("service") {
        query.append_pair("service", service);
    }
    for scope in wanted.scopes {
        query.append_pair("scope", scope);
    }
    if wanted.offline {
        query.append_pair("offline_token", "true");
        query.append_pair("client_id", CLIENT);
    }
    let basic = wanted.credentials.basic();
    if basic.is_some() {
        query.append_pair("account", &wanted.credentials.username);
    }
    let query = query.finish();
    let separator = match (query.is_empty(), realm.contains('?')) {
        (true, _) => "",
        (false, true) => "&",
        (false, false) => "?",
    };
    let call = Call::new(Method::GET, format!("{realm}{separator}{query}"))
        .header(ACCEPT, "application/json");
    wire.run(&call, basic.as_deref())
}

fn post(
    wire: &Wire,
    realm: &str,
    identity: &str,
    wanted: Wanted<'_>,
) -> Result<Answer, RemoteError> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "refresh_token");
    form.append_pair("refresh_token", identity);
    form.append_pair("client_id", CLIENT);
    form.append_pair("scope", &wanted.scopes.join(" "));
    if let Some(service) = wanted.challenge.get("service") {
        form.append_pair("service", service);
    }
    let form = form.finish();
    let call = Call::new(Method::POST, realm)
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .with(Payload::Bytes(form.as_bytes()));
    wire.run(&call, None)
}

fn read(body: &[u8]) -> Result<Token, String> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        token: String,
        #[serde(default)]
        access_token: String,
        #[serde(default)]
        refresh_token: String,
        #[serde(default)]
        expires_in: u64,
    }
    let body: Body = serde_json::from_slice(body).map_err(|error| {
        format!(
            "its token server's answer is not a token: {}",
            clean(&error.to_string())
        )
    })?;
    let value = match body.token.as_str() {
        "" => body.access_token,
        _ => body.token,
    };
    if value.is_empty() {
        return Err("authorization server did not include a token in the response".to_owned());
    }
    if value.len() > MAX_TOKEN || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("its token server's token fits no header".to_owned());
    }
    let life = Duration::from_secs(body.expires_in.clamp(USUAL_LIFE, 24 * 3600));
    Ok(Token {
        value,
        identity: body.refresh_token,
        ends: Instant::now() + life - SLACK,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_both_ways_are_tokens() {
        let read = |text: &str| read(text.as_bytes()).map(|token| (token.value, token.identity));
        assert_eq!(
            read(r#"{"token":"a","access_token":"b","expires_in":300,"issued_at":"x"}"#).unwrap(),
            ("a".into(), String::new())
        );
        assert_eq!(
            read(r#"{"access_token":"b","refresh_token":"r","scope":"s"}"#).unwrap(),
            ("b".into(), "r".into())
        );
        for bad in [
            "{}",
            "[]",
            "",
            r#"{"token":"a b"}"#,
            r#"{"token":"a\r\nX: y"}"#,
            r#"{"token":"a","expires_in":-1}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let long = format!(r#"{{"token":"{}"}}"#, "x".repeat(MAX_TOKEN + 1));
        assert!(read(&long).is_err());
        // A life of ages is a day, and adding it overflows nothing.
        assert!(read(r#"{"token":"a","expires_in":18446744073709551615}"#).is_ok());
    }
}
