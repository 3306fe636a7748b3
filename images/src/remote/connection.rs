//! One endpoint of a registry, ready to be asked.
//!
//! ```text
//!  call ──► authorise ──► send ──► 401: learn, authorise, once more
//!             ▲                ├─► 3xx: follow (no credentials to other hosts)
//!             └── wait ◄───────┴─► 429, 502-504, cut: after a while, where it changes nothing
//! ```

use std::time::Duration;

use ureq::http::header::{LOCATION, RETRY_AFTER};
use ureq::http::{Method, Uri};

use super::authority::Authority;
pub(crate) use super::authority::Scope;
use super::error::Complaint;
use super::wire::{Answer, Call, Payload, Wire};
use super::{Cancel, Credentials, Endpoint, Remote, RemoteError};

/// As many as Go's client follows.
const MAX_REDIRECTS: usize = 10;

pub(crate) struct Connection {
    endpoint: Endpoint,
    wire: Wire,
    authority: Authority,
}

impl Connection {
    /// Asks whether a registry is there, and what it wants to see.
    pub(crate) fn open(
        remote: &Remote,
        endpoint: &Endpoint,
        credentials: &Credentials,
        cancel: &Cancel,
    ) -> Result<Connection, RemoteError> {
        let credentials = match endpoint.mirror {
            true => Credentials::default(),
            false => credentials.clone(),
        };
        let connection = Connection {
            endpoint: endpoint.clone(),
            wire: Wire::new(remote, endpoint, &cancel.part()),
            authority: Authority::new(credentials),
        };
        let ping = Call::new(Method::GET, connection.url(""));
        let answer = connection.wire.run(&ping, None)?;
        if answer.status() == 401 {
            connection.authority.learn(&answer);
        }
        Ok(connection)
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(crate) fn cancel(&self) -> &Cancel {
        self.wire.cancel()
    }

    pub(crate) fn wire(&self) -> &Wire {
        &self.wire
    }

    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// `https://host/v2/` and what follows it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/v2/{path}", self.endpoint.base)
    }

    /// A success, or what the registry has to say instead. What may be done twice is tried again.
    pub(crate) fn ask(&self, call: &Call<'_>, scope: &Scope) -> Result<Answer, RemoteError> {
        let patience = self.wire.remote().options.patience;
        let repeatable = matches!(call.method, Method::GET | Method::HEAD | Method::PUT);
        let mut pause = Pause::new(&patience);
        loop {
            let error = match self.send(call, scope).and_then(checked) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let passing = error.is_passing() && repeatable || error.later().is_some();
            if !passing || !pause.take(self.cancel(), error.later())? {
                return Err(error);
            }
            tracing::debug!(%error, "asking the registry again");
        }
    }

    /// Whatever the registry answers, behind redirects and authorisation.
    pub(crate) fn send(&self, call: &Call<'_>, scope: &Scope) -> Result<Answer, RemoteError> {
        let header = self.authority.header(&self.wire, call, scope)?;
        let answer = self.follow(call, header.as_deref())?;
        if answer.status() != 401 || !self.is_own(&answer.url) || !self.authority.learn(&answer) {
            return Ok(answer);
        }
        self.authority.forget(scope);
        let again = self.authority.header(&self.wire, call, scope)?;
        match again {
            // The same password is no better the second time.
            again if again == header => Ok(answer),
            again => self.follow(call, again.as_deref()),
        }
    }

    fn follow(&self, call: &Call<'_>, header: Option<&str>) -> Result<Answer, RemoteError> {
        let header = |url: &str| header.filter(|_| self.is_own(url));
        let mut answer = self.wire.run(call, header(&call.url))?;
        if !matches!(call.method, Method::GET | Method::HEAD) {
            return Ok(answer);
        }
        for _ in 0..MAX_REDIRECTS {
            if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(answer);
            }
            let next = Call {
                method: call.method.clone(),
                url: location(&answer)?,
                headers: call.headers.clone(),
                payload: Payload::None,
            };
            answer = self.wire.run(&next, header(&next.url))?;
        }
        Err(RemoteError::Nonsense {
            url: call.url.clone(),
            why: format!("stopped after {MAX_REDIRECTS} redirects"),
        })
    }

    /// Whether an address is this endpoint's: others are not shown what we show it.
    fn is_own(&self, url: &str) -> bool {
        let rest = url.strip_prefix(&self.endpoint.base);
        rest.is_some_and(|rest| rest.starts_with('/'))
    }
}

/// A success as it is, and a failure as an error.
pub(crate) fn checked(answer: Answer) -> Result<Answer, RemoteError> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let later = answer
        .header(&RETRY_AFTER)
        .and_then(|text| text.trim().parse().ok())
        .map(Duration::from_secs)
        .filter(|_| matches!(status.as_u16(), 429 | 503));
    let described = bearer_error(&answer);
    let complaint = Complaint::read(status.as_u16(), &answer.complaint_bytes());
    Err(match (described, complaint) {
        (Some(mut complaint), _) | (None, Some(mut complaint)) => {
            complaint.later = later;
            RemoteError::Refused(complaint)
        }
        (None, None) => RemoteError::Status(status),
    })
}

