//! Blobs on their way up: is it there, can it be mounted, or else in one stream and a seal.
//!
//! ```text
//!   HEAD blob ── there ─► done
//!      └─ POST uploads[?mount&from] ── 201 ─► mounted (without `from`: by `kinship`)
//!             └─ 202 ─► PATCH, from where the registry has it ─► PUT ?digest
//! ```

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use ureq::http::header::{CONTENT_RANGE, CONTENT_TYPE, RANGE};
use ureq::http::{HeaderName, Method, StatusCode};

use crate::digest::Digest;
use crate::kinship;

use super::connection::{Pause, checked, location};
use super::wire::{Answer, Call, Payload};
use super::{Connection, RemoteError, Scope};

/// A blob here, and the repository that it goes to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Upload<'a> {
    pub(crate) path: &'a str,
    pub(crate) digest: Digest,
    pub(crate) file: &'a Path,
    pub(crate) size: u64,
    /// Another repository of the same registry that may have it.
    pub(crate) from: Option<&'a str>,
}

/// How a blob came to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Uploaded {
    WasThere,
    Mounted,
    Sent,
}

/// Told how much has gone out.
pub(crate) type Sending<'a> = &'a (dyn Fn(u64) + Sync);

impl Connection {
    pub(crate) fn has_blob(&self, path: &str, digest: &Digest) -> Result<bool, RemoteError> {
        let url = self.url(&format!("{path}/blobs/{digest}"));
        let answer = self.send(&Call::new(Method::HEAD, url), &Scope::push(path))?;
        match answer.status() {
            StatusCode::NOT_FOUND => Ok(false),
            _ => checked(answer).map(|_| true),
        }
    }

    pub(crate) fn upload(
        &self,
        upload: &Upload<'_>,
        sending: Sending<'_>,
    ) -> Result<Uploaded, RemoteError> {
        if self.has_blob(upload.path, &upload.digest)? {
            return Ok(Uploaded::WasThere);
        }
        let mut pause = Pause::new(&self.wire().remote().options.patience);
        loop {
            let error = match self.try_upload(upload, sending) {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let time = match error.is_passing() {
                true => pause.next(error.later()),
                false => None,
            };
            let Some(time) = time else { return Err(error) };
            tracing::debug!(%error, blob = %upload.digest, "uploading again");
            if !self.cancel().wait(time) {
                return Err(RemoteError::Cancelled);
            }
        }
    }

    fn try_upload(
        &self,
        upload: &Upload<'_>,
        sending: Sending<'_>,
    ) -> Result<Uploaded, RemoteError> {
        let answer = self.begin(upload)?;
        if answer.status() == StatusCode::CREATED {
            return Ok(match upload.from {
                Some(_) => Uploaded::Mounted,
                None => Uploaded::WasThere,
            });
        }
        let mut place = location(&answer)?;
        let scope = Scope::push(upload.path);
        let mut from = 0;
        // Once more from where a cut left it; after that, from the start.
        for last in [false, true] {
            match self.patch(upload, (&place, from), sending) {
                Ok(next) => {
                    place = next;
                    break;
                }
                Err(error) if last || !error.is_passing() => return Err(error),
                Err(error) => match self.received(&place, &scope) {
                    Some((next, received)) if received < upload.size => {
                        (place, from) = (next, received);
                    }
                    _ => return Err(error),
                },
            }
        }
        let separator = if place.contains('?') { '&' } else { '?' };
        let seal = Call::new(
            Method::PUT,
            format!("{place}{separator}digest={}", upload.digest),
        )
        .header(CONTENT_TYPE, "application/octet-stream")
        .with(Payload::Bytes(b""));
        self.send(&seal, &scope).and_then(checked)?;
        Ok(Uploaded::Sent)
    }

    fn begin(&self, upload: &Upload<'_>) -> Result<Answer, RemoteError> {
        let base = self.url(&format!("{}/blobs/uploads/", upload.path));
        let scope = Scope::push(upload.path);
        let proof = match self.endpoint().is_here() {
            true => kinship::proof(upload.path, &upload.digest),
            false => None,
        };
        let start = |url: String, scope: &Scope| {
            let mut call = Call::new(Method::POST, url);
            if let Some(proof) = &proof {
                call = call.header(HeaderName::from_static(kinship::HEADER), proof.as_str());
            }
            let call = call.with(Payload::Bytes(b""));
            self.send(&call, scope).and_then(checked)
        };
        if let Some(from) = upload.from {
            let mount = format!("{base}?from={from}&mount={}", upload.digest);
            match start(mount, &scope.and_pull(from)) {
                Ok(answer) => return Ok(answer),
                // That the other repository may not be read is no reason not to push.
                Err(error) if error.is_passing() => return Err(error),
                Err(error) => tracing::debug!(%error, from, "the registry does not mount"),
            }
        }
        match proof {
            Some(_) => start(format!("{base}?mount={}", upload.digest), &scope),
            None => start(base, &scope),
        }
    }

    /// Sends the blob from an offset; says where the upload goes on.
    fn patch(
        &self,
        upload: &Upload<'_>,
        (place, from): (&str, u64),
        sending: Sending<'_>,
    ) -> Result<String, RemoteError> {
        let length = upload.size.saturating_sub(from);
        let open = || -> io::Result<Box<dyn Read + '_>> {
            let mut file = File::open(upload.file)?;
            file.seek(SeekFrom::Start(from))?;
            Ok(Box::new(Counted {
                file: file.take(length),
                done: from,
                sending,
            }))
        };
        let mut call =
            Call::new(Method::PATCH, place).header(CONTENT_TYPE, "application/octet-stream");
        if let (1.., Some(last)) = (from, upload.size.checked_sub(1)) {
            call = call.header(CONTENT_RANGE, format!("{from}-{last}"));
        }
        let call = call.with(Payload::Stream {
            open: &open,
            length,
        });
        let answer = self
            .send(&call, &Scope::push(upload.path))
            .and_then(checked)?;
        location(&answer)
    }

    /// How much of an upload the registry has, and where it goes on.
    fn received(&self, place: &str, scope: &Scope) -> Option<(String, u64)> {
        let answer = self.send(&Call::new(Method::GET, place), scope).ok()?;
        if !answer.status().is_success() {
            return None;
        }
        let range = answer.header(&RANGE)?;
        let (_, last) = range.trim_start_matches("bytes=").split_once('-')?;
        let next = location(&answer).unwrap_or_else(|_| place.to_owned());
        // `0-0` is said of nothing, too: then a byte is sent twice less than once too often.
        let last: u64 = last.parse().ok()?;
        Some((next, if last == 0 { 0 } else { last.checked_add(1)? }))
    }
}

struct Counted<'a> {
    file: io::Take<File>,
    done: u64,
    sending: Sending<'a>,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.done += count as u64;
        (self.sending)(self.done);
        Ok(count)
    }
}
