//! Who may do what.
//!
//! ```text
//!  Authorization ──identify──► Actor ──check(action, repository)──► allowed, 401 or 403
//!     htpasswd, token,           │ rules of the configuration
//!     another issuer's token     │
//!                                └ what the repository itself says: public, owner, collaborators
//! ```

mod der;
mod foreign;
mod htpasswd;
mod keys;
mod rules;
mod token;

use std::collections::HashSet;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hull_images::repositories::{Repositories, RepositoryName};
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, WWW_AUTHENTICATE};

pub use foreign::Tokens;
use foreign::Trusted;
pub(crate) use htpasswd::Htpasswd;
pub use htpasswd::HtpasswdError;
pub use keys::KeysError;
pub use rules::{Action, Pattern};
use token::Issuer;
pub(crate) use token::{Grant, parse_scope};

use crate::config::{Auth, Rule, UsersMay};
use crate::refusal::{Code, Refusal};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Actor {
    Anonymous,
    User(String),
    /// Who showed a token, which says what he may.
    Bearer {
        user: Option<String>,
        grants: Vec<Grant>,
    },
}

impl Actor {
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Actor::Anonymous => None,
            Actor::User(name) => Some(name),
            Actor::Bearer { user, .. } => user.as_deref(),
        }
    }

    /// Whether a token says that its bearer may see the list of all repositories.
    fn sees_all(&self) -> bool {
        match self {
            Actor::Bearer { grants, .. } => grants.iter().any(Grant::is_catalog),
            Actor::Anonymous | Actor::User(_) => false,
        }
    }

    /// The same without what a token says.
    fn plain(&self) -> Actor {
        self.name()
            .map_or(Actor::Anonymous, |name| Actor::User(name.to_owned()))
    }
}

/// The rights of a registry.
#[derive(Debug, Default)]
pub(crate) struct Access {
    auth: Option<Passwords>,
    /// Who issues tokens elsewhere: then they say who may what, and nothing else does.
    trusted: Option<Trusted>,
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Passwords {
    realm: String,
    htpasswd: Htpasswd,
    users_may: UsersMay,
    issuer: Option<Issuer>,
}

impl Access {
    /// Rights as they are configured, of a registry that others reach at `base`.
    pub(crate) fn new(
        auth: Option<&Auth>,
        rules: Vec<Rule>,
        base: &str,
    ) -> Result<Access, HtpasswdError> {
        let auth = match auth {
            None => None,
            Some(auth) => Some(Passwords {
                realm: auth.realm.clone(),
                htpasswd: Htpasswd::open(&auth.htpasswd)?,
                users_may: auth.users_may,
                issuer: match &auth.token {
                    None => None,
                    Some(token) => Some(
                        Issuer::new(
                            format!("{base}/token"),
                            token.service.clone(),
                            token.lifetime,
                        )
                        .ok_or(HtpasswdError::Random)?,
                    ),
                },
            }),
        };
        Ok(Access {
            auth,
            trusted: None,
            rules,
        })
    }

    /// Rights as the tokens of another issuer say them.
    pub(crate) fn by_tokens(tokens: &Tokens) -> Result<Access, KeysError> {
        Ok(Access {
            auth: None,
            trusted: Some(Trusted::new(tokens)?),
            rules: Vec::new(),
        })
    }

    /// Whether nobody is asked who he is.
    pub(crate) fn is_open(&self) -> bool {
        self.auth.is_none() && self.trusted.is_none()
    }

    pub(crate) fn has_no_rules(&self) -> bool {
        self.rules.is_empty()
    }

    /// Who makes tokens, if this registry asks for them.
    pub(crate) fn issuer(&self) -> Option<&Issuer> {
        self.auth.as_ref()?.issuer.as_ref()
    }

