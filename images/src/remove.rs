//! Removes names and images, by Docker's rules for what is refused and what goes along.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::collect::Collected;
use crate::digest::{ChainId, Digest, ImageId};
use crate::error::StoreError;
use crate::fault;
use crate::find::{FindError, exists, find};
use crate::list::{children, digests, tags};
use crate::reference::Reference;
use crate::store::{Inner, Store};

/// A container that uses an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    pub image: ImageId,
    /// The container's id.
    pub container: String,
    pub running: bool,
}

/// How far removal may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoveOptions {
    /// Also names that containers were made from, and images that stopped containers use.
    pub force: bool,
    /// Also parents that have no name.
    pub prune: bool,
}

/// What is gone, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    Untagged(Reference),
    Deleted(ImageId),
    DeletedLayer(ChainId),
}

/// Why nothing was removed, in Docker's words.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    #[error(transparent)]
    Find(#[from] FindError),
    #[error(
        "conflict: unable to remove repository reference {name:?} (must force) - container {container} is using its referenced image {image}"
    )]
    NameInUse {
        name: String,
        container: String,
        image: String,
    },
    #[error("conflict: unable to delete {image} ({forcing}) - {reason}")]
    Conflict {
        image: String,
        forcing: Forcing,
        reason: String,
    },
}

/// Whether force would help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forcing {
    MustBe,
    CannotBe,
}

impl std::fmt::Display for Forcing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Forcing::MustBe => "must be forced",
            Forcing::CannotBe => "cannot be forced",
        })
    }
}

impl From<StoreError> for RemoveError {
    fn from(error: StoreError) -> RemoveError {
        RemoveError::Find(FindError::Store(error))
    }
}

impl From<rusqlite::Error> for RemoveError {
    fn from(error: rusqlite::Error) -> RemoveError {
        RemoveError::from(StoreError::from(error))
    }
}

impl Store {
    /// Removes what `text` names: a name, or an image by its id. Refuses what `usages` need.
    pub fn remove(
        &self,
        text: &str,
        options: RemoveOptions,
        usages: &[Usage],
    ) -> Result<Vec<Removed>, RemoveError> {
        let mut db = self.inner.database();
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let id = find(&tx, text)?;
        let mut removal = Removal {
            tx: &tx,
            usages,
            removed: Vec::new(),
        };
        removal.run(text, id, options)?;
        let removed = removal.removed;
        fault::point();
        tx.commit()?;
        fault::point();
        // Only now, when no record can come back, may files go. What a crash or an error leaves
        // is garbage for the next start.
        let mut list = Vec::new();
        for step in removed {
            match step {
                Step::Untagged(name) => list.push(Removed::Untagged(name)),
                Step::Deleted(garbage) => {
                    list.push(Removed::Deleted(garbage.image));
                    if let Err(error) = self.inner.discard(&mut db, &garbage, &mut list) {
                        tracing::warn!(image = %garbage.image, %error, "cannot remove files");
                    }
                }
            }
        }
        Ok(list)
    }
}

impl Inner {
    /// Removes the files of an image that is gone, where nothing else needs them.
    fn discard(
        &self,
        db: &mut Connection,
        garbage: &Garbage,
        list: &mut Vec<Removed>,
    ) -> Result<(), StoreError> {
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut collected = Collected::default();
        for chain in garbage.chains.iter().copied().map(ChainId) {
            if self.collect_layer(&tx, &chain, &mut collected)? {
                list.push(Removed::DeletedLayer(chain));
            }
        }
        for blob in &garbage.blobs {
            self.collect_blob(&tx, blob, &mut collected)?;
        }
        tx.commit()?;
        Ok(())
    }
}

/// What was done to the records.
enum Step {
    Untagged(Reference),
    Deleted(Garbage),
}

/// A deleted image, and what it referred to.
struct Garbage {
    image: ImageId,
    /// Topmost first.
    chains: Vec<Digest>,
    blobs: Vec<Digest>,
}

struct Removal<'a> {
    tx: &'a Transaction<'a>,
    usages: &'a [Usage],
    removed: Vec<Step>,
}

/// What may speak against deleting an image.
#[derive(Clone, Copy)]
struct Checks {
    stopped: bool,
    names: bool,
}

