//! Blobs: `GET`, `HEAD`, `DELETE /v2/<name>/blobs/<digest>`.

use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use hull_images::repositories::{BlobFile, ContentDigest, RepositoryName};
use hyper::StatusCode;
use hyper::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, ETAG, RANGE};

use super::Call;
use crate::cache::{self, Blob, Coming};
use crate::http::body;
use crate::http::condition::{self, Condition};
use crate::http::range::{Span, Wanted, wanted};
use crate::refusal::{Code, Refusal, internal};
use crate::reply::{Answer, DOCKER_CONTENT_DIGEST, Reply};

/// Blobs up to this size are read at once.
const SMALL: u64 = 64 << 10;

/// What was found, and read of it.
enum Found {
    Size(u64),
    Small(Vec<u8>),
    Large(BlobFile),
    /// On its way into a cache.
    Coming(Arc<Coming>),
}

pub(crate) async fn get(call: &Call<'_>, name: RepositoryName, digest: ContentDigest) -> Answer {
    let tag = condition::entity_tag(&digest);
    let condition = condition::check(call.headers, &tag);
    let size_only = call.is_head() || condition != Condition::Met;
    let found = match (
        find(call, &name, digest, size_only).await,
        &call.registry.cache,
    ) {
        (Err(refusal), Some(cache)) if refusal.has(Code::BlobUnknown) => {
            match cache.blob(&name, digest, size_only).await? {
                Blob::Here => find(call, &name, digest, size_only).await?,
                Blob::Size(size) => Found::Size(size),
                Blob::Coming(coming) => Found::Coming(coming),
            }
        }
        (found, _) => found?,
    };
    let size = match &found {
        Found::Size(size) => *size,
        Found::Small(bytes) => bytes.len() as u64,
        Found::Large(blob) => blob.size,
        Found::Coming(coming) => coming.size,
    };
    let reply = |status| {
        let reply = Reply::new(status).header(DOCKER_CONTENT_DIGEST, digest);
        let reply = reply.header(ETAG, &tag).header(ACCEPT_RANGES, "bytes");
        reply.header(CACHE_CONTROL, "max-age=31536000")
    };
    match condition {
        Condition::NotModified => return Ok(reply(StatusCode::NOT_MODIFIED).empty()),
        Condition::Failed => return Ok(reply(StatusCode::PRECONDITION_FAILED).empty()),
        Condition::Met => {}
    }
    let range = call
        .header(&RANGE)
        .filter(|_| condition::range_holds(call.headers, &tag));
    let (reply, span) = match range.map_or(Wanted::Whole, |range| wanted(range, size)) {
        Wanted::Whole => (reply(StatusCode::OK), None),
        Wanted::Part(span) => {
            let content = format!("bytes {}-{}/{size}", span.start, span.end);
            let reply = reply(StatusCode::PARTIAL_CONTENT).header(CONTENT_RANGE, content);
            (reply, Some(span))
        }
        Wanted::Unsatisfiable => {
            return Err(
                Refusal::new(Code::RangeInvalid).header(CONTENT_RANGE, &format!("bytes */{size}"))
            );
        }
    };
    let length = span.map_or(size, |span| span.length());
    let reply = reply
        .header(CONTENT_TYPE, "application/octet-stream")
        .length(length);
    match found {
        Found::Size(_) => Ok(reply.empty()),
        Found::Small(bytes) => Ok(reply.body(body::whole(cut(bytes, span)))),
        Found::Large(mut blob) => {
            let start = span.map_or(0, |span| span.start);
            let seek = blob.file.seek(SeekFrom::Start(start));
            seek.map_err(|error| internal(&error))?;
            Ok(reply.body(body::file(blob.file, length)))
        }
        Found::Coming(coming) => {
            let start = span.map_or(0, |span| span.start);
            Ok(reply.body(cache::body(coming, start, length)))
        }
    }
}

/// Looks into the store.
async fn find(
    call: &Call<'_>,
    name: &RepositoryName,
    digest: ContentDigest,
    size_only: bool,
) -> Result<Found, Refusal> {
    let name = name.clone();
    let found = call.store(move |repositories| {
        let known = repositories.blob(&name, &digest)?;
        if size_only {
            return Ok(Ok(Found::Size(known.size)));
        }
        let blob = repositories.open_blob(&name, &digest)?;
        Ok(read_small(blob))
    });
    found.await?.map_err(|error| internal(&error))
}

fn read_small(mut blob: BlobFile) -> std::io::Result<Found> {
    if blob.size > SMALL {
        return Ok(Found::Large(blob));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(blob.size).unwrap_or_default());
    blob.file.read_to_end(&mut bytes)?;
    Ok(Found::Small(bytes))
}

fn cut(bytes: Vec<u8>, span: Option<Span>) -> bytes::Bytes {
    let bytes = bytes::Bytes::from(bytes);
    let Some(span) = span else {
        return bytes;
    };
    // A span lies inside the size that these bytes have.
    let at = |position: u64| {
        usize::try_from(position)
            .unwrap_or(usize::MAX)
            .min(bytes.len())
    };
    bytes.slice(at(span.start)..at(span.end + 1))
}

pub(crate) async fn delete(call: &Call<'_>, name: RepositoryName, digest: ContentDigest) -> Answer {
    let deleted = call.store(move |repositories| repositories.delete_blob(&name, &digest));
    deleted.await?;
    Ok(Reply::new(StatusCode::ACCEPTED).empty())
}
