//! `X-Registry-Auth`: what a client shows to a registry, in base64 of JSON.

use base64::Engine;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hull_engine::api::Credentials;
use hyper::header::HeaderName;
use serde::Deserialize;

use crate::http::Request;

const HEADER: HeaderName = HeaderName::from_static("x-registry-auth");

/// Docker's `AuthConfig`, as clients send it.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct AuthConfig {
    username: String,
    password: String,
    /// `base64(username:password)`, instead of both.
    auth: String,
    pub(super) serveraddress: String,
    identitytoken: String,
    registrytoken: String,
}

impl From<AuthConfig> for Credentials {
    fn from(config: AuthConfig) -> Credentials {
        let pair = || {
            let bytes = decode(&config.auth, &STANDARD)?;
            let text = String::from_utf8(bytes).ok()?;
            let (name, password) = text.split_once(':')?;
            Some((name.to_owned(), password.trim_end_matches('\0').to_owned()))
        };
        let (username, password) = match config.username.as_str() {
            "" => pair().unwrap_or_default(),
            _ => (config.username.clone(), config.password.clone()),
        };
        Credentials {
            username,
            password,
            identity_token: config.identitytoken,
            registry_token: config.registrytoken,
        }
    }
}

/// What a request shows. As with dockerd, what cannot be read is nothing.
pub(super) fn of(request: &Request) -> Credentials {
    read(request.header(&HEADER).unwrap_or_default()).into()
}

fn read(header: &str) -> AuthConfig {
    let bytes = decode(header, &URL_SAFE).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// Clients write the padding or leave it out.
fn decode(text: &str, alphabet: &Alphabet) -> Option<Vec<u8>> {
    let lax = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let decoder = GeneralPurpose::new(alphabet, lax);
    decoder.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, username: &str, password: &str, identity: &str) {
        let credentials = Credentials::from(read(header));
        let got = (
            credentials.username.as_str(),
            credentials.password.as_str(),
            credentials.identity_token.as_str(),
        );
        assert_eq!(got, (username, password, identity), "{header}");
    }

    #[test]
    fn headers_as_clients_write_them() {
        let encode = |json: &str| base64::engine::general_purpose::URL_SAFE.encode(json);
        check("e30=", "", "", "");
        check("", "", "", "");
        check("***", "", "", "");
        let plain = encode(r#"{"username":"bob","password":"s?>","serveraddress":"localhost:1"}"#);
        check(&plain, "bob", "s?>", "");
        check(plain.trim_end_matches('='), "bob", "s?>", "");
        check(&encode(r#"{"auth":"Ym9iOnM6dA=="}"#), "bob", "s:t", "");
        check(&encode(r#"{"identitytoken":"abc"}"#), "", "", "abc");
    }
}
