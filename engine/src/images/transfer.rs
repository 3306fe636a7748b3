//! Images in and out as archives, streamed: the store's own thread reads or writes while the
//! caller's task sends or receives.

use std::io::{self, Read, Write};

use bytes::{Bytes, BytesMut};
use hull_images::remote::fetch;
use hull_images::{Import, Loaded, Platform, Progress};
use tokio::io::AsyncRead;
use tokio::sync::mpsc;
use tokio_util::io::SyncIoBridge;

use super::failure::{fetch_failed, import_failed, load_failed, save_failed};
use super::{Images, ImportOptions, parse};
use crate::error::{EngineError, ErrorKind};

/// Pieces of an archive are this long, and so many of them may wait to be sent.
const PIECE: usize = 256 << 10;
const WAITING: usize = 4;

/// An archive as it is written. It ends with an error if it is not whole.
pub type Archive = mpsc::Receiver<io::Result<Bytes>>;

/// What `load` is told beside the archive.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// Only the images for this one.
    pub platform: Option<Platform>,
    /// Say nothing of layers.
    pub quiet: bool,
}

/// How loading goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadStep {
    /// So much of a layer's bytes has been unpacked.
    Layer {
        /// As lists show it: 12 digits.
        layer: String,
        done: u64,
        total: u64,
    },
    /// A line such as `Loaded image: busybox:latest`.
    Line(String),
}

/// How an import from elsewhere goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportStep {
    /// The archive begins to come from there.
    Begun(String),
    /// So many bytes have come; a total of 0 is not known.
    Coming { done: u64, total: u64 },
    /// The image that was made.
    Made(String),
}

impl Images {
    /// Loads what `save` writes: an archive of images, compressed or not.
    ///
    /// # Errors
    /// The archive is damaged or hostile, or there is no space.
    pub async fn load(
        &self,
        archive: impl AsyncRead + Send + Unpin + 'static,
        options: LoadOptions,
        progress: mpsc::Sender<LoadStep>,
    ) -> Result<(), EngineError> {
        let archive = SyncIoBridge::new(archive);
        let LoadOptions { platform, quiet } = options;
        let teller = progress.clone();
        let load = self.blocking(move |store| {
            let mut watcher = |progress| {
                if !quiet {
                    tell(&teller, progress);
                }
            };
            store
                .load_for(platform.as_ref(), archive, &mut watcher)
                .map_err(load_failed)
        });
        for loaded in load.await? {
            self.tell("load", &loaded.image.to_string(), loaded.name.as_ref());
            for line in lines(&loaded) {
                if progress.send(LoadStep::Line(line)).await.is_err() {
                    // Nobody wants to know; it is loaded all the same.
                    break;
                }
            }
        }
        Ok(())
    }

    /// An archive of images, as `load` reads it. What is wrong with the names is said at once.
    ///
    /// # Errors
    /// There is no such image, or not for the platform.
    pub async fn save(
        &self,
        names: Vec<String>,
        platform: Option<Platform>,
    ) -> Result<Archive, EngineError> {
        let packed = self.blocking(move |store| {
            let saving = store.pack(&names, platform.as_ref());
            saving.map_err(save_failed)
        });
        let saving = packed.await?;
        for image in saving.images() {
            self.tell("save", &image.to_string(), None);
        }
        let (sender, receiver) = mpsc::channel(WAITING);
        tokio::task::spawn_blocking(move || {
            let mut pipe = Pipe {
                sender,
                piece: BytesMut::new(),
            };
            let Err(error) = saving.write(&mut pipe) else {
                return;
            };
            if pipe.sender.is_closed() {
                return;
            }
            tracing::warn!(%error, "an archive breaks off");
            // Whoever reads has gone away in the meantime, or learns that this is not all.
            let _ = pipe.sender.blocking_send(Err(io::Error::other(error)));
        });
        Ok(receiver)
    }

