//! Uploads: `POST /v2/<name>/blobs/uploads/` and what follows at its `Location`.
//!
//! ```text
//!  POST ?digest=           the whole blob at once             201
//!  POST ?mount=&from=      a blob that is here                201, or 202 as if it were not asked
//!  POST                    202 ─► PATCH* ─► PUT ?digest=      201
//!                                 GET: how far; DELETE: cancelled
//! ```

use hull_images::kinship;
use hull_images::repositories::{
    ContentDigest, Repositories, RepositoryError, RepositoryName, Upload, UploadId,
};
use hyper::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderName, LOCATION, RANGE};
use hyper::{Response, StatusCode};

use super::Call;
use crate::access::Action;
use crate::http::body::{Body, BodyError, Pieces};
use crate::http::range::{self, Span};
use crate::refusal::{Code, Refusal};
use crate::reply::{Answer, DOCKER_CONTENT_DIGEST, DOCKER_UPLOAD_UUID, Reply};
use crate::route::parse_digest;

pub(crate) async fn begin(call: Call<'_>, name: RepositoryName) -> Answer {
    if let Some(digest) = call.query.get("mount") {
        let digest = parse_digest(digest)?;
        if mount(&call, &name, digest).await? {
            return Ok(created(&name, &digest));
        }
    }
    if let Some(digest) = call.query.get("digest") {
        let digest = parse_digest(digest)?;
        return at_once(call, name, digest).await;
    }
    let repository = name.clone();
    let upload = call.store(move |repositories| repositories.begin_upload(&repository));
    let upload = upload.await?;
    Ok(accepted(&name, upload.id(), 0))
}

/// Mounts a blob if it can be found where the client may read. Says whether.
async fn mount(
    call: &Call<'_>,
    name: &RepositoryName,
    digest: ContentDigest,
) -> Result<bool, Refusal> {
    let from = match call.query.get("from") {
        // What is no name has no blobs: then the blob is uploaded.
        Some(from) => from.parse().into_iter().collect::<Vec<RepositoryName>>(),
        None => {
            call.store(move |repositories| repositories.holders(&digest))
                .await?
        }
    };
    let quota = call.registry.quota(name);
    for from in from {
        // What the client may not read is not there for it.
        let allowed = call.registry.allow(&call.actor, &from, Action::Pull).await;
        if allowed.is_err() {
            continue;
        }
        let to = name.clone();
        let mounted =
            call.store(
                move |repositories| match repositories.mount(&from, &to, &digest, quota) {
                    Err(RepositoryError::NoBlob(_)) => Ok(false),
                    mounted => mounted.map(|_| true),
                },
            );
        if mounted.await? {
            return Ok(true);
        }
    }
    mount_of_image(call, name, digest, quota).await
}

/// Mounts a blob of an image that is here, for the daemon that pushes it.
async fn mount_of_image(
    call: &Call<'_>,
    name: &RepositoryName,
    digest: ContentDigest,
    quota: Option<u64>,
) -> Result<bool, Refusal> {
    let proof = call.header(&HeaderName::from_static(kinship::HEADER));
    let (ContentDigest::Sha256(digest), Some(proof)) = (digest, proof) else {
        return Ok(false);
    };
    if !kinship::is_proof(proof, name.as_str(), &digest) {
        return Ok(false);
    }
    let to = name.clone();
    let mounted =
        call.store(
            move |repositories| match repositories.mount_of_image(&to, &digest, quota) {
                Err(RepositoryError::NoBlob(_)) => Ok(false),
                mounted => mounted.map(|_| true),
            },
        );
    mounted.await
}

/// The whole blob in one request.
async fn at_once(call: Call<'_>, name: RepositoryName, digest: ContentDigest) -> Answer {
    let registry = call.registry.clone();
    let quota = registry.quota(&name);
    let repository = name.clone();
    let work = move |pieces: Pieces| -> Result<(), Refusal> {
        let mut upload = registry.repositories.begin_upload(&repository)?;
        if let Err(unfilled) = fill(&mut upload, pieces, quota) {
            // Nobody knows its id, so nobody could go on.
            registry.repositories.cancel(upload)?;
            return Err(unfilled.into());
        }
        registry
            .repositories
            .commit(&repository, upload, digest, quota)?;
        Ok(())
    };
    call.upload.pour(work).await??;
    Ok(created(&name, &digest))
}

/// `PATCH`: more bytes.
pub(crate) async fn append(call: Call<'_>, name: RepositoryName, id: UploadId) -> Answer {
    let chunk = Chunk::of(&call)?;
    let registry = call.registry.clone();
    let quota = registry.quota(&name);
    let repository = name.clone();
    let work = move |pieces: Pieces| -> Result<u64, Refusal> {
        let repositories = &registry.repositories;
        let upload = repositories.upload(&repository, id)?;
        chunk.fits(&repository, &upload)?;
        let upload = add(repositories, upload, pieces, (chunk, quota))?;
        Ok(upload.size())
    };
    let size = call.upload.pour(work).await??;
    Ok(accepted(&name, id, size))
}

