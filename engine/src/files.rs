//! The calls about a container's files: archives out and in, and what it has changed.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use hull_protocol::agent::ErrorKind as AgentErrorKind;
pub use hull_protocol::files::{Change, ChangeKind, PathStat};
use hull_protocol::files::{Open, Replace};
use tokio::io::AsyncRead;
use tokio::sync::mpsc;
use tokio_util::io::SyncIoBridge;

use crate::agent::{AgentFailure, FilesStream};
use crate::api::CopyOptions;
use crate::container::Container;
use crate::container::attic::{Access, enter};
use crate::context::Context;
use crate::error::EngineError;

/// As many as `diff` lists: each is held in memory.
const MAX_CHANGES: usize = 1 << 20;
/// Pieces of an archive on its way in: how long, and how many wait for the guest.
const PIECE: usize = 64 << 10;
const PIECES: usize = 4;

/// A tar that a guest makes: hostile, and of any length.
#[derive(Debug)]
pub struct FileArchive {
    stream: FilesStream,
    name: Named,
    /// Keeps the VM.
    _access: Access,
}

impl FileArchive {
    /// The next bytes; `None` at the end of a whole archive.
    ///
    /// # Errors
    /// The guest could not go on, or is gone: what came is not all.
    pub async fn next(&mut self) -> Result<Option<Bytes>, EngineError> {
        let next = self.stream.next().await;
        next.map_err(|e| self.name.failed(e))
    }
}

/// What an error names.
#[derive(Clone, Debug)]
struct Named {
    who: String,
    path: String,
}

impl Named {
    fn failed(&self, failure: AgentFailure) -> EngineError {
        let AgentFailure::Refused(error) = &failure else {
            return failure.into();
        };
        match error.kind {
            AgentErrorKind::NoSuchPath => EngineError::NoSuchFile {
                path: self.path.clone(),
                who: self.who.clone(),
            },
            AgentErrorKind::WrongKind | AgentErrorKind::BadArchive => {
                EngineError::Invalid(failure.to_string())
            }
            _ => failure.into(),
        }
    }
}

/// One container's files.
pub(crate) struct Files {
    context: Arc<Context>,
    container: Arc<Container>,
    who: String,
}

impl Files {
    pub(crate) fn new(context: &Arc<Context>, container: Arc<Container>, who: &str) -> Self {
        Self {
            context: context.clone(),
            container,
            who: who.to_owned(),
        }
    }

    pub(crate) async fn stat(&self, path: &str) -> Result<PathStat, EngineError> {
        let open = Open::Stat { path: path.into() };
        let (_, stat) = self.open(&open, path).await?;
        stat.ok_or_else(|| AgentFailure::Unexpected.into())
    }

    pub(crate) async fn read(&self, path: &str) -> Result<(FileArchive, PathStat), EngineError> {
        let open = Open::Read { path: path.into() };
        let (archive, stat) = self.open(&open, path).await?;
        match stat {
            Some(stat) => Ok((archive, stat)),
            None => Err(AgentFailure::Unexpected.into()),
        }
    }

    pub(crate) async fn write(
        &self,
        path: &str,
        options: CopyOptions,
        archive: impl AsyncRead + Send + Unpin + 'static,
    ) -> Result<(), EngineError> {
        if self.container.blueprint().host_config.readonly_rootfs {
            return Err(EngineError::ReadOnlyRoot);
        }
        let user = Some(self.container.blueprint().config.user.clone());
        let open = Open::Write {
            path: path.into(),
            replace: match options.keep_kinds {
                true => Replace::LikeWithLike,
                false => Replace::Anything,
            },
            owner: user.filter(|user| options.to_user && !user.is_empty()),
        };
        let (mut into, _) = self.open(&open, path).await?;
        let (sender, mut pieces) = mpsc::channel(PIECES);
        let reader = SyncIoBridge::new(archive);
        // Reads to the end of the archive also where nobody unpacks it any more: whoever sends it
        // listens only then.
        tokio::task::spawn_blocking(move || unpacked(reader, &sender));
        while let Some(piece) = pieces.recv().await {
            let piece = piece.map_err(|e| EngineError::Invalid(e.to_string()))?;
            let sent = into.stream.send(&piece).await;
            sent.map_err(|e| into.name.failed(e))?;
        }
        let finished = into.stream.finish().await;
        finished.map_err(|e| into.name.failed(e))
    }

    pub(crate) async fn export(&self) -> Result<FileArchive, EngineError> {
        Ok(self.open(&Open::Export, "/").await?.0)
    }

    pub(crate) async fn layer(&self, freeze: bool) -> Result<FileArchive, EngineError> {
        Ok(self.open(&Open::Layer { freeze }, "/").await?.0)
    }

    pub(crate) async fn changes(&self) -> Result<Vec<Change>, EngineError> {
        let (mut archive, _) = self.open(&Open::Changes, "/").await?;
        let mut changes = Vec::new();
        let mut waiting = Vec::new();
        while let Some(bytes) = archive.next().await? {
            waiting.extend_from_slice(&bytes);
            let mut rest = &waiting[..];
            while let Some((change, after)) =
                Change::decode(rest).map_err(|_| AgentFailure::Unexpected)?
            {
                if changes.len() == MAX_CHANGES {
                    return Err(EngineError::Invalid(format!(
                        "container {} has changed more than {MAX_CHANGES} files",
                        self.who
                    )));
                }
                changes.push(change);
                rest = after;
            }
            let used = waiting.len() - rest.len();
            waiting.drain(..used);
        }
        match waiting.is_empty() {
            true => Ok(changes),
            false => Err(AgentFailure::Unexpected.into()),
        }
    }

    async fn open(
        &self,
        open: &Open,
        path: &str,
    ) -> Result<(FileArchive, Option<PathStat>), EngineError> {
        let name = Named {
            who: self.who.clone(),
            path: path.to_owned(),
        };
        let access = enter(&self.context, &self.container).await?;
        let opened = FilesStream::open(access.agent.socket(), open).await;
        let (stream, stat) = opened.map_err(|e| name.failed(e))?;
        let archive = FileArchive {
            stream,
            name,
            _access: access,
        };
        Ok((archive, stat))
    }
}

/// Sends what an archive holds when it is not compressed.
fn unpacked(reader: impl Read, sender: &mpsc::Sender<io::Result<Bytes>>) {
    let mut reader = reader;
    let pieces = |reader: &mut dyn Read| -> io::Result<()> {
        let mut plain = hull_images::decompress(reader)?;
        loop {
            let mut piece = BytesMut::zeroed(PIECE);
            let count = plain.read(&mut piece)?;
            piece.truncate(count);
            // A guest that has gone takes no more.
            if count == 0 || sender.blocking_send(Ok(piece.freeze())).is_err() {
                return Ok(());
            }
        }
    };
    if let Err(error) = pieces(&mut reader) {
        // As above.
        let _ = sender.blocking_send(Err(error));
    }
    // What is left of an archive that was refused; its sender may have gone.
    let _ = io::copy(&mut reader, &mut io::sink());
}