    /// The same of an archive that is somewhere else. Tells how much of it has come.
    ///
    /// # Errors
    /// It does not come, or as of an import.
    pub async fn import_from(
        &self,
        url: String,
        mut options: ImportOptions,
        progress: mpsc::Sender<ImportStep>,
    ) -> Result<(), EngineError> {
        if options.message.is_empty() {
            options.message = format!("Imported from {url}");
        }
        let import = options.resolve()?;
        let name = import.name.clone();
        let teller = progress.clone();
        let made = self.blocking(move |store| {
            let fetched = fetch(&url).map_err(|e| fetch_failed(&e))?;
            // Whoever has left still gets the image.
            let _ = teller.blocking_send(ImportStep::Begun(url));
            let told = Told {
                inner: fetched.reader,
                total: fetched.length.unwrap_or_default(),
                done: 0,
                last: 0,
                progress: teller,
            };
            store.import(told, &import).map_err(import_failed)
        });
        let id = made.await?.to_string();
        self.tell("import", &id, name.as_ref());
        let _ = progress.send(ImportStep::Made(id)).await;
        Ok(())
    }

    /// Makes an image of one layer from a tar of a root filesystem; gives its id.
    ///
    /// # Errors
    /// The archive is damaged or hostile, or there is no space.
    pub async fn import(
        &self,
        archive: impl AsyncRead + Send + Unpin + 'static,
        options: ImportOptions,
    ) -> Result<String, EngineError> {
        let import = options.resolve()?;
        let name = import.name.clone();
        let archive = SyncIoBridge::new(archive);
        let made =
            self.blocking(move |store| store.import(archive, &import).map_err(import_failed));
        let id = made.await?.to_string();
        self.tell("import", &id, name.as_ref());
        Ok(id)
    }
}

impl ImportOptions {
    fn resolve(self) -> Result<Import, EngineError> {
        let name = match self.reference.as_str() {
            "" => None,
            text => Some(parse(text)?.or_latest()),
        };
        let platform: Option<Result<Platform, _>> = match self.platform.as_str() {
            "" => None,
            text => Some(text.parse()),
        };
        let platform = platform.transpose();
        Ok(Import {
            name,
            message: Some(self.message).filter(|m| !m.is_empty()),
            changes: self.changes,
            platform: platform
                .map_err(|e| EngineError::Image(e.to_string(), ErrorKind::InvalidParameter))?,
        })
    }
}

/// Tells how far a layer is. Nobody has to see every step, but everybody its last one.
fn tell(steps: &mpsc::Sender<LoadStep>, progress: Progress) {
    let step = LoadStep::Layer {
        layer: progress.layer.0.short(),
        done: progress.done,
        total: progress.total,
    };
    // Nobody may be listening.
    let _ = match progress.done == progress.total {
        true => steps.blocking_send(step).is_ok(),
        false => steps.try_send(step).is_ok(),
    };
}

fn lines(loaded: &Loaded) -> Vec<String> {
    let Some(name) = &loaded.name else {
        return vec![format!("Loaded image ID: {}", loaded.image)];
    };
    let name = name.familiar();
    let replaced = loaded.replaced.as_ref().map(|old| {
        format!(
            "The image {name} already exists, renaming the old one with ID {old} to empty string"
        )
    });
    replaced
        .into_iter()
        .chain([format!("Loaded image: {name}")])
        .collect()
}

/// Tells each time that many more bytes have come.
const STEP: u64 = 512 << 10;

/// A download that tells how far it is.
struct Told {
    inner: Box<dyn Read + Send>,
    total: u64,
    done: u64,
    last: u64,
    progress: mpsc::Sender<ImportStep>,
}

impl Read for Told {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.done += count as u64;
        if self.done - self.last >= STEP || (count == 0 && self.last < self.done) {
            self.last = self.done;
            let (done, total) = (self.done, self.total);
            // Nobody has to see every step.
            let _ = self.progress.try_send(ImportStep::Coming { done, total });
        }
        Ok(count)
    }
}

/// The writing end of an archive that goes out in pieces.
struct Pipe {
    sender: mpsc::Sender<io::Result<Bytes>>,
    piece: BytesMut,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = self.piece.split().freeze();
        self.sender
            .blocking_send(Ok(piece))
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
