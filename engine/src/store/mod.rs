//! What survives: containers, their states, their VMs' processes and execs, in SQLite.
//!
//! Every write is one statement or one transaction, so a reader after a crash sees a state that
//! was. With WAL a commit does not wait for the disk: a crash of the process loses nothing, a crash
//! of the host at most the last moments, whose VMs are gone with it anyway.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension, params};

use crate::api::{ContainerState, Status};
use crate::container::Blueprint;
use crate::id::{ContainerId, ContainerName};
use crate::restart::Restarts;
use crate::time::Timestamp;
use crate::vm::process::Identity;

/// What makes each version of the schema out of the one before, the first out of nothing. The
/// version is in SQLite's own place for it.
const STEPS: [&str; 2] = [include_str!("schema.sql"), include_str!("restarts.sql")];
const VERSION: i64 = STEPS.len() as i64;

/// Why the database failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite says no.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// A record is not what this version writes.
    #[error("record of {subject} cannot be read: {source}")]
    Record {
        /// Whose.
        subject: String,
        /// Why.
        source: serde_json::Error,
    },
    /// Written by a later Hull.
    #[error("the state was written by a newer Hull (schema {found}, this one knows {VERSION})")]
    Newer {
        /// Its version.
        found: i64,
    },
    /// Every user id of the range is in use.
    #[error("all {count} user ids for VMs are in use")]
    NoUid {
        /// How many there are.
        count: u32,
    },
}

/// The database.
#[derive(Clone, Debug)]
pub(crate) struct Store(Arc<Mutex<Connection>>);

/// A container as stored.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) blueprint: Blueprint,
    pub(crate) name: ContainerName,
    pub(crate) state: ContainerState,
    pub(crate) restarts: Restarts,
    pub(crate) vm: Option<VmRow>,
}

/// The VM of a container, from the moment its user id is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VmRow {
    pub(crate) uid: u32,
    /// Once its process is known.
    pub(crate) process: Option<Identity>,
    /// Where this run's lines begin in the log.
    pub(crate) log_base: u64,
}

impl Store {
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        let found: i64 = connection.query_row("PRAGMA user_version", [], |r| r.get(0))?;
        let known = usize::try_from(found).ok().and_then(|n| STEPS.get(n..));
        for step in known.ok_or(StoreError::Newer { found })? {
            connection.execute_batch(step)?;
        }
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic elsewhere cannot leave a statement half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A random id of this data root, the same every time.
    pub(crate) fn identity(&self, fresh: &str) -> Result<String, StoreError> {
        let db = self.lock();
        db.execute(
            "INSERT OR IGNORE INTO fact (name, value) VALUES ('id', ?1)",
            [fresh],
        )?;
        Ok(db.query_row("SELECT value FROM fact WHERE name = 'id'", [], |r| r.get(0))?)
    }

