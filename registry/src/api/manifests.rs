//! Manifests: `GET`, `HEAD`, `PUT`, `DELETE /v2/<name>/manifests/<tag or digest>`.

use hull_images::repositories::{
    ContentDigest, Manifest, ManifestKey, NewManifest, Repositories, RepositoryError,
    RepositoryName, TagName,
};
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, ETAG, LOCATION, WARNING};
use serde_json::json;

use super::Call;
use crate::cache::Fresh;
use crate::http::accept::Accepted;
use crate::http::body::{self, Body};
use crate::http::condition::{self, Condition};
use crate::manifest::{self, DOCKER_LIST, OCI_INDEX, OCI_MANIFEST};
use crate::refusal::{Code, Refusal};
use crate::reply::{Answer, DOCKER_CONTENT_DIGEST, OCI_SUBJECT, OCI_TAG, Reply};

/// What a cache says with what may have changed upstream, as the specification has warnings.
const STALE: &str = "299 - \"the upstream registry does not answer: this may be out of date\"";
/// Manifests up to this size are read at once.
const SMALL: u64 = 64 << 10;
/// More tags than anybody gives at once.
const MAX_TAGS: usize = 100;

pub(crate) async fn get(call: &Call<'_>, name: RepositoryName, key: ManifestKey) -> Answer {
    let accepted = Accepted::of(call.headers);
    let fresh = match &call.registry.cache {
        Some(cache) => cache.manifest(&name, &key, &accepted).await?,
        None => Fresh::Yes,
    };
    let head = call.is_head();
    let headers = call.headers.clone();
    let registry = call.registry.clone();
    let work = move || {
        let manifest = negotiate(&registry.repositories, &name, &key, &accepted)?;
        let tag = condition::entity_tag(&manifest.digest);
        let condition = condition::check(&headers, &tag);
        let bytes = match head || condition != Condition::Met {
            true => None,
            false => Some(read(&registry.repositories, &manifest)?),
        };
        Ok::<_, Refusal>((manifest, condition, bytes))
    };
    let (manifest, condition, bytes) = tokio::task::spawn_blocking(work).await??;
    let reply = |status| {
        Reply::new(status)
            .header(DOCKER_CONTENT_DIGEST, manifest.digest)
            .header(ETAG, condition::entity_tag(&manifest.digest))
            .maybe(WARNING, (fresh == Fresh::Unknown).then_some(STALE))
    };
    match condition {
        Condition::NotModified => return Ok(reply(StatusCode::NOT_MODIFIED).empty()),
        Condition::Failed => return Ok(reply(StatusCode::PRECONDITION_FAILED).empty()),
        Condition::Met => {}
    }
    let reply = reply(StatusCode::OK).header(CONTENT_TYPE, &manifest.media_type);
    let reply = reply.length(manifest.size);
    match bytes {
        Some(bytes) => Ok(reply.body(bytes)),
        None => Ok(reply.empty()),
    }
}

/// A manifest's bytes. Large ones are read as their clients take them, which may be slow and many.
fn read(repositories: &Repositories, manifest: &Manifest) -> Result<Body, RepositoryError> {
    if manifest.size <= SMALL {
        return repositories.manifest_bytes(manifest).map(body::whole);
    }
    let found = repositories.open_manifest(manifest)?;
    Ok(body::file(found.file, found.size))
}

/// Finds the manifest that a client can read. Clients from before indexes get the image for
/// linux/amd64 out of one; who cannot read what is here is told so.
fn negotiate(
    repositories: &Repositories,
    name: &RepositoryName,
    key: &ManifestKey,
    accepted: &Accepted,
) -> Result<Manifest, Refusal> {
    let find = |key: &ManifestKey| {
        repositories
            .manifest(name, key)
            .map_err(|error| match error {
                RepositoryError::NoRepository(_) | RepositoryError::NoManifest(_) => {
                    unknown(name, key)
                }
                error => error.into(),
            })
    };
    let found = find(key)?;
    if accepted.takes(&found.media_type) {
        return Ok(found);
    }
    if manifest::is_index(&found.media_type) && matches!(key, ManifestKey::Tag(_)) {
        let bytes = repositories.manifest_bytes(&found)?;
        if let Some(digest) = manifest::default_platform(&bytes) {
            let child = find(&ManifestKey::Digest(digest))?;
            if accepted.takes(&child.media_type) {
                return Ok(child);
            }
        }
    }
    let kind = match found.media_type.as_str() {
        OCI_INDEX => "OCI index",
        OCI_MANIFEST => "OCI manifest",
        DOCKER_LIST => "manifest list",
        _ => "schema 2 manifest",
    };
    Err(Refusal::new(Code::ManifestUnknown).detail(format!(
        "{kind} found, but accept header does not support {kind}s"
    )))
}

