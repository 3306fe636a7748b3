//! Tokens: the registry issues them itself, at `/token`, to who shows a password, and then asks for
//! nothing else. What a token may is in it, so that a password travels once for many requests.
//!
//! A token is a JWT in the form that Docker's specification of token authentication gives, signed
//! with a key that this process made (HS256): nobody else has to check it, and it does not outlive
//! the process by more than a client's next challenge.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::SystemRandom;
use serde::{Deserialize, Serialize};

use super::rules::Action;

/// Longer than any that is made here.
pub(super) const MAX_TOKEN: usize = 64 << 10;
/// Clocks do not agree: here it is the same one, so it may not be wrong by much.
const LEEWAY: u64 = 5;

/// What a token allows on one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grant {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) actions: Vec<String>,
}

impl Grant {
    /// With the actions that `*` stands for.
    pub(super) fn spelt_out(mut self) -> Grant {
        if self.kind == "repository" && self.actions.iter().any(|word| word == "*") {
            let all = [Action::Pull, Action::Push, Action::Delete];
            self.actions = all.map(|action| action.word().to_owned()).into();
        }
        self
    }

    /// The right to see the list of all repositories.
    pub(super) fn is_catalog(&self) -> bool {
        let whole = self.actions.iter().any(|word| word == "*");
        self.kind == "registry" && self.name == "catalog" && whole
    }

    pub(crate) fn allows(&self, name: &str, action: Action) -> bool {
        self.kind == "repository"
            && self.name == name
            && self.actions.iter().any(|word| word == action.word())
    }
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    iss: String,
    aud: String,
    /// The user; empty for nobody.
    pub(crate) sub: String,
    exp: u64,
    nbf: u64,
    iat: u64,
    pub(crate) access: Vec<Grant>,
}

/// Makes tokens and knows its own.
#[derive(Debug)]
pub(crate) struct Issuer {
    pub(crate) realm: String,
    pub(crate) service: String,
    pub(crate) lifetime: Duration,
    key: hmac::Key,
}

impl Issuer {
    pub(crate) fn new(realm: String, service: String, lifetime: Duration) -> Option<Issuer> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Some(Issuer {
            realm,
            service,
            lifetime,
            key: key.ok()?,
        })
    }

    pub(crate) fn issue(&self, user: Option<&str>, access: Vec<Grant>) -> String {
        let now = now();
        let claims = Claims {
            iss: self.service.clone(),
            aud: self.service.clone(),
            sub: user.unwrap_or_default().to_owned(),
            exp: now.saturating_add(self.lifetime.as_secs()),
            nbf: now,
            iat: now,
            access,
        };
        let part = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        // Strings and numbers always have a JSON form.
        let claims = serde_json::to_vec(&claims).unwrap_or_default();
        let text = format!(
            "{}.{}",
            part(br#"{"typ":"JWT","alg":"HS256"}"#),
            part(&claims)
        );
        let signature = hmac::sign(&self.key, text.as_bytes());
        format!("{text}.{}", part(signature.as_ref()))
    }

    /// What a token says, if it is one of ours and still good. Its header is not read: there is
    /// one algorithm and one key.
    pub(crate) fn verify(&self, token: &str) -> Option<Claims> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let (text, signature) = token.rsplit_once('.')?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        hmac::verify(&self.key, text.as_bytes(), &signature).ok()?;
        let (_, claims) = text.split_once('.')?;
        let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?;
        let claims: Claims = serde_json::from_slice(&claims).ok()?;
        let now = now();
        let good = claims.exp > now && claims.nbf <= now.saturating_add(LEEWAY);
        (good && claims.aud == self.service).then_some(claims)
    }
}

/// What a client asks a token for: `repository:a/b:pull,push`. The name may have a port in it.
pub(crate) fn parse_scope(text: &str) -> Option<Grant> {
    let (kind, rest) = text.split_once(':')?;
    let (name, actions) = rest.rsplit_once(':')?;
    let kind = kind.split('(').next()?;
    Some(Grant {
        kind: kind.to_owned(),
        name: name.to_owned(),
        actions: actions.split(',').map(str::to_owned).collect(),
    })
}

pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn issuer(lifetime: u64) -> Issuer {
        let lifetime = Duration::from_secs(lifetime);
        Issuer::new("http://x/token".into(), "x".into(), lifetime).unwrap()
    }

    fn grant() -> Grant {
        parse_scope("repository:a/b:pull,push").unwrap()
    }

    #[test]
    fn a_token_says_what_was_put_in_it() {
        let issuer = issuer(60);
        let claims = issuer
            .verify(&issuer.issue(Some("ann"), vec![grant()]))
            .unwrap();
        assert_eq!((&*claims.sub, &claims.access[..]), ("ann", &[grant()][..]));
        assert!(grant().allows("a/b", Action::Push));
        assert!(!grant().allows("a/b", Action::Delete));
        assert!(!grant().allows("a", Action::Pull));
    }

    #[test]
    fn other_and_old_and_changed_tokens_are_none() {
        let issuer = issuer(60);
        let token = issuer.issue(None, vec![]);
        assert!(issuer.verify(&token).is_some());
        assert!(self::issuer(60).verify(&token).is_none());
        let old = self::issuer(0);
        assert!(old.verify(&old.issue(None, vec![])).is_none());
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            // The last character of base64 may have bits that say nothing.
            if at + 1 < token.len() {
                assert!(issuer.verify(&changed).is_none(), "{at}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[A-Za-z0-9_.:,()-]{0,80}") {
            prop_assert!(issuer(60).verify(&text).is_none());
            let _ = parse_scope(&text);
        }
    }
}
