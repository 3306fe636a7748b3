//! Tokens that somebody else issues: the registry checks them, and sends who has none there.
//!
//! Docker's specification of token authentication (`distribution/docs/spec/auth`): a JWT (RFC 7515,
//! 7519) whose issuer is the one that the registry trusts, whose audience is this registry, and
//! whose `access` claim says what its bearer may. What the token's header says about keys (`jwk`,
//! `jku`, `x5c`) is not looked at: there are the keys of the file, and no others. A `kid` that one
//! of them has chooses it; otherwise each is tried.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::keys::{self, Algorithm, Key, KeysError};
use super::token::{Grant, MAX_TOKEN, now};
use crate::config::duration;
use crate::watched::Watched;

/// Whose tokens are taken.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokens {
    /// Where clients get them.
    pub realm: String,
    /// The registry's name in them: their audience.
    pub service: String,
    /// Who says that he issued them.
    pub issuer: String,
    /// A JWK set, or PEM.
    pub keys: PathBuf,
    /// Clocks may be wrong by that much.
    #[serde(default = "a_minute", deserialize_with = "duration")]
    pub leeway: Duration,
}

fn a_minute() -> Duration {
    Duration::from_secs(60)
}

/// What a good token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) user: Option<String>,
    pub(super) grants: Vec<Grant>,
}

/// Who is trusted to issue tokens.
#[derive(Debug)]
pub(super) struct Trusted {
    pub(super) realm: String,
    pub(super) service: String,
    issuer: String,
    leeway: f64,
    keys: Watched<Vec<Key>, KeysError>,
}

impl Trusted {
    pub(super) fn new(tokens: &Tokens) -> Result<Trusted, KeysError> {
        let file = tokens.keys.clone();
        Ok(Trusted {
            realm: tokens.realm.clone(),
            service: tokens.service.clone(),
            issuer: tokens.issuer.clone(),
            leeway: tokens.leeway.as_secs_f64(),
            keys: Watched::open(&[&tokens.keys], move || keys::load(&file))?,
        })
    }

    /// What a token says, if it is to be believed now.
    pub(super) fn verify(&self, token: &str) -> Option<Said> {
        let keys: Arc<Vec<Key>> = self.keys.current();
        let claims: Claims = serde_json::from_slice(&opened(token, &keys)?).ok()?;
        // A moment is a number that may have a fraction; rounding a second matters to nobody.
        let now = now() as f64;
        let good = claims.iss == self.issuer
            && claims.aud.names(&self.service)
            && claims.exp > now - self.leeway
            && claims.nbf.is_none_or(|since| since <= now + self.leeway);
        good.then(|| Said {
            user: claims.sub.filter(|user| !user.is_empty()),
            grants: claims.access.into_iter().map(Grant::spelt_out).collect(),
        })
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    /// Extensions that must be understood, of which none is.
    #[serde(default)]
    crit: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    #[serde(default)]
    sub: Option<String>,
    exp: f64,
    #[serde(default)]
    nbf: Option<f64>,
    #[serde(default)]
    access: Vec<Grant>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    fn names(&self, service: &str) -> bool {
        match self {
            Audience::One(one) => one == service,
            Audience::Many(many) => many.iter().any(|one| one == service),
        }
    }
}

/// What is in a token that one of the keys signed.
fn opened(token: &str, keys: &[Key]) -> Option<Vec<u8>> {
    if token.len() > MAX_TOKEN {
        return None;
    }
    let (text, signature) = token.rsplit_once('.')?;
    let (header, payload) = text.split_once('.')?;
    let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).ok();
    let header: Header = serde_json::from_slice(&decode(header)?).ok()?;
    if header.crit.is_some() {
        return None;
    }
    let algorithm = Algorithm::named(&header.alg)?;
    let signature = decode(signature)?;
    let named = header.kid.as_deref().filter(|id| {
        let mut known = keys.iter().filter_map(|key| key.id.as_deref());
        known.any(|known| known == *id)
    });
    let mut meant = keys
        .iter()
        .filter(|key| named.is_none() || key.id.as_deref() == named);
    let signed = meant.any(|key| key.signed(algorithm, text.as_bytes(), &signature));
    signed.then(|| decode(payload))?
}

#[cfg(test)]
#[path = "foreign_tests.rs"]
mod tests;
