//! The files of an archive, spooled aside.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;

use serde::de::DeserializeOwned;

use crate::digest::Digest;
use crate::error::StoreError;
use crate::lease::{Lease, Spooled};
use crate::tar::{Kind, Reader, Segment, TarError};

use super::{LoadError, MAX_DOCUMENT};

const MAX_NAME: usize = 1024;
/// Links that lead to links.
const MAX_HOPS: usize = 8;

pub(super) struct Archive {
    files: BTreeMap<String, File>,
}

enum File {
    Spooled(Spooled),
    /// Leads to the file of that name: Docker once linked layers that images share.
    Link(String),
}

impl Archive {
    pub(super) fn read(stream: impl Read, lease: &Lease) -> Result<Archive, LoadError> {
        let mut reader = Reader::new(stream);
        let mut files = BTreeMap::new();
        let limit = lease.store.options.archive_files;
        while let Some(entry) = reader.entry()? {
            let length = entry.path.len();
            if length > MAX_NAME {
                return Err(LoadError::NameTooLong { length });
            }
            let path = String::from_utf8_lossy(&entry.path);
            let Some(name) = clean("", &path) else {
                continue;
            };
            let link = |target: &[u8]| String::from_utf8_lossy(target).into_owned();
            let file = match &entry.kind {
                Kind::File => File::Spooled(spool(&mut reader, lease)?),
                Kind::HardLink(target) => match clean("", &link(target)) {
                    Some(target) => File::Link(target),
                    None => continue,
                },
                Kind::Symlink(target) => match clean(parent(&name), &link(target)) {
                    Some(target) => File::Link(target),
                    None => continue,
                },
                Kind::Directory | Kind::Device { .. } => continue,
            };
            files.insert(name, file);
            if files.len() > limit {
                return Err(LoadError::TooManyFiles { limit });
            }
        }
        Ok(Archive { files })
    }

    /// Every file's name, sorted.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    pub(super) fn find(&self, path: &str) -> Option<&Spooled> {
        let mut name = clean("", path)?;
        for _ in 0..MAX_HOPS {
            match self.files.get(&name)? {
                File::Spooled(spooled) => return Some(spooled),
                File::Link(target) => name.clone_from(target),
            }
        }
        None
    }

    pub(super) fn get(&self, path: &str) -> Result<&Spooled, LoadError> {
        let missing = || LoadError::Missing(path.to_owned());
        self.find(path).ok_or_else(missing)
    }

    /// The blob of an OCI layout, checked to be the one that its name says.
    pub(super) fn blob(&self, digest: &Digest) -> Result<&Spooled, LoadError> {
        let path = blob_path(digest);
        let spooled = self.get(&path)?;
        if spooled.digest != *digest {
            let found = spooled.digest;
            return Err(LoadError::Mismatch { path, found });
        }
        Ok(spooled)
    }

    pub(super) fn has_blob(&self, digest: &Digest) -> bool {
        self.find(&blob_path(digest)).is_some()
    }

    /// A small file's bytes.
    pub(super) fn bytes(&self, spooled: &Spooled, path: &str) -> Result<Vec<u8>, LoadError> {
        if spooled.size > MAX_DOCUMENT {
            return Err(LoadError::DocumentTooLong {
                path: path.to_owned(),
                limit: MAX_DOCUMENT,
            });
        }
        let read = fs::read(&spooled.path);
        Ok(read.map_err(StoreError::file("read", &spooled.path))?)
    }

    pub(super) fn json<T: DeserializeOwned>(&self, path: &str) -> Result<T, LoadError> {
        parse(&self.bytes(self.get(path)?, path)?, path)
    }
}

pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8], path: &str) -> Result<T, LoadError> {
    serde_json::from_slice(bytes).map_err(|source| LoadError::Document {
        path: path.to_owned(),
        source,
    })
}

pub(super) fn blob_path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

fn spool<R: Read>(reader: &mut Reader<R>, lease: &Lease) -> Result<Spooled, LoadError> {
    lease.spool(|buffer| match reader.segment(buffer)? {
        Segment::Data(count) => Ok(count),
        Segment::End => Ok(0),
        // Nothing that makes archives of images writes them, and a hole costs its maker nothing.
        Segment::Hole(_) => Err(LoadError::Tar(TarError::Sparse)),
    })
}

fn parent(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// `path` seen from the folder `from`, without `.` and `..`. `None` if it leaves the archive, or
/// is the archive's root.
fn clean(from: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = match path.starts_with('/') {
        true => Vec::new(),
        false => from.split('/').filter(|part| !part.is_empty()).collect(),
    };
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cleaned_and_stay_inside() {
        let check = |from: &str, path: &str, expected: Option<&str>| {
            assert_eq!(clean(from, path).as_deref(), expected, "{from:?} {path:?}");
        };
        check("", "./a/b", Some("a/b"));
        check("", "a//b/", Some("a/b"));
        check("a/b", "../c/layer.tar", Some("a/c/layer.tar"));
        check("a", "/b", Some("b"));
        check("a", "../..", None);
        check("", "../x", None);
        check("", "./", None);
    }
}