    /// Reads who asks. Passwords are checked on a thread that may take its time.
    pub(crate) async fn identify(&self, headers: &HeaderMap) -> Result<Actor, Refusal> {
        if let Some(trusted) = &self.trusted {
            return self.identify_by(trusted, headers);
        }
        let (Some(auth), Some(header)) = (&self.auth, headers.get(AUTHORIZATION)) else {
            return Ok(Actor::Anonymous);
        };
        let header = header.to_str().unwrap_or_default();
        if let (Some(issuer), Some(token)) = (&auth.issuer, bearer(header)) {
            let claims = issuer.verify(token).ok_or_else(|| self.challenge())?;
            return Ok(Actor::Bearer {
                user: Some(claims.sub).filter(|user| !user.is_empty()),
                grants: claims.access,
            });
        }
        let Some((user, password)) = basic(header) else {
            return Err(self.challenge());
        };
        // What skopeo, buildah and podman say for nobody.
        if user.is_empty() && password.is_empty() {
            return Ok(Actor::Anonymous);
        }
        match auth.htpasswd.verify(&user, &password).await? {
            true => Ok(Actor::User(user)),
            false => Err(self.challenge()),
        }
    }

    fn identify_by(&self, trusted: &Trusted, headers: &HeaderMap) -> Result<Actor, Refusal> {
        let Some(header) = headers.get(AUTHORIZATION) else {
            return Ok(Actor::Anonymous);
        };
        let token = bearer(header.to_str().unwrap_or_default());
        match token.and_then(|token| trusted.verify(token)) {
            Some(said) => Ok(Actor::Bearer {
                user: said.user,
                grants: said.grants,
            }),
            None => Err(self.ask(",error=\"invalid_token\"")),
        }
    }

    /// Where no repository is named: whoever has a password, or a token.
    pub(crate) fn check_known(&self, actor: &Actor) -> Result<(), Refusal> {
        match actor {
            Actor::Anonymous if !self.is_open() => Err(self.challenge()),
            _ => Ok(()),
        }
    }

    /// Who may ask for the list of repositories. An issuer elsewhere says that too.
    pub(crate) fn check_catalog(&self, actor: &Actor) -> Result<(), Refusal> {
        match self.trusted.is_none() || actor.sees_all() {
            true => self.check_known(actor),
            false => Err(self.lacking(actor, "registry:catalog:*")),
        }
    }

    /// Whether the actor may, as far as the configuration says: what a repository says of itself
    /// is asked only if not.
    fn rules_allow(&self, actor: &Actor, name: &RepositoryName, action: Action) -> bool {
        let by_rule = self.rules.iter().any(|rule| {
            rule.actions.contains(&action)
                && rule.users.iter().any(|user| is_meant(user, actor))
                && rule.repositories.iter().any(|pattern| pattern.fits(name))
        });
        let by_default = match (&self.auth, actor) {
            (None, _) => self.rules.is_empty() && self.trusted.is_none(),
            (Some(_), Actor::Anonymous | Actor::Bearer { .. }) => false,
            (Some(auth), Actor::User(user)) => match auth.users_may {
                UsersMay::Everything => self.rules.is_empty(),
                UsersMay::Own => is_below(name, user),
                UsersMay::Nothing => false,
            },
        };
        by_rule || by_default
    }

    /// Refuses what the actor may not: by asking who it is, if that is not known.
    pub(crate) fn check(
        &self,
        repositories: &Repositories,
        actor: &Actor,
        name: &RepositoryName,
        action: Action,
    ) -> Result<(), Refusal> {
        if let Actor::Bearer { grants, .. } = actor {
            let allowed = grants
                .iter()
                .any(|grant| grant.allows(name.as_str(), action));
            // A token for something else is no refusal: a client asks for another.
            return match allowed {
                true => Ok(()),
                false => Err(self.challenge_for(actor, name, action)),
            };
        }
        if self.rules_allow(actor, name, action) {
            return Ok(());
        }
        let standing = repositories.standing(name, actor.name())?;
        let allowed = match action {
            Action::Pull => standing.public || standing.collaborator || standing.owner,
            Action::Push => standing.collaborator || standing.owner,
            Action::Delete => standing.owner,
        };
        match (allowed, actor) {
            (true, _) => Ok(()),
            (false, Actor::Anonymous) if !self.is_open() => {
                Err(self.challenge_for(actor, name, action))
            }
            (false, _) => Err(Refusal::new(Code::Denied)),
        }
    }

