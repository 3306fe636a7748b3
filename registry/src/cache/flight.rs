//! Blobs on their way from the upstream into the store: one download each, however many ask.
//!
//! ```text
//!  first asker ──► Asking ──► Coming(file) ──► stored, and forgotten here
//!  others ────────────┴───────────┴──► wait, or follow the file
//! ```
//!
//! A download belongs to nobody who asked: clients may come and go. What breaks off or is not what
//! its digest says is thrown away.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hull_images::Digest;
use hull_images::remote::Upstream;
use hull_images::repositories::{
    ContentDigest, Origin, Repositories, RepositoryError, RepositoryName, Upload,
};
use tokio::sync::{Semaphore, watch};

use super::failure::Failure;
use super::follow::{Coming, Progress};
use crate::refusal::{Code, Refusal};

/// Downloads at once; more wait.
const PLACES: usize = 32;
/// Up to this size a blob is waited for, so that a failure has a status.
const SMALL: u64 = 64 << 10;

type Key = (RepositoryName, Digest);

/// How far a flight is, for who asks.
#[derive(Debug, Clone)]
enum Stage {
    Asking,
    Coming(Arc<Coming>),
    Here,
    Failed(Refusal),
}

/// What became of a blob that was not there.
#[derive(Debug)]
pub(super) enum Landed {
    Here,
    Coming(Arc<Coming>),
}

/// The downloads that are at work. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Flights(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    upstream: Arc<Upstream>,
    repositories: Repositories,
    at_work: Mutex<HashMap<Key, watch::Receiver<Stage>>>,
    places: Semaphore,
}

impl Flights {
    pub(super) fn new(upstream: Arc<Upstream>, repositories: Repositories) -> Flights {
        Flights(Arc::new(Inner {
            upstream,
            repositories,
            at_work: Mutex::default(),
            places: Semaphore::new(PLACES),
        }))
    }

    /// Sees to it that a blob comes.
    pub(super) async fn join(
        &self,
        name: RepositoryName,
        digest: Digest,
    ) -> Result<Landed, Refusal> {
        let mut stage = self.stage((name, digest));
        let known = stage.wait_for(|stage| !matches!(stage, Stage::Asking));
        match known.await.as_deref() {
            Ok(Stage::Coming(coming)) => Ok(Landed::Coming(coming.clone())),
            Ok(Stage::Here) => Ok(Landed::Here),
            Ok(Stage::Failed(refusal)) => Err(refusal.clone()),
            // Nobody waits for who only asks; and a flight that crashed has said so in the log.
            Ok(Stage::Asking) | Err(_) => Err(Refusal::new(Code::Unknown)),
        }
    }

    /// The flight of a blob, which begins if there is none.
    fn stage(&self, key: Key) -> watch::Receiver<Stage> {
        let mut at_work = self.0.lock();
        if let Some(stage) = at_work.get(&key) {
            return stage.clone();
        }
        let (tell, stage) = watch::channel(Stage::Asking);
        at_work.insert(key.clone(), stage.clone());
        let inner = self.0.clone();
        tokio::spawn(inner.fly(key, tell));
        stage
    }
}

impl Inner {
    async fn fly(self: Arc<Self>, key: Key, tell: watch::Sender<Stage>) {
        // The semaphore is never closed.
        let _place = self.places.acquire().await;
        let tell = Arc::new(tell);
        let (inner, at, teller) = (self.clone(), key.clone(), tell.clone());
        let work = move || inner.fetch(&at, &teller);
        let outcome = match tokio::task::spawn_blocking(work).await {
            Ok(outcome) => outcome,
            Err(error) => Err(crate::refusal::internal(&error).into()),
        };
        // Whoever asks from now on looks into the store, and begins anew if it is not there.
        self.lock().remove(&key);
        tell.send_replace(match outcome {
            Ok(()) => Stage::Here,
            Err(failure) => {
                let (name, digest) = &key;
                tracing::warn!(%name, %digest, error = %failure, "a blob did not come from the upstream");
                Stage::Failed(failure.refusal(Code::BlobUnknown))
            }
        });
    }

