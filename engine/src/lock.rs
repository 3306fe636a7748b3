//! One data root, one engine.

use std::fs::File;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::error::EngineError;

/// Holds a data root while it lives.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Takes the lock, or says that another engine has it.
pub(crate) fn take(path: &Path) -> Result<Lock, EngineError> {
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
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Lock { _file: file }),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(EngineError::InUse(path.to_owned())),
        Err(e) => Err(failed(e.into())),
    }
}
