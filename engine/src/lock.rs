//! One data root, one engine.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use crate::error::EngineError;

/// Holds a data root while it lives.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// How long the engine before may take to let go: it ends, or has a child that is about to exec.
const PATIENCE: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(20);

/// Takes the lock, or says that another engine has it.
pub(crate) async fn take(path: &Path) -> Result<Lock, EngineError> {
    let failed = |source| EngineError::File {
        path: path.to_owned(),
        source,
    };
    let open = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path);
    let file = open.map_err(failed)?;
    let started = tokio::time::Instant::now();
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Lock { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) if started.elapsed() < PATIENCE => {
                tokio::time::sleep(POLL).await;
            }
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(EngineError::InUse(path.to_owned())),
            Err(e) => return Err(failed(e.into())),
        }
    }
}