    fn fetch(&self, (name, digest): &Key, tell: &watch::Sender<Stage>) -> Result<(), Failure> {
        let called = ContentDigest::from(*digest);
        match self.repositories.blob(name, &called) {
            // It came after the client had looked.
            Ok(_) => return Ok(()),
            Err(RepositoryError::NoBlob(_)) => {}
            Err(error) => return Err(error.into()),
        }
        if self.repositories.origin(name)? == Origin::Pushed {
            return Err(Refusal::new(Code::BlobUnknown).into());
        }
        if self.mount(name, digest)? {
            return Ok(());
        }
        let begin = |size| {
            self.copy(name)?;
            let upload = self.repositories.begin_upload(name)?;
            let (progress, watch) = watch::channel(Progress::Coming(0));
            let mut taking = Taking {
                repositories: &self.repositories,
                upload: Some(upload),
                progress,
            };
            if size > SMALL {
                tell.send_replace(Stage::Coming(Arc::new(Coming {
                    file: taking.reader()?,
                    size,
                    progress: watch,
                })));
            }
            Ok::<_, Failure>(taking)
        };
        let taken = self
            .upstream
            .blob(name.as_str(), digest, begin, Taking::append)?;
        // Whoever deleted the repository meanwhile gets it again, as a copy.
        self.copy(name)?;
        taken.commit(name, called)
    }

    /// Takes a blob that another repository has, if the upstream has it in this one too.
    fn mount(&self, name: &RepositoryName, digest: &Digest) -> Result<bool, Failure> {
        let called = ContentDigest::from(*digest);
        let holders = self.repositories.holders(&called)?;
        if holders.is_empty() || self.upstream.blob_size(name.as_str(), digest).is_err() {
            // Whatever is wrong, the download will say.
            return Ok(false);
        }
        self.copy(name)?;
        for from in holders {
            match self.repositories.mount(&from, name, &called, None) {
                Ok(_) => return Ok(true),
                Err(RepositoryError::NoBlob(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(false)
    }

    fn copy(&self, name: &RepositoryName) -> Result<(), Failure> {
        match self.repositories.copy_from(name, self.upstream.address())? {
            true => Ok(()),
            false => Err(Refusal::new(Code::BlobUnknown).into()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, watch::Receiver<Stage>>> {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A download in the store's hands. Dropped before its end, it leaves nothing.
struct Taking<'a> {
    repositories: &'a Repositories,
    upload: Option<Upload>,
    progress: watch::Sender<Progress>,
}

impl Taking<'_> {
    fn append(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if let Some(upload) = &mut self.upload {
            upload.append(bytes).map_err(RepositoryError::from)?;
            self.progress.send_replace(Progress::Coming(upload.size()));
        }
        Ok(())
    }

    fn reader(&mut self) -> Result<std::fs::File, Failure> {
        let upload = self.upload.as_mut();
        let reader = upload.ok_or(RepositoryError::NoUpload)?.reader();
        Ok(reader.map_err(RepositoryError::from)?)
    }

    fn commit(mut self, name: &RepositoryName, digest: ContentDigest) -> Result<(), Failure> {
        let upload = self.upload.take().ok_or(RepositoryError::NoUpload)?;
        let id = upload.id();
        if let Err(error) = self.repositories.commit(name, upload, digest, None) {
            // Where the disk was at fault the store keeps an upload for its client; here is none.
            self.upload = self.repositories.upload(name, id).ok();
            return Err(error.into());
        }
        self.progress.send_replace(Progress::Stored);
        Ok(())
    }
}

impl Drop for Taking<'_> {
    fn drop(&mut self) {
        if let Some(upload) = self.upload.take()
            && let Err(error) = self.repositories.cancel(upload)
        {
            tracing::warn!(%error, "cannot remove a broken download");
        }
        self.progress.send_if_modified(|progress| match progress {
            Progress::Coming(_) => {
                *progress = Progress::Failed;
                true
            }
            Progress::Stored | Progress::Failed => false,
        });
    }
}