/// RFC 6750, section 3.1: why a token was not enough.
fn bearer_error(answer: &Answer) -> Option<Complaint> {
    let status = answer.status().as_u16();
    if !(400..500).contains(&status) {
        return None;
    }
    let header = answer.headers().get("www-authenticate")?.to_str().ok()?;
    let challenges = super::challenge::parse(header);
    let bearer = challenges.iter().find(|one| one.scheme == "bearer")?;
    let (code, usual) = match bearer.get("error")? {
        "invalid_token" => ("UNAUTHORIZED", "authentication required"),
        "insufficient_scope" => ("DENIED", "requested access to the resource is denied"),
        _ => return None,
    };
    let message = bearer.get("error_description").unwrap_or(usual);
    Some(Complaint {
        status,
        code: code.to_owned(),
        message: super::error::clean(message),
        later: None,
    })
}

/// Where an answer sends us.
pub(crate) fn location(answer: &Answer) -> Result<String, RemoteError> {
    let nonsense = |why: &str| RemoteError::Nonsense {
        url: answer.url.clone(),
        why: why.to_owned(),
    };
    let target = answer.header(&LOCATION).filter(|target| !target.is_empty());
    let target = target.ok_or_else(|| nonsense("it leads on without saying where"))?;
    resolve(&answer.url, target).ok_or_else(|| nonsense("it leads to where there is no address"))
}

/// RFC 3986, as far as registries go: whole addresses, and paths from the root or beside this one.
fn resolve(base: &str, target: &str) -> Option<String> {
    let uri: Uri = base.parse().ok()?;
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?.as_str());
    if target.starts_with("http://") || target.starts_with("https://") {
        return Some(target.to_owned());
    }
    if let Some(rest) = target.strip_prefix("//") {
        return Some(format!("{scheme}://{rest}"));
    }
    if target.starts_with('/') {
        return Some(format!("{scheme}://{authority}{target}"));
    }
    if target.contains(':') && target.find(':') < target.find(['/', '?']) {
        return None;
    }
    let folder = uri.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    Some(format!("{scheme}://{authority}{folder}/{target}"))
}

/// The waits between tries.
pub(crate) struct Pause {
    left: u32,
    next: Duration,
    longest: Duration,
}

impl Pause {
    pub(crate) fn new(patience: &super::Patience) -> Pause {
        Pause {
            left: patience.attempts.saturating_sub(1),
            next: patience.backoff,
            longest: patience.longest,
        }
    }

    /// How long the next wait is; `None` when there are no tries left.
    pub(crate) fn next(&mut self, asked: Option<Duration>) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        let own = self.next.min(self.longest);
        self.next = self.next.saturating_mul(2);
        // Who asks for more than we have is not asked again.
        match asked {
            Some(asked) if asked > self.longest => None,
            Some(asked) => Some(asked.max(own)),
            None => Some(own),
        }
    }

    /// Waits. `false` when there are no tries left.
    fn take(&mut self, cancel: &Cancel, asked: Option<Duration>) -> Result<bool, RemoteError> {
        let Some(time) = self.next(asked) else {
            return Ok(false);
        };
        match cancel.wait(time) {
            true => Ok(true),
            false => Err(RemoteError::Cancelled),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_resolved() {
        let check = |target: &str, expected: Option<&str>| {
            let base = "http://h:5000/v2/a/blobs/uploads/?x=y";
            assert_eq!(resolve(base, target).as_deref(), expected, "{target}");
        };
        check("https://o/p?q", Some("https://o/p?q"));
        check("//o/p", Some("http://o/p"));
        check("/v2/u?s=1", Some("http://h:5000/v2/u?s=1"));
        check("u/1", Some("http://h:5000/v2/a/blobs/uploads/u/1"));
        check("ftp://x", None);
    }

    #[test]
    fn pauses_grow_and_end() {
        let patience = super::super::Patience {
            attempts: 4,
            backoff: Duration::from_secs(1),
            longest: Duration::from_secs(3),
            ..super::super::Patience::default()
        };
        let mut pause = Pause::new(&patience);
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs());
        assert_eq!(seconds(pause.next(None)), Some(1));
        assert_eq!(seconds(pause.next(Some(Duration::from_secs(3)))), Some(3));
        assert_eq!(seconds(pause.next(None)), Some(3));
        assert_eq!(seconds(pause.next(None)), None);
        let mut pause = Pause::new(&patience);
        assert_eq!(pause.next(Some(Duration::from_secs(9))), None);
    }
}
