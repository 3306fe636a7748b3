//! What happened, and how it is told: in the envelope of `distribution`, and as Docker Hub did.

use hull_images::repositories::{Record, RepositoryName, Visibility};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::config::Hook;

/// The media type of `distribution`'s envelope.
pub(super) const ENVELOPE: &str = "application/vnd.docker.distribution.events.v1+json";

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    Push,
    Pull,
    Mount,
    Delete,
}

impl Action {
    fn word(self) -> &'static str {
        match self {
            Action::Push => "push",
            Action::Pull => "pull",
            Action::Mount => "mount",
            Action::Delete => "delete",
        }
    }
}

/// Something that a client did.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) action: Action,
    pub(crate) repository: RepositoryName,
    /// As clients call it; `None` where only a tag went.
    pub(crate) digest: Option<String>,
    pub(crate) tag: Option<String>,
    pub(crate) media_type: String,
    pub(crate) size: u64,
    /// Its path on the registry.
    pub(crate) path: String,
    pub(crate) actor: Option<String>,
    pub(crate) peer: String,
    pub(crate) host: String,
    pub(crate) method: String,
    pub(crate) user_agent: String,
    pub(crate) moment: Timestamp,
}

impl Event {
    pub(super) fn concerns(&self, hook: &Hook) -> bool {
        let wanted = hook.events.is_empty() || hook.events.contains(&self.action);
        let names = &hook.repositories;
        wanted && (names.is_empty() || names.iter().any(|name| name.fits(&self.repository)))
    }

    /// Whether a tag got an image: all that Docker Hub tells of.
    pub(super) fn is_tagged_push(&self) -> bool {
        self.action == Action::Push && self.tag.is_some()
    }

    /// One event in the envelope of `distribution`.
    pub(super) fn envelope(&self) -> String {
        let mut target = json!({
            "mediaType": self.media_type, "size": self.size, "length": self.size,
            "repository": self.repository.as_str(),
            "url": format!("http://{}{}", self.host, self.path),
        });
        if let Some(digest) = &self.digest {
            target["digest"] = json!(digest);
        }
        if let Some(tag) = &self.tag {
            target["tag"] = json!(tag);
        }
        let event = json!({
            "id": identifier(), "timestamp": self.moment, "action": self.action.word(),
            "target": target,
            "request": {
                "id": identifier(), "addr": self.peer, "host": self.host,
                "method": self.method, "useragent": self.user_agent,
            },
            "actor": match &self.actor {
                Some(name) => json!({"name": name}),
                None => json!({}),
            },
            "source": {"addr": self.host},
        });
        json!({"events": [event]}).to_string()
    }

    /// What Docker Hub sends of a push.
    pub(super) fn hub(&self, base: &str, callback: &str, record: Option<&Record>) -> String {
        let name = self.repository.as_str();
        let (namespace, short) = name.rsplit_once('/').unwrap_or(("", name));
        let text = |of: fn(&Record) -> &str| record.map(of).unwrap_or_default();
        let owner = record.and_then(|record| record.owner.as_deref());
        let public = record.is_some_and(|record| record.visibility == Visibility::Public);
        let images: &[Value] = &[];
        json!({
            "callback_url": callback,
            "push_data": {
                "images": images, "pushed_at": self.moment.as_second(),
                "pusher": self.actor.as_deref().unwrap_or("anonymous"),
                "tag": self.tag.as_deref().unwrap_or_default(),
            },
            "repository": {
                "comment_count": 0, "star_count": 0, "status": "Active",
                "date_created": record.map(|record| record.created.as_second()),
                "description": text(|record| &record.description),
                "full_description": text(|record| &record.overview),
                "is_official": false, "is_private": !public, "is_trusted": false,
                "name": short, "namespace": namespace, "repo_name": name,
                "owner": owner.unwrap_or(namespace),
                "repo_url": format!("{base}/v2/{name}/"),
            },
        })
        .to_string()
    }
}

/// Something that no other event has.
fn identifier() -> String {
    use ring::rand::{SecureRandom, SystemRandom};

    let mut bytes = [0; 16];
    // Without random numbers two events may look alike, which is no reason to tell of none.
    let _ = SystemRandom::new().fill(&mut bytes);
    let hex = hex::encode(bytes);
    let parts = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
    parts.map(|(start, end)| &hex[start..end]).join("-")
}
