//! Images that come from registries and go to them.
//!
//! A transfer runs on a thread of its own, since the store blocks. It ends when nobody waits for it
//! any more: dropping the call's future closes its connections.

use std::collections::BTreeMap;

use hull_images::remote::{Cancel, Credentials, Remote, RemoteError};
use hull_images::{
    Down, Platform, Pull, PullError, Push, PushError, Reference, ReferenceError, Store, Transfer,
    Up,
};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::Images;
use super::failure::{image_failed, store_failed};
use crate::api::{Described, Hit, Login, PullOptions, PushOptions, SearchOptions};
use crate::error::{EngineError, ErrorKind};
use crate::events::Event;
use crate::time::Timestamp;

/// Cancels what nobody waits for any more.
struct Watched(Cancel);

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Images {
    /// Fetches an image, or every image of a repository. What happens comes on `progress`.
    ///
    /// # Errors
    /// The registry has no such image, or does not give it, or it is damaged; or not a name.
    pub async fn pull(
        &self,
        options: PullOptions,
        progress: mpsc::Sender<Transfer>,
    ) -> Result<(), EngineError> {
        let name = versioned(&options.image, &options.version).map_err(unnamed)?;
        let platform: Option<Platform> = match options.platform.as_str() {
            "" => None,
            text => Some(text.parse().map_err(invalid)?),
        };
        let pull = Pull {
            all: name.is_name_only(),
            name: name.clone(),
            platform: platform.clone(),
            credentials: options.credentials,
        };
        let told = progress.clone();
        let pulled = self.transfer(progress, move |store, remote, watching| {
            store.pull(remote, &pull, watching).map_err(pull_failed)
        });
        for pulled in pulled.await? {
            let wanted = platform.as_ref();
            if let Some(wanted) = wanted.filter(|wanted| !pulled.platform.provides(wanted)) {
                let (name, found) = (pulled.name.familiar(), &pulled.platform);
                let warning = format!(
                    "image with reference {name} was found but its platform ({found}) does not match the specified platform ({wanted})"
                );
                // Nobody may be left to warn.
                let _ = told.send(Transfer::Warning(warning)).await;
            }
        }
        self.tell_transfer("pull", &name);
        Ok(())
    }

    /// Sends an image, or every image that a repository has here. What happens comes on
    /// `progress`.
    ///
    /// # Errors
    /// There is no such image, or the registry does not take it; or not a name.
    pub async fn push(
        &self,
        options: PushOptions,
        progress: mpsc::Sender<Transfer>,
    ) -> Result<(), EngineError> {
        let name = versioned(&options.image, &options.tag).map_err(unnamed)?;
        let push = Push {
            all: name.is_name_only(),
            name: name.clone(),
            platform: options.platform,
            credentials: options.credentials,
        };
        self.transfer(progress, move |store, remote, watching| {
            store
                .push(remote, &push, watching)
                .map_err(|error| push_failed(&error))
        })
        .await?;
        self.tell_transfer("push", &name);
        Ok(())
    }

    /// Shows credentials to a registry.
    ///
    /// # Errors
    /// It does not take them, or cannot be reached.
    pub async fn login(
        &self,
        server: &str,
        credentials: Credentials,
    ) -> Result<Login, EngineError> {
        let server = server.to_owned();
        self.ask(move |remote| remote.login(&server, &credentials))
            .await
    }

    /// What a registry has under a name.
    ///
    /// # Errors
    /// Nothing, or it cannot be reached; or not a name.
    pub async fn describe(
        &self,
        image: &str,
        credentials: Credentials,
    ) -> Result<Described, EngineError> {
        let name = versioned(image, "").map_err(unnamed)?;
        self.ask(move |remote| remote.describe(&name, &credentials))
            .await
    }

    /// Searches a registry.
    ///
    /// # Errors
    /// It cannot be reached, or cannot be searched.
    pub async fn search(&self, options: SearchOptions) -> Result<Vec<Hit>, EngineError> {
        if !(1..=100).contains(&options.limit) {
            return Err(EngineError::Invalid(format!(
                "limit {} is outside the range of [1, 100]",
                options.limit
            )));
        }
        let SearchOptions {
            term,
            limit,
            official,
            automated,
            stars,
            credentials,
        } = options;
        let hits = self
            .ask(move |remote| remote.search(&term, limit, &credentials))
            .await?;
        let fits = |hit: &Hit| {
            official.is_none_or(|wanted| hit.is_official == wanted)
                // No registry builds images by itself any more.
                && automated.is_none_or(|wanted| !wanted)
                && hit.star_count >= stars
        };
        Ok(hits.into_iter().filter(fits).collect())
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Remote) -> Result<T, RemoteError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let remote = self.remote.clone();
        self.blocking(move |_| question(&remote).map_err(|error| remote_failed(&error)))
            .await
    }

    async fn transfer<T: Send + 'static>(
        &self,
        progress: mpsc::Sender<Transfer>,
        work: impl FnOnce(
            &Store,
            &Remote,
            (&(dyn Fn(Transfer) + Sync), &Cancel),
        ) -> Result<T, EngineError>
        + Send
        + 'static,
    ) -> Result<T, EngineError> {
        let cancel = Cancel::default();
        let _watched = Watched(cancel.clone());
        let remote = self.remote.clone();
        self.blocking(move |store| {
            let audience = |transfer: Transfer| {
                // Who is slow misses some bars, but no state.
                let gone = match is_bar(&transfer) {
                    true => matches!(progress.try_send(transfer), Err(TrySendError::Closed(_))),
                    false => progress.blocking_send(transfer).is_err(),
                };
                if gone {
                    cancel.cancel();
                }
            };
            work(store, &remote, (&audience, &cancel))
        })
        .await
    }

    fn tell_transfer(&self, action: &str, name: &Reference) {
        let repository = name.repository().familiar();
        self.events.tell(Event {
            kind: "image",
            action: action.to_owned(),
            actor: name.familiar(),
            attributes: BTreeMap::from([("name".to_owned(), repository)]),
            time: Timestamp::now(),
        });
    }
}

