//! What a connection shows for each request: nothing, a password, or a token for the right scope.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::challenge::{self, Challenge};
use super::token::{self, Token, Wanted};
use super::wire::{Answer, Call, Wire, word};
use super::{Credentials, RemoteError};

/// What a request is about, for tokens: `repository:a/b:pull`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Scope(Vec<String>);

impl Scope {
    pub(crate) fn none() -> Scope {
        Scope(Vec::new())
    }

    pub(crate) fn pull(repository: &str) -> Scope {
        Scope(vec![format!("repository:{repository}:pull")])
    }

    pub(crate) fn push(repository: &str) -> Scope {
        Scope(vec![format!("repository:{repository}:pull,push")])
    }

    /// Reading another repository beside it.
    pub(crate) fn and_pull(&self, repository: &str) -> Scope {
        let mut scopes = self.0.clone();
        scopes.push(format!("repository:{repository}:pull"));
        Scope(scopes)
    }
}

pub(crate) struct Authority {
    credentials: Credentials,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    challenges: Vec<Challenge>,
    tokens: HashMap<Scope, Token>,
}

impl Authority {
    pub(crate) fn new(credentials: Credentials) -> Authority {
        Authority {
            credentials,
            state: Mutex::default(),
        }
    }

    /// Remembers what an answer of 401 wants. Says whether that is something we know how to do.
    pub(crate) fn learn(&self, answer: &Answer) -> bool {
        let headers = answer.headers().get_all("www-authenticate");
        let found: Vec<Challenge> = headers
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(challenge::parse)
            .filter(|one| matches!(one.scheme.as_str(), "bearer" | "basic"))
            .collect();
        let known = !found.is_empty();
        if known {
            self.state().challenges = found;
        }
        known
    }

    /// What `call` is sent with.
    pub(crate) fn header(
        &self,
        wire: &Wire,
        call: &Call<'_>,
        scope: &Scope,
    ) -> Result<Option<String>, RemoteError> {
        if !self.credentials.registry_token.is_empty() {
            return Ok(Some(format!("Bearer {}", self.credentials.registry_token)));
        }
        if let Some(bearer) = self.challenge("bearer") {
            let known = self.state().tokens.get(scope).cloned();
            if let Some(token) = known.filter(Token::is_fresh) {
                return Ok(Some(format!("Bearer {}", token.value)));
            }
            let token = self.fetch(wire, call, (&bearer, scope), false)?;
            let header = format!("Bearer {}", token.value);
            self.state().tokens.insert(scope.clone(), token);
            return Ok(Some(header));
        }
        match (self.challenge("basic"), self.credentials.basic()) {
            (None, _) => Ok(None),
            (Some(_), Some(header)) => Ok(Some(header)),
            (Some(_), None) => Err(RemoteError::NoCredentials {
                method: word(&call.method),
                url: call.url.clone(),
            }),
        }
    }

    /// An identity token for later, from a server that gives some; empty from others.
    pub(crate) fn identity(&self, wire: &Wire, call: &Call<'_>) -> Result<String, RemoteError> {
        let Some(bearer) = self.challenge("bearer") else {
            return Ok(String::new());
        };
        let token = self.fetch(wire, call, (&bearer, &Scope::none()), true)?;
        let identity = token.identity.clone();
        self.state().tokens.insert(Scope::none(), token);
        Ok(identity)
    }

    /// Drops a token that the registry did not take.
    pub(crate) fn forget(&self, scope: &Scope) {
        self.state().tokens.remove(scope);
    }

    fn fetch(
        &self,
        wire: &Wire,
        call: &Call<'_>,
        (challenge, scope): (&Challenge, &Scope),
        offline: bool,
    ) -> Result<Token, RemoteError> {
        // A registry that wants more than the request's own scope says so.
        let own = challenge.get("scope").map(str::to_owned);
        let scopes = match scope.0.as_slice() {
            [] => own.into_iter().collect(),
            scopes => scopes.to_vec(),
        };
        let wanted = Wanted {
            challenge,
            scopes: &scopes,
            credentials: &self.credentials,
            offline,
            method: word(&call.method),
            url: &call.url,
        };
        token::fetch(wire, wanted)
    }

    fn challenge(&self, scheme: &str) -> Option<Challenge> {
        let state = self.state();
        let mut found = state.challenges.iter();
        found.find(|one| one.scheme == scheme).cloned()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
