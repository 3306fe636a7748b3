//! Collects what nothing refers to. The rule is `database`'s; why it is safe beside running
//! operations is told in `lease`.

use std::fs;
use std::io;
use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use crate::digest::{ChainId, Digest};
use crate::error::StoreError;
use crate::fault;
use crate::layout::Layout;
use crate::lease::remove_dead;
use crate::store::Inner;

const NO_PIN: &str = "NOT EXISTS (SELECT 1 FROM pins WHERE digest = ?1)";
const NO_REPOSITORY: &str = "NOT EXISTS (SELECT 1 FROM registry_blobs WHERE blob = ?1)
    AND NOT EXISTS (SELECT 1 FROM registry_manifests WHERE blob = ?1)";

/// What was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Collected {
    pub blobs: u64,
    pub layers: u64,
    pub leases: u64,
    /// Bytes of disk given back.
    pub bytes: u64,
}

impl Inner {
    /// Removes every dead lease, and every file that nothing refers to.
    pub(crate) fn collect(&self) -> Result<Collected, StoreError> {
        let mut db = self.database();
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut collected = Collected::default();
        let mut live = Vec::new();
        for name in names(&self.layout.tmp())? {
            match remove_dead(&self.layout.lease(&name))? {
                true => collected.leases += 1,
                false => live.push(name),
            }
        }
        let pinned: Vec<String> = tx
            .prepare("SELECT DISTINCT lease FROM pins")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for lease in pinned.iter().filter(|lease| !live.contains(lease)) {
            tx.execute("DELETE FROM pins WHERE lease = ?", [lease])?;
        }
        for name in names(&self.layout.blobs())? {
            if let Some(digest) = Layout::blob_of(&name) {
                self.collect_blob(&tx, &digest, &mut collected)?;
            }
        }
        for name in names(&self.layout.layers())? {
            if let Some(chain) = Layout::layer_of(&name) {
                self.collect_layer(&tx, &chain, &mut collected)?;
            }
        }
        tx.commit()?;
        Ok(collected)
    }

    /// Ends a lease: what it pinned and no image took is removed.
    pub(crate) fn end_lease(&self, name: &str, folder: &Path) -> Result<(), StoreError> {
        let mut db = self.database();
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let pins: Vec<String> = tx
            .prepare("SELECT digest FROM pins WHERE lease = ?")?
            .query_map([name], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        tx.execute("DELETE FROM pins WHERE lease = ?", [name])?;
        let mut collected = Collected::default();
        for digest in pins.iter().filter_map(|text| text.parse::<Digest>().ok()) {
            self.collect_blob(&tx, &digest, &mut collected)?;
            self.collect_layer(&tx, &ChainId(digest), &mut collected)?;
        }
        tx.commit()?;
        drop(db);
        fault::point();
        fs::remove_dir_all(folder).map_err(StoreError::file("remove", folder))
    }

    /// Removes a blob that nothing refers to.
    pub(crate) fn collect_blob(
        &self,
        tx: &Transaction<'_>,
        digest: &Digest,
        collected: &mut Collected,
    ) -> Result<(), StoreError> {
        let text = digest.to_string();
        let mut free = tx.prepare_cached(&format!("SELECT {NO_PIN}"))?;
        if is_recorded(tx, digest)? || !free.query_row([&text], |row| row.get::<_, bool>(0))? {
            return Ok(());
        }
        tx.execute("DELETE FROM blob_diffs WHERE blob = ?", [&text])?;
        self.forget_bytes(tx, &text)?;
        if let Some(bytes) = unlink(&self.layout.blob(digest))? {
            collected.blobs += 1;
            collected.bytes += bytes;
        }
        Ok(())
    }

    /// Removes a layer that nothing refers to. Says whether it was there.
    pub(crate) fn collect_layer(
        &self,
        tx: &Transaction<'_>,
        chain: &ChainId,
        collected: &mut Collected,
    ) -> Result<bool, StoreError> {
        let text = chain.to_string();
        let query =
            format!("SELECT NOT EXISTS (SELECT 1 FROM image_layers WHERE chain = ?1) AND {NO_PIN}");
        if !tx.query_row(&query, [&text], |row| row.get::<_, bool>(0))? {
            return Ok(false);
        }
        tx.execute("DELETE FROM layers WHERE chain = ?", params![text])?;
        let Some(bytes) = unlink(&self.layout.layer(chain))? else {
            return Ok(false);
        };
        collected.layers += 1;
        collected.bytes += bytes;
        Ok(true)
    }
}

/// Whether a record refers to a blob: then its file is durable, or its bytes are recorded.
pub(crate) fn is_recorded(db: &Connection, digest: &Digest) -> Result<bool, StoreError> {
    let query = format!(
        "SELECT NOT (NOT EXISTS (SELECT 1 FROM image_blobs WHERE blob = ?1) AND {NO_REPOSITORY})"
    );
    let mut statement = db.prepare_cached(&query)?;
    Ok(statement.query_row([digest.to_string()], |row| row.get(0))?)
}

/// Removes a file and says how much disk it took; `None` if it was not there.
fn unlink(path: &Path) -> Result<Option<u64>, StoreError> {
    use std::os::unix::fs::MetadataExt;

    let size = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.blocks() * 512,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::file("inspect", path)(error)),
    };
    fs::remove_file(path).map_err(StoreError::file("remove", path))?;
    fault::point();
    Ok(Some(size))
}

fn names(folder: &Path) -> Result<Vec<String>, StoreError> {
    let entries = fs::read_dir(folder).map_err(StoreError::file("list", folder))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(StoreError::file("list", folder))?;
        names.extend(entry.file_name().into_string());
    }
    Ok(names)
}
