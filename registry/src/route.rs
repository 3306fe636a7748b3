//! Which endpoint a path names. Pure.
//!
//! A repository's name may hold any words, `blobs` and `manifests` too, so paths are read from
//! their end: what comes before the endpoint's words is the name.

use hull_images::repositories::{ContentDigest, ManifestKey, RepositoryName, UploadId};
use percent_encoding::percent_decode_str;

use crate::pages::Page;
use crate::refusal::{Code, Refusal};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// `/`, which tells a person that something is here.
    Root,
    /// `/metrics`
    Metrics,
    /// `/v2/`
    Version,
    /// `/v2`
    VersionWithoutSlash,
    /// `/v2/_catalog`
    Catalog,
    Blob(RepositoryName, ContentDigest),
    Uploads(RepositoryName),
    Upload(RepositoryName, UploadId),
    Manifest(RepositoryName, ManifestKey),
    Tags(RepositoryName),
    Referrers(RepositoryName, ContentDigest),
    /// `/token`
    Token,
    /// `/v1/search`
    Search,
    /// `/hull/v1/repositories`
    Records,
    Record(RepositoryName),
    /// `/hull/v1/callbacks/<secret>`
    Callback(String),
    /// `/ui`, for people
    Page(Page),
}

impl Endpoint {
    /// Reads a path; `None` where nothing is.
    pub(crate) fn parse(path: &str) -> Result<Option<Endpoint>, Refusal> {
        match path {
            "/" | "" => return Ok(Some(Endpoint::Root)),
            "/metrics" => return Ok(Some(Endpoint::Metrics)),
            "/token" => return Ok(Some(Endpoint::Token)),
            "/v1/search" => return Ok(Some(Endpoint::Search)),
            "/hull/v1/repositories" => return Ok(Some(Endpoint::Records)),
            "/v2" => return Ok(Some(Endpoint::VersionWithoutSlash)),
            "/v2/" => return Ok(Some(Endpoint::Version)),
            "/v2/_catalog" => return Ok(Some(Endpoint::Catalog)),
            _ => {}
        }
        if let Some(secret) = path.strip_prefix("/hull/v1/callbacks/") {
            return Ok(Some(Endpoint::Callback(secret.to_owned())));
        }
        if let Some(name) = path.strip_prefix("/hull/v1/repositories/") {
            let name = percent_decode_str(name).decode_utf8_lossy();
            return repository(&[&name]).map(Endpoint::Record).map(Some);
        }
        let Some(path) = path.strip_prefix("/v2/") else {
            return Ok(Page::parse(path).map(Endpoint::Page));
        };
        let Ok(path) = percent_decode_str(path).decode_utf8() else {
            return Ok(None);
        };
        let words: Vec<&str> = path.split('/').collect();
        let endpoint = match words.as_slice() {
            [name @ .., "blobs", "uploads"] | [name @ .., "blobs", "uploads", ""] => {
                Endpoint::Uploads(repository(name)?)
            }
            [name @ .., "blobs", "uploads", id] => {
                let name = repository(name)?;
                Endpoint::Upload(name, id.parse().map_err(Refusal::from)?)
            }
            [name @ .., "blobs", digest] => {
                Endpoint::Blob(repository(name)?, parse_digest(digest)?)
            }
            [name @ .., "manifests", key] => Endpoint::Manifest(repository(name)?, parse_key(key)?),
            [name @ .., "tags", "list"] => Endpoint::Tags(repository(name)?),
            [name @ .., "referrers", digest] => {
                Endpoint::Referrers(repository(name)?, parse_digest(digest)?)
            }
            _ => return Ok(None),
        };
        Ok(Some(endpoint))
    }

    /// The repository that it is about.
    pub(crate) fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Endpoint::Blob(name, _)
            | Endpoint::Uploads(name)
            | Endpoint::Upload(name, _)
            | Endpoint::Manifest(name, _)
            | Endpoint::Tags(name)
            | Endpoint::Referrers(name, _)
            | Endpoint::Record(name) => Some(name),
            Endpoint::Page(page) => page.repository(),
            _ => None,
        }
    }

    /// A word for figures and logs.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Endpoint::Root => "root",
            Endpoint::Metrics => "metrics",
            Endpoint::Version | Endpoint::VersionWithoutSlash => "version",
            Endpoint::Catalog => "catalog",
            Endpoint::Blob(..) => "blob",
            Endpoint::Uploads(_) => "uploads",
            Endpoint::Upload(..) => "upload",
            Endpoint::Manifest(..) => "manifest",
            Endpoint::Tags(_) => "tags",
            Endpoint::Referrers(..) => "referrers",
            Endpoint::Token => "token",
            Endpoint::Search => "search",
            Endpoint::Callback(_) => "callback",
            Endpoint::Records | Endpoint::Record(_) => "records",
            Endpoint::Page(_) => "page",
        }
    }
}

