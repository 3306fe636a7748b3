//! A blob as it comes: as long as its descriptor says, and taken up again where it was cut.

use std::io::Read;

use ureq::http::header::{CONTENT_LENGTH, RANGE};
use ureq::http::{Method, StatusCode};

use crate::digest::Digest;
use crate::manifest::{Descriptor, describe};

use super::connection::Pause;
use super::manifests::MAX_MANIFEST;
use super::upstream::no_length;
use super::wire::{Call, body_cause};
use super::{Connection, RemoteError, Scope};

/// Told of waits before another try, in seconds.
pub(crate) type Waits<'a> = &'a mut dyn FnMut(u64);

pub(crate) struct Download<'a> {
    connection: &'a Connection,
    path: &'a str,
    digest: Digest,
    size: u64,
    done: u64,
    reader: Option<Box<dyn Read + Send>>,
    pause: Pause,
    /// Whether more than one answer made it up.
    pub(crate) resumed: bool,
}

impl Connection {
    pub(crate) fn download<'a>(&'a self, path: &'a str, blob: &Descriptor) -> Download<'a> {
        Download {
            connection: self,
            path,
            digest: blob.digest,
            size: blob.size,
            done: 0,
            reader: None,
            pause: self.pause(),
            resumed: false,
        }
    }

    /// A blob of which no more than the digest is known: as long as the registry says.
    pub(crate) fn download_all<'a>(
        &'a self,
        path: &'a str,
        digest: Digest,
    ) -> Result<Download<'a>, RemoteError> {
        let url = self.url(&format!("{path}/blobs/{digest}"));
        let answer = self.ask(&Call::new(Method::GET, &*url), &Scope::pull(path))?;
        let length = answer.header(&CONTENT_LENGTH);
        let length = length.and_then(|text| text.parse().ok());
        Ok(Download {
            size: length.ok_or_else(|| no_length(url))?,
            reader: Some(answer.reader()),
            ..self.download(path, &describe("", digest, 0))
        })
    }

    /// A small blob in memory: a configuration.
    pub(crate) fn document(&self, path: &str, blob: &Descriptor) -> Result<Vec<u8>, RemoteError> {
        if blob.size > MAX_MANIFEST {
            return Err(RemoteError::TooLong {
                url: self.url(&format!("{path}/blobs/{}", blob.digest)),
                limit: MAX_MANIFEST,
            });
        }
        let mut download = self.download(path, blob);
        let mut bytes = Vec::new();
        let mut buffer = vec![0; 64 << 10];
        loop {
            let count = download.read(&mut buffer, &mut |_| {})?;
            match buffer.get(..count).filter(|piece| !piece.is_empty()) {
                Some(piece) => bytes.extend_from_slice(piece),
                None => break,
            }
        }
        match Digest::of(&bytes) == blob.digest {
            true => Ok(bytes),
            false => Err(RemoteError::BlobDigest(blob.digest)),
        }
    }

    fn pause(&self) -> Pause {
        Pause::new(&self.wire().remote().options.patience)
    }
}

impl Download<'_> {
    /// How much there is.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// How much has come.
    pub(crate) fn done(&self) -> u64 {
        self.done
    }

    /// The next piece; 0 at the end, where all of it has come.
    pub(crate) fn read(
        &mut self,
        buffer: &mut [u8],
        waits: Waits<'_>,
    ) -> Result<usize, RemoteError> {
        loop {
            if self.connection.cancel().is_cancelled() {
                return Err(RemoteError::Cancelled);
            }
            let failure = match self.piece(buffer) {
                Ok(count) => {
                    if count > 0 {
                        // A connection that brings something may be cut as often as it likes.
                        self.pause = self.connection.pause();
                    }
                    return Ok(count);
                }
                Err(error) if error.is_passing() => error,
                Err(error) => return Err(error),
            };
            self.reader = None;
            if self.connection.cancel().is_cancelled() {
                return Err(RemoteError::Cancelled);
            }
            let Some(time) = self.pause.next(failure.later()) else {
                return Err(failure);
            };
            tracing::debug!(error = %failure, blob = %self.digest, done = self.done, "taking a blob up again");
            waits(time.as_secs());
            if !self.connection.cancel().wait(time) {
                return Err(RemoteError::Cancelled);
            }
        }
    }

    fn piece(&mut self, buffer: &mut [u8]) -> Result<usize, RemoteError> {
        let url = self.url();
        let mut reader = match self.reader.take() {
            Some(reader) => reader,
            None => self.open(&url)?,
        };
        let cut = |cause: String| RemoteError::Unreachable {
            method: "Get",
            url: url.clone(),
            cause,
        };
        let count = reader
            .read(buffer)
            .map_err(|error| cut(body_cause(error)))?;
        let size = || RemoteError::BlobSize {
            digest: self.digest,
            expected: self.size,
        };
        if count == 0 && self.done < self.size {
            return Err(cut("unexpected EOF".to_owned()));
        }
        self.done = self.done.checked_add(count as u64).ok_or_else(size)?;
        if self.done > self.size {
            return Err(size());
        }
        self.reader = Some(reader);
        Ok(count)
    }

    fn url(&self) -> String {
        let blob = format!("{}/blobs/{}", self.path, self.digest);
        self.connection.url(&blob)
    }

    fn open(&mut self, url: &str) -> Result<Box<dyn Read + Send>, RemoteError> {
        let mut call = Call::new(Method::GET, url);
        if self.done > 0 {
            self.resumed = true;
            call = call.header(RANGE, format!("bytes={}-", self.done));
        }
        let answer = self.connection.send(&call, &Scope::pull(self.path))?;
        let status = answer.status();
        // All of it had come when it was cut.
        if status == StatusCode::RANGE_NOT_SATISFIABLE && self.done == self.size {
            return Ok(Box::new(std::io::empty()));
        }
        let mut reader = super::connection::checked(answer)?.reader();
        if self.done > 0 && status != StatusCode::PARTIAL_CONTENT {
            let mut before = (&mut reader).take(self.done);
            let skipped = std::io::copy(&mut before, &mut std::io::sink());
            let skipped = skipped.map_err(|error| RemoteError::Unreachable {
                method: "Get",
                url: url.to_owned(),
                cause: body_cause(error),
            })?;
            if skipped < self.done {
                return Err(RemoteError::Unreachable {
                    method: "Get",
                    url: url.to_owned(),
                    cause: "unexpected EOF".to_owned(),
                });
            }
        }
        Ok(reader)
    }
}