    pub(crate) fn insert(
        &self,
        blueprint: &Blueprint,
        name: &ContainerName,
    ) -> Result<(), StoreError> {
        let record = record(blueprint)?;
        self.lock().execute(
            "INSERT INTO container (id, name, created, record, status) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                blueprint.id.as_str(),
                name.as_str(),
                blueprint.created.0,
                record,
                Status::Created.as_str()
            ],
        )?;
        Ok(())
    }

    /// Replaces what a container is, after an update.
    pub(crate) fn set_record(&self, blueprint: &Blueprint) -> Result<(), StoreError> {
        let sql = "UPDATE container SET record = ?2 WHERE id = ?1";
        let record = record(blueprint)?;
        self.lock()
            .execute(sql, params![blueprint.id.as_str(), record])?;
        Ok(())
    }

    pub(crate) fn rename(&self, id: &ContainerId, name: &ContainerName) -> Result<(), StoreError> {
        let sql = "UPDATE container SET name = ?2 WHERE id = ?1";
        self.lock()
            .execute(sql, params![id.as_str(), name.as_str()])?;
        Ok(())
    }

    pub(crate) fn set_state(
        &self,
        id: &ContainerId,
        state: &ContainerState,
        restarts: &Restarts,
    ) -> Result<(), StoreError> {
        self.lock().execute(
            "UPDATE container SET status = ?2, exit_code = ?3, error = ?4, oom_killed = ?5, \
             started = ?6, finished = ?7, restarts = ?8, by_hand = ?9 WHERE id = ?1",
            params![
                id.as_str(),
                state.status.as_str(),
                state.exit_code,
                state.error,
                state.oom_killed,
                state.started_at.map(|t| t.0),
                state.finished_at.map(|t| t.0),
                restarts.count,
                restarts.by_hand,
            ],
        )?;
        Ok(())
    }

    pub(crate) fn delete(&self, id: &ContainerId) -> Result<(), StoreError> {
        self.lock()
            .execute("DELETE FROM container WHERE id = ?1", [id.as_str()])?;
        Ok(())
    }

    /// Takes the lowest user id that no VM has.
    pub(crate) fn take_uid(
        &self,
        id: &ContainerId,
        first: u32,
        count: u32,
        log_base: u64,
    ) -> Result<u32, StoreError> {
        let mut db = self.lock();
        let tx = db.transaction()?;
        let taken: Vec<u32> = {
            let mut query = tx.prepare("SELECT uid FROM vm ORDER BY uid")?;
            let rows = query.query_map([], |r| r.get(0))?;
            rows.collect::<Result<_, _>>()?
        };
        let last = first.saturating_add(count);
        let free = (first..last).find(|uid| taken.binary_search(uid).is_err());
        let uid = free.ok_or(StoreError::NoUid { count })?;
        tx.execute(
            "INSERT INTO vm (container, uid, log_base) VALUES (?1, ?2, ?3)",
            params![id.as_str(), uid, log_base as i64],
        )?;
        tx.commit()?;
        Ok(uid)
    }

    pub(crate) fn set_process(
        &self,
        id: &ContainerId,
        process: &Identity,
    ) -> Result<(), StoreError> {
        self.lock().execute(
            "UPDATE vm SET pid = ?2, start_ticks = ?3, boot = ?4 WHERE container = ?1",
            params![
                id.as_str(),
                process.pid,
                process.start_ticks as i64,
                process.boot
            ],
        )?;
        Ok(())
    }

    pub(crate) fn forget_vm(&self, id: &ContainerId) -> Result<(), StoreError> {
        let mut db = self.lock();
        let tx = db.transaction()?;
        tx.execute("DELETE FROM vm WHERE container = ?1", [id.as_str()])?;
        tx.execute("DELETE FROM exec WHERE container = ?1", [id.as_str()])?;
        tx.commit()?;
        Ok(())
    }

    /// Remembers that an exec runs, so that the next engine reads its output away.
    pub(crate) fn insert_exec(&self, id: &ContainerId, exec: &str) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO exec (id, container) VALUES (?1, ?2)";
        self.lock().execute(sql, params![exec, id.as_str()])?;
        Ok(())
    }

    pub(crate) fn delete_exec(&self, exec: &str) -> Result<(), StoreError> {
        self.lock()
            .execute("DELETE FROM exec WHERE id = ?1", [exec])?;
        Ok(())
    }

    /// Notes how far an exec's output has been read.
    pub(crate) fn set_read(&self, exec: &str, offset: u64) -> Result<(), StoreError> {
        let sql = "UPDATE exec SET read = ?2 WHERE id = ?1";
        self.lock().execute(sql, params![exec, offset as i64])?;
        Ok(())
    }

    /// Execs that ran, and how far their output has been read.
    pub(crate) fn execs(&self, id: &ContainerId) -> Result<Vec<(String, u64)>, StoreError> {
        let db = self.lock();
        let mut query = db.prepare("SELECT id, read FROM exec WHERE container = ?1")?;
        let rows = query.query_map([id.as_str()], |r| {
            Ok((r.get(0)?, r.get::<_, i64>(1)? as u64))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Every container.
    pub(crate) fn load(&self) -> Result<Vec<Row>, StoreError> {
        let db = self.lock();
        let mut query = db.prepare(
            "SELECT record, name, status, exit_code, error, oom_killed, started, finished, \
             uid, pid, start_ticks, boot, log_base, restarts, by_hand FROM container LEFT JOIN vm ON container = id ORDER BY created",
        )?;
        let mut rows = query.query([])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push(read_row(row)?);
        }
        Ok(all)
    }

    /// Whether a container of this id is stored.
    pub(crate) fn has(&self, id: &str) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM container WHERE id = ?1";
        Ok(self
            .lock()
            .query_row(sql, [id], |_| Ok(()))
            .optional()?
            .is_some())
    }
}

fn record(blueprint: &Blueprint) -> Result<String, StoreError> {
    serde_json::to_string(blueprint).map_err(|source| StoreError::Record {
        subject: blueprint.id.to_string(),
        source,
    })
}

fn read_row(row: &rusqlite::Row<'_>) -> Result<Row, StoreError> {
    let (record, name, status): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let quoted = |s: &str| serde_json::Value::String(s.to_owned());
    let unreadable = |source| StoreError::Record {
        subject: name.clone(),
        source,
    };
    let blueprint: Blueprint = serde_json::from_str(&record).map_err(unreadable)?;
    let status: Status = serde_json::from_value(quoted(&status)).map_err(unreadable)?;
    let pid: Option<u32> = row.get(9)?;
    let process = match pid {
        Some(pid) => Some(Identity {
            pid,
            start_ticks: row.get::<_, i64>(10)? as u64,
            boot: row.get(11)?,
        }),
        None => None,
    };
    let log_base = row.get::<_, Option<i64>>(12)?.unwrap_or_default() as u64;
    let vm = row.get::<_, Option<u32>>(8)?.map(|uid| VmRow {
        uid,
        process,
        log_base,
    });
    Ok(Row {
        blueprint,
        name: serde_json::from_value(quoted(&name)).map_err(unreadable)?,
        state: ContainerState {
            status,
            pid: pid.unwrap_or(0),
            exit_code: row.get(3)?,
            error: row.get(4)?,
            oom_killed: row.get(5)?,
            started_at: row.get::<_, Option<i64>>(6)?.map(Timestamp),
            finished_at: row.get::<_, Option<i64>>(7)?.map(Timestamp),
            health: None,
        },
        restarts: Restarts::stored(row.get(13)?, row.get(14)?),
        vm,
    })
}
