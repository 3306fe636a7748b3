//! What survives: containers and their states, in SQLite.

/// Why the database failed.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct StoreError(#[from] rusqlite::Error);