pub(crate) fn repository(words: &[&str]) -> Result<RepositoryName, Refusal> {
    let text = words.join("/");
    text.parse().map_err(|error: hull_images::ReferenceError| {
        Refusal::new(Code::NameInvalid)
            .detail(serde_json::json!({"name": text, "reason": error.to_string()}))
    })
}

pub(crate) fn parse_digest(text: &str) -> Result<ContentDigest, Refusal> {
    text.parse().map_err(|error: hull_images::DigestError| {
        Refusal::new(Code::DigestInvalid).detail(error.to_string())
    })
}

fn parse_key(text: &str) -> Result<ManifestKey, Refusal> {
    if text.contains(':') {
        return parse_digest(text).map(ManifestKey::Digest);
    }
    match text.parse() {
        Ok(tag) => Ok(ManifestKey::Tag(tag)),
        Err(_) => Err(Refusal::new(Code::TagInvalid).detail(serde_json::json!({"tag": text}))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn parse(path: &str) -> Option<Endpoint> {
        Endpoint::parse(path).unwrap_or_else(|refusal| panic!("{path}: {refusal:?}"))
    }

    fn name(text: &str) -> RepositoryName {
        text.parse().unwrap()
    }

    #[test]
    fn paths_are_read_from_their_end() {
        let digest: ContentDigest = DIGEST.parse().unwrap();
        let check = |path: &str, expected| assert_eq!(parse(path), Some(expected), "{path}");
        check("/", Endpoint::Root);
        check("/v2/", Endpoint::Version);
        check("/ui/a/b", Endpoint::Page(Page::Repository(name("a/b"))));
        check("/v2/_catalog", Endpoint::Catalog);
        check("/v2/a/tags/list", Endpoint::Tags(name("a")));
        check("/v2/a/tags/tags/list", Endpoint::Tags(name("a/tags")));
        check(
            &format!("/v2/a/b/blobs/{DIGEST}"),
            Endpoint::Blob(name("a/b"), digest),
        );
        check(
            &format!("/v2/a/blobs/{}", DIGEST.replace(':', "%3A")),
            Endpoint::Blob(name("a"), digest),
        );
        check("/v2/a/blobs/uploads/", Endpoint::Uploads(name("a")));
        check("/v2/a/blobs/uploads", Endpoint::Uploads(name("a")));
        check(
            "/v2/blobs/uploads/manifests/latest",
            Endpoint::Manifest(
                name("blobs/uploads"),
                ManifestKey::Tag("latest".parse().unwrap()),
            ),
        );
        check(
            &format!("/v2/a/manifests/{DIGEST}"),
            Endpoint::Manifest(name("a"), ManifestKey::Digest(digest)),
        );
        check(
            &format!("/v2/a/referrers/{DIGEST}"),
            Endpoint::Referrers(name("a"), digest),
        );
        for nothing in [
            "/v1/",
            "/v2/a",
            "/v2/a/tags",
            "/v2/a/x/y",
            "/v2/_x",
            "/v2/%ff/tags/list",
        ] {
            assert_eq!(parse(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn bad_names_are_told_apart() {
        let check = |path: &str, code| {
            let refusal = Endpoint::parse(path).expect_err(path);
            assert!(refusal.has(code), "{path}: {refusal:?}");
        };
        check("/v2/A/tags/list", Code::NameInvalid);
        check("/v2/a/../b/tags/list", Code::NameInvalid);
        check("/v2/a%2F..%2Fb/tags/list", Code::NameInvalid);
        check("/v2/tags/list", Code::NameInvalid);
        check("/v2/a/blobs/sha256:abc", Code::DigestInvalid);
        check("/v2/a/blobs/x", Code::DigestInvalid);
        check("/v2/a/manifests/sha256:abc", Code::DigestInvalid);
        check("/v2/a/manifests/.x", Code::TagInvalid);
        check("/v2/a/blobs/uploads/x", Code::BlobUploadUnknown);
    }

    proptest! {
        #[test]
        fn no_path_makes_it_panic(path in "/v2/[a-z0-9:/%._-]{0,60}") {
            let _ = Endpoint::parse(&path);
        }
    }
}