    /// What an actor may see of a list of repositories.
    pub(crate) fn sight(
        &self,
        repositories: &Repositories,
        actor: &Actor,
    ) -> Result<Sight<'_>, Refusal> {
        Ok(Sight {
            all: self.trusted.is_some() && actor.sees_all(),
            access: self,
            actor: actor.plain(),
            opened: repositories.opened_to(actor.name())?,
        })
    }

    /// Asks who it is.
    fn challenge(&self) -> Refusal {
        self.ask("")
    }

    /// Asks who it is that wants to do that; with tokens, what the next must say.
    fn challenge_for(&self, actor: &Actor, name: &RepositoryName, action: Action) -> Refusal {
        let actions = match action {
            Action::Pull => "pull",
            Action::Push => "pull,push",
            Action::Delete => "delete",
        };
        self.lacking(actor, &format!("repository:{name}:{actions}"))
    }

    /// Asks for a token that lets its client push here what is there: one for the target alone
    /// would have the blob sent.
    pub(crate) fn challenge_to_mount(
        &self,
        actor: &Actor,
        to: &RepositoryName,
        from: &RepositoryName,
    ) -> Refusal {
        let scope = format!("repository:{to}:pull,push repository:{from}:pull");
        self.lacking(actor, &scope)
    }

    /// Asks for a token that says more.
    fn lacking(&self, actor: &Actor, scope: &str) -> Refusal {
        // RFC 6750, section 3.1. Our own tokens never said it, and clients ask for another anyway.
        let error = match (&self.trusted, actor) {
            (Some(_), Actor::Bearer { .. }) => ",error=\"insufficient_scope\"",
            _ => "",
        };
        self.ask(&format!(",scope=\"{scope}\"{error}"))
    }

    /// How a browser is asked who it is that looks, if anybody is: by password, with tokens too.
    pub(crate) fn basic_challenge(&self) -> Option<String> {
        let auth = self.auth.as_ref()?;
        let realm = clean(&auth.realm);
        Some(format!("Basic realm=\"{realm}\", charset=\"UTF-8\""))
    }

    fn ask(&self, scope: &str) -> Refusal {
        let tokens = match (&self.trusted, self.issuer()) {
            (Some(trusted), _) => Some((&trusted.realm, &trusted.service)),
            (None, issuer) => issuer.map(|issuer| (&issuer.realm, &issuer.service)),
        };
        let challenge = match (&self.auth, tokens) {
            (_, Some((realm, service))) => {
                let (realm, service) = (clean(realm), clean(service));
                format!("Bearer realm=\"{realm}\",service=\"{service}\"{scope}")
            }
            (Some(auth), None) => format!("Basic realm=\"{}\"", clean(&auth.realm)),
            (None, None) => "Basic realm=\"\"".to_owned(),
        };
        Refusal::new(Code::Unauthorized).header(WWW_AUTHENTICATE, &challenge)
    }
}

/// A text that fits between the quotes of a header's parameter.
fn clean(text: &str) -> String {
    text.replace(['"', '\\'], "")
}

/// What one actor may pull.
pub(crate) struct Sight<'a> {
    all: bool,
    access: &'a Access,
    actor: Actor,
    opened: HashSet<RepositoryName>,
}

impl Sight<'_> {
    pub(crate) fn sees(&self, name: &RepositoryName) -> bool {
        self.all
            || self.access.rules_allow(&self.actor, name, Action::Pull)
            || self.opened.contains(name)
    }
}

fn is_meant(user: &str, actor: &Actor) -> bool {
    match actor {
        Actor::Anonymous => user == "@anonymous",
        Actor::User(name) => user == "@all" || user == "@anonymous" || user == name,
        // Its token has said already what it may.
        Actor::Bearer { .. } => false,
    }
}

fn is_below(name: &RepositoryName, user: &str) -> bool {
    let rest = name.as_str().strip_prefix(user);
    rest.is_some_and(|rest| rest.starts_with('/'))
}

/// The token of a `Bearer` header.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}

/// The user and password of a `Basic` header.
fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, rest) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(BASE64_STANDARD.decode(rest.trim()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests;