fn is_bar(transfer: &Transfer) -> bool {
    matches!(
        transfer,
        Transfer::Down {
            state: Down::Downloading { .. } | Down::Extracting { .. },
            ..
        } | Transfer::Up {
            state: Up::Compressing { .. } | Up::Pushing { .. },
            ..
        }
    )
}

/// A name, and a tag or digest that may come apart from it.
fn versioned(image: &str, version: &str) -> Result<Reference, ReferenceError> {
    let name: Reference = image.parse()?;
    match version {
        "" => Ok(name),
        digest if digest.contains(':') => Ok(name.repository().with_digest(digest.parse()?)),
        tag => name.repository().with_tag(tag),
    }
}

fn unnamed(error: ReferenceError) -> EngineError {
    invalid(error)
}

fn invalid(error: impl std::fmt::Display) -> EngineError {
    EngineError::Image(error.to_string(), ErrorKind::InvalidParameter)
}

fn pull_failed(error: PullError) -> EngineError {
    let kind = match &error {
        PullError::NoManifest { .. }
        | PullError::NoRepository { .. }
        | PullError::Denied { .. }
        | PullError::NoPlatform(_) => ErrorKind::NotFound,
        PullError::MediaType(_)
        | PullError::Schema1(_)
        | PullError::Manifest(_)
        | PullError::TooLarge { .. }
        | PullError::Tag { .. } => ErrorKind::InvalidParameter,
        PullError::Remote(error) => return remote_failed(error),
        PullError::Image(_) => ErrorKind::System,
    };
    if let PullError::Image(error) = error {
        return image_failed(error);
    }
    EngineError::Image(error.to_string(), kind)
}

fn push_failed(error: &PushError) -> EngineError {
    let kind = match error {
        PushError::NoRepository(_)
        | PushError::NoTag(_)
        | PushError::NoImage(_)
        | PushError::Platform { .. } => ErrorKind::NotFound,
        PushError::Digest => ErrorKind::InvalidParameter,
        PushError::Store(error) => return store_failed(error),
        PushError::Remote(error) => return remote_failed(error),
        PushError::Refused(_)
        | PushError::NoCredentials
        | PushError::Manifest(_)
        | PushError::Missing(_)
        | PushError::Damaged(_) => ErrorKind::System,
    };
    EngineError::Image(error.to_string(), kind)
}

/// As dockerd: what a registry says is an error of the server, but for what it does not have.
fn remote_failed(error: &RemoteError) -> EngineError {
    let kind = match error {
        RemoteError::Store(error) => return store_failed(error),
        RemoteError::Refused(complaint) if complaint.status == 404 => ErrorKind::NotFound,
        _ => ErrorKind::System,
    };
    EngineError::Image(error.to_string(), kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_in_the_name_or_apart() {
        let check = |image: &str, version: &str, expected: &str| {
            let name = versioned(image, version).map(|name| name.to_string());
            assert_eq!(name.unwrap_or_else(|e| e.to_string()), expected);
        };
        let digest = format!("sha256:{}", "0".repeat(64));
        check("busybox", "1", "docker.io/library/busybox:1");
        check("busybox:2", "", "docker.io/library/busybox:2");
        check("h:1/x", &digest, &format!("h:1/x@{digest}"));
        check("busybox", "", "docker.io/library/busybox");
        check("busybox", "-", "invalid reference format");
        check(
            "UPPER",
            "1",
            "invalid reference format: repository name (library/UPPER) must be lowercase",
        );
    }
}
