//! Archives that the daemon sends, into a file or to stdout.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use crate::api::Chunks;
use crate::failure::Failure;
use crate::spec::system_reason;
use crate::terminal::stdout_is_terminal;

/// Where an archive goes.
pub(crate) struct Output<'a> {
    path: Option<&'a Path>,
    /// How an error about the file begins.
    failure: &'static str,
}

impl<'a> Output<'a> {
    /// Refuses a terminal, and what cannot be a file, before anything is asked of the daemon.
    pub(crate) fn check(path: Option<&'a Path>, failure: &'static str) -> Result<Self, Failure> {
        match path {
            None if stdout_is_terminal() => {
                return Err(Failure::new(
                    "cowardly refusing to save to a terminal. Use the -o flag or redirect",
                ));
            }
            None => {}
            Some(path) => {
                check(path).map_err(|why| Failure::new(format!("{failure}: {why}")))?;
            }
        }
        Ok(Output { path, failure })
    }

    /// Takes the archive in.
    pub(crate) async fn write(&self, chunks: Chunks) -> Result<(), Failure> {
        match self.path {
            None => copy(chunks, &mut io::stdout().lock()).await.map(drop),
            Some(path) => aside(chunks, path, self.failure).await,
        }
    }
}

/// Says why nothing can be written to `path`, before anything is asked of the daemon.
fn check(path: &Path) -> Result<(), String> {
    let reason = |path: &Path, error: &io::Error| {
        let reason = system_reason(error);
        format!("invalid output path: stat {}: {reason}", path.display())
    };
    let parent = path.parent().filter(|parent| *parent != "");
    if let Some(parent) = parent {
        fs::metadata(parent).map_err(|error| reason(parent, &error))?;
    }
    let kind = match fs::metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(reason(path, &error)),
    };
    let got = if kind.is_file() {
        return Ok(());
    } else if kind.is_char_device() || kind.is_block_device() {
        "got a device"
    } else if kind.is_dir() {
        "got a directory"
    } else {
        "got an irregular file"
    };
    let path = path.display();
    Err(format!(
        "invalid output path: \"{path}\" must be a directory or a regular file: {got}"
    ))
}

/// Writes beside `path` and renames: whoever finds the archive finds a whole one.
async fn aside(chunks: Chunks, path: &Path, failure: &str) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        let reason = system_reason(&error);
        Failure::new(format!("{failure}: write {}: {reason}", path.display()))
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".tmp-{name}-{}", std::process::id()));
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .map_err(failed)?;
    let written = match copy(chunks, &mut file).await {
        Ok(_) => file
            .sync_all()
            .and_then(|()| fs::rename(&beside, path))
            .map_err(failed),
        Err(failure) => Err(failure),
    };
    if written.is_err() {
        // What went wrong before is what is told.
        drop(fs::remove_file(&beside));
    }
    written
}

/// Copies all of it; says how many bytes that were.
pub(crate) async fn copy(mut chunks: Chunks, out: &mut impl Write) -> Result<u64, Failure> {
    let mut total = 0;
    while let Some(chunk) = chunks.next().await? {
        out.write_all(&chunk)?;
        total += chunk.len() as u64;
    }
    out.flush()?;
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_an_archive_is_refused_first() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(check(&folder.path().join("new.tar")), Ok(()));
        assert_eq!(check(Path::new("new.tar")), Ok(()));
        assert_eq!(
            check(Path::new("/nodir/x")),
            Err("invalid output path: stat /nodir: no such file or directory".into())
        );
        assert_eq!(
            check(Path::new("/dev/null")),
            Err(
                "invalid output path: \"/dev/null\" must be a directory or a regular file: got a device"
                    .into()
            )
        );
        assert!(
            check(folder.path())
                .unwrap_err()
                .ends_with("got a directory")
        );
    }
}