fn unknown(name: &RepositoryName, key: &ManifestKey) -> Refusal {
    Refusal::new(Code::ManifestUnknown).detail(match key {
        ManifestKey::Tag(tag) => json!({"Tag": tag.as_str()}),
        ManifestKey::Digest(digest) => {
            json!({"Name": name.as_str(), "Revision": digest.to_string()})
        }
    })
}

pub(crate) async fn put(call: Call<'_>, name: RepositoryName, key: ManifestKey) -> Answer {
    let limit = call.registry.limits.manifest;
    let body = call.upload.read(limit).await?;
    let invalid = |error: manifest::ManifestError| {
        Refusal::new(Code::ManifestInvalid).detail(error.to_string())
    };
    let given = call.header(&CONTENT_TYPE);
    let digest = match &key {
        ManifestKey::Tag(_) => ContentDigest::Sha256(hull_images::Digest::of(&body.bytes)),
        ManifestKey::Digest(digest) => check_digest(*digest, &body.bytes)?,
    };
    let parsed = manifest::parse(&body.bytes, given).map_err(invalid)?;
    let tags = tags(&call, &key)?;
    let subject = parsed.subject;
    let repository = name.clone();
    let stored = tags.clone();
    let quota = call.registry.quota(&name);
    let pusher = call.actor.name().map(str::to_owned);
    let pushed = call.store(move |repositories| {
        let new = NewManifest {
            bytes: &body.bytes,
            digest,
            media_type: &parsed.media_type,
            tags: &stored,
            blobs: parsed.blobs,
            optional: parsed.foreign,
            manifests: parsed.manifests,
            subject,
            artifact_type: parsed.artifact_type,
            annotations: parsed.annotations,
            pusher: pusher.as_deref(),
        };
        repositories.own(&repository)?;
        repositories.put_manifest(&repository, &new, quota)
    });
    pushed.await?;
    let mut reply = Reply::new(StatusCode::CREATED)
        .header(LOCATION, format!("/v2/{name}/manifests/{digest}"))
        .header(DOCKER_CONTENT_DIGEST, digest);
    if let Some(subject) = subject {
        reply = reply.header(OCI_SUBJECT, subject);
    }
    if let ManifestKey::Digest(_) = key {
        reply = tags
            .iter()
            .fold(reply, |reply, tag| reply.header(OCI_TAG, tag));
    }
    Ok(reply.empty())
}

fn check_digest(expected: ContentDigest, bytes: &[u8]) -> Result<ContentDigest, Refusal> {
    let found = expected.same_of(bytes);
    match found == expected {
        true => Ok(expected),
        false => Err(RepositoryError::DigestMismatch {
            expected: Box::new(expected),
            found: Box::new(found),
        }
        .into()),
    }
}

/// The tags that a push sets: the one in its path, or those beside a digest.
fn tags(call: &Call<'_>, key: &ManifestKey) -> Result<Vec<TagName>, Refusal> {
    if let ManifestKey::Tag(tag) = key {
        return Ok(vec![tag.clone()]);
    }
    let parse = |text: &str| {
        let invalid = |_| Refusal::new(Code::TagInvalid).detail(json!({"tag": text}));
        text.parse().map_err(invalid)
    };
    let tags: Vec<TagName> = call.query.all("tag").map(parse).collect::<Result<_, _>>()?;
    match tags.len() > MAX_TAGS {
        true => Err(Refusal::new(Code::TagInvalid)
            .detail(format!("more than {MAX_TAGS} tags at once"))
            .status(StatusCode::URI_TOO_LONG)),
        false => Ok(tags),
    }
}

pub(crate) async fn delete(call: &Call<'_>, name: RepositoryName, key: ManifestKey) -> Answer {
    let repository = name.clone();
    let by = key.clone();
    let deleted = call.store(move |repositories| match &by {
        ManifestKey::Tag(tag) => repositories.delete_tag(&repository, tag),
        ManifestKey::Digest(digest) => repositories
            .delete_manifest(&repository, digest)
            .map(|_| ()),
    });
    deleted
        .await
        .map_err(|refusal| match refusal.has(Code::ManifestUnknown) {
            true => unknown(&name, &key),
            false => refusal,
        })?;
    Ok(Reply::new(StatusCode::ACCEPTED).empty())
}