/// `PUT`: the last bytes, or none, and what all should be.
pub(crate) async fn finish(call: Call<'_>, name: RepositoryName, id: UploadId) -> Answer {
    let Some(digest) = call.query.get("digest") else {
        return Err(Refusal::new(Code::DigestInvalid).detail("digest missing"));
    };
    let digest = parse_digest(digest)?;
    let chunk = Chunk::of(&call)?;
    let registry = call.registry.clone();
    let quota = registry.quota(&name);
    let repository = name.clone();
    let work = move |pieces: Pieces| -> Result<(), Refusal> {
        let repositories = &registry.repositories;
        let upload = repositories.upload(&repository, id)?;
        chunk.fits(&repository, &upload)?;
        let upload = add(repositories, upload, pieces, (chunk, quota))?;
        repositories.commit(&repository, upload, digest, quota)?;
        Ok(())
    };
    call.upload.pour(work).await??;
    Ok(created(&name, &digest))
}

/// `GET`: how far it is.
pub(crate) async fn status(call: &Call<'_>, name: RepositoryName, id: UploadId) -> Answer {
    let repository = name.clone();
    let size = call.store(move |repositories| repositories.upload_size(&repository, id));
    let size = size.await?;
    Ok(progress(StatusCode::NO_CONTENT, &name, id, size).empty())
}

/// `DELETE`: not wanted any more.
pub(crate) async fn cancel(call: &Call<'_>, name: RepositoryName, id: UploadId) -> Answer {
    let cancelled = call.store(move |repositories| {
        let upload = repositories.upload(&name, id)?;
        repositories.cancel(upload)
    });
    cancelled.await?;
    Ok(Reply::new(StatusCode::NO_CONTENT).empty())
}

/// Why an upload has not all that was sent.
enum Unfilled {
    /// Its client can go on.
    Sender(BodyError),
    /// There is no room, and what came so far would take it from others.
    Room(RepositoryError),
}

impl From<Unfilled> for Refusal {
    fn from(unfilled: Unfilled) -> Refusal {
        match unfilled {
            Unfilled::Sender(error) => error.into(),
            Unfilled::Room(error) => error.into(),
        }
    }
}

/// Writes what comes. What cannot fit is not waited for.
fn fill(upload: &mut Upload, pieces: Pieces, quota: Option<u64>) -> Result<(), Unfilled> {
    for piece in pieces {
        let piece = piece.map_err(Unfilled::Sender)?;
        let written = upload.append(&piece).map_err(RepositoryError::from);
        written.map_err(Unfilled::Room)?;
        if let Some(quota) = quota.filter(|quota| upload.size() > *quota) {
            return Err(Unfilled::Room(RepositoryError::Quota(quota)));
        }
    }
    Ok(())
}

/// Adds what comes to an upload, where it says that it belongs.
fn add(
    repositories: &Repositories,
    mut upload: Upload,
    pieces: Pieces,
    (chunk, quota): (Chunk, Option<u64>),
) -> Result<Upload, Refusal> {
    let before = upload.size();
    match fill(&mut upload, pieces, quota) {
        Ok(()) => {}
        Err(Unfilled::Room(error)) => {
            repositories.cancel(upload)?;
            return Err(error.into());
        }
        Err(unfilled) => return Err(unfilled.into()),
    }
    chunk.is_whole(upload.size() - before)?;
    Ok(upload)
}

/// Where a request says that its bytes belong.
#[derive(Debug, Clone, Copy)]
struct Chunk(Option<Span>);

impl Chunk {
    fn of(call: &Call<'_>) -> Result<Chunk, Refusal> {
        let Some(header) = call.header(&CONTENT_RANGE) else {
            return Ok(Chunk(None));
        };
        let invalid = || Refusal::new(Code::RangeInvalid).detail(header);
        let span = range::chunk(header).ok_or_else(invalid)?;
        let length = call
            .header(&CONTENT_LENGTH)
            .and_then(|text| text.parse::<u64>().ok());
        match length {
            Some(length) if length != span.length() => Err(Refusal::new(Code::SizeInvalid)),
            _ => Ok(Chunk(Some(span))),
        }
    }

    /// Chunks come in order.
    fn fits(&self, name: &RepositoryName, upload: &Upload) -> Result<(), Refusal> {
        match self.0 {
            Some(span) if span.start != upload.size() => Err(Refusal::new(Code::RangeInvalid)
                .header(LOCATION, &location(name, upload.id()))
                .header(RANGE, &range_of(upload.size()))),
            _ => Ok(()),
        }
    }

    /// What came is what was announced.
    fn is_whole(&self, length: u64) -> Result<(), Refusal> {
        match self.0 {
            Some(span) if span.length() != length => Err(Refusal::new(Code::SizeInvalid)),
            _ => Ok(()),
        }
    }
}

fn created(name: &RepositoryName, digest: &ContentDigest) -> Response<Body> {
    Reply::new(StatusCode::CREATED)
        .header(LOCATION, format!("/v2/{name}/blobs/{digest}"))
        .header(DOCKER_CONTENT_DIGEST, digest)
        .empty()
}

fn accepted(name: &RepositoryName, id: UploadId, size: u64) -> Response<Body> {
    progress(StatusCode::ACCEPTED, name, id, size).empty()
}

fn progress(status: StatusCode, name: &RepositoryName, id: UploadId, size: u64) -> Reply {
    Reply::new(status)
        .header(LOCATION, location(name, id))
        .header(RANGE, range_of(size))
        .header(DOCKER_UPLOAD_UUID, id)
}

fn location(name: &RepositoryName, id: UploadId) -> String {
    format!("/v2/{name}/blobs/uploads/{id}")
}

/// The bytes that are there, ends included: nothing looks like one byte, by tradition.
fn range_of(size: u64) -> String {
    format!("0-{}", size.saturating_sub(1))
}