impl Removal<'_> {
    fn run(&mut self, text: &str, id: ImageId, options: RemoveOptions) -> Result<(), RemoveError> {
        let names = self.names(&id)?;
        if is_id_prefix(&id, text) {
            if is_single(&names) {
                let stopped = !options.force;
                let names = false;
                self.check(&id, Checks { stopped, names })?;
                self.untag_all(&id)?;
            }
        } else {
            let user = self.usages.iter().find(|usage| usage.image == id);
            if let Some(user) = user
                && !options.force
                && is_single(&names)
            {
                return Err(RemoveError::NameInUse {
                    name: text.to_owned(),
                    container: short(&user.container),
                    image: id.short(),
                });
            }
            let name: Reference = text.parse().map_err(FindError::from)?;
            self.untag_typed(&id, name.or_latest())?;
            if !self.names(&id)?.is_empty() {
                return Ok(());
            }
        }
        let quiet = false;
        self.delete(id, options, quiet)
    }

    /// Removes one name; with a repository's last tag its digests go.
    fn untag_typed(&mut self, id: &ImageId, name: Reference) -> Result<(), StoreError> {
        let name = match name.digest() {
            Some(digest) => name.repository().with_digest(*digest),
            None => name,
        };
        let repository = name.repository().clone();
        let by_tag = name.digest().is_none();
        self.untag(name)?;
        let rest = self.names(id)?;
        let is_here = |name: &&Reference| *name.repository() == repository;
        if by_tag && !rest.iter().filter(is_here).any(|name| name.tag().is_some()) {
            for name in rest.iter().filter(is_here) {
                self.untag(name.clone())?;
            }
        }
        Ok(())
    }

    fn untag(&mut self, name: Reference) -> Result<(), StoreError> {
        let repository = name.repository().to_string();
        if let Some(digest) = name.digest() {
            self.tx.execute(
                "DELETE FROM repo_digests WHERE repository = ? AND digest = ?",
                [repository, digest.to_string()],
            )?;
        } else if let Some(tag) = name.tag() {
            self.tx.execute(
                "DELETE FROM tags WHERE repository = ? AND tag = ?",
                [repository.as_str(), tag],
            )?;
        }
        self.removed.push(Step::Untagged(name));
        Ok(())
    }

    fn untag_all(&mut self, id: &ImageId) -> Result<(), StoreError> {
        for name in self.names(id)? {
            self.untag(name)?;
        }
        Ok(())
    }

    /// Deletes an image, and its parents as far as nobody needs them.
    fn delete(
        &mut self,
        id: ImageId,
        options: RemoveOptions,
        quiet: bool,
    ) -> Result<(), RemoveError> {
        let (stopped, names) = (!options.force, !options.force);
        match self.check(&id, Checks { stopped, names }) {
            Err(RemoveError::Conflict { .. }) if quiet => return Ok(()),
            result => result?,
        }
        let text = id.to_string();
        let parent: Option<String> =
            self.tx
                .query_row("SELECT parent FROM images WHERE id = ?", [&text], |row| {
                    row.get(0)
                })?;
        self.untag_all(&id)?;
        let chains = self.column(
            "SELECT chain FROM image_layers WHERE image = ? ORDER BY position DESC",
            &text,
        )?;
        let blobs = self.column("SELECT blob FROM image_blobs WHERE image = ?", &text)?;
        self.tx
            .execute("DELETE FROM images WHERE id = ?", [&text])?;
        self.removed.push(Step::Deleted(Garbage {
            image: id,
            chains,
            blobs,
        }));
        let parent = parent.and_then(|parent| parent.parse::<ImageId>().ok());
        match parent {
            Some(parent) if options.prune && exists(self.tx, &parent)? => {
                let force = false;
                let prune = true;
                self.delete(parent, RemoveOptions { force, prune }, true)
            }
            _ => Ok(()),
        }
    }

    fn check(&self, id: &ImageId, checks: Checks) -> Result<(), RemoveError> {
        let conflict = |forcing, reason| {
            Err(RemoveError::Conflict {
                image: id.short(),
                forcing,
                reason,
            })
        };
        if !children(self.tx, id)?.is_empty() {
            let reason = "image has dependent child images".to_owned();
            return conflict(Forcing::CannotBe, reason);
        }
        let user = |running| {
            let mut usages = self.usages.iter();
            usages.find(move |usage| usage.image == *id && usage.running == running)
        };
        if let Some(usage) = user(true) {
            let container = short(&usage.container);
            let reason = format!("image is being used by running container {container}");
            return conflict(Forcing::CannotBe, reason);
        }
        if checks.names && !self.names(id)?.is_empty() {
            let reason = "image is referenced in multiple repositories".to_owned();
            return conflict(Forcing::MustBe, reason);
        }
        if checks.stopped
            && let Some(usage) = user(false)
        {
            let container = short(&usage.container);
            let reason = format!("image is being used by stopped container {container}");
            return conflict(Forcing::MustBe, reason);
        }
        Ok(())
    }

    fn names(&self, id: &ImageId) -> Result<Vec<Reference>, StoreError> {
        let mut names = tags(self.tx, id)?;
        names.extend(digests(self.tx, id)?);
        Ok(names)
    }

    fn column(&self, query: &str, image: &str) -> Result<Vec<Digest>, StoreError> {
        let mut statement = self.tx.prepare(query)?;
        let mut rows = statement.query([image])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(crate::database::column(row, 0, "digest")?);
        }
        Ok(found)
    }
}

/// Whether the names are one tag at most, all in one repository.
fn is_single(names: &[Reference]) -> bool {
    let mut tags = names.iter().filter(|name| name.tag().is_some());
    let first = tags.next();
    if tags.next().is_some() {
        return false;
    }
    let Some(main) = first.or(names.first()) else {
        return true;
    };
    names
        .iter()
        .all(|name| name.repository() == main.repository())
}

fn is_id_prefix(id: &ImageId, text: &str) -> bool {
    id.to_string().starts_with(text) || id.digest().hex().starts_with(text)
}

fn short(container: &str) -> String {
    container.chars().take(12).collect()
}
