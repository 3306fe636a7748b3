//! The registry's web page: repositories, their tags, what an image is made of and how to pull it.
//!
//! ```text
//!   /ui/                     repositories, searched and by pages
//!   /ui/<name>               its tags
//!   /ui/<name>:<tag>         an image or index: platforms, layers, configuration, referrers
//!   /ui/<name>@<digest>      the same
//!   /ui/_sign-in             asks who it is, and goes back to the list
//!   /ui/_style.css
//! ```
//!
//! Rendered here, without any script. What a visitor sees is what he may pull, by the same rights as
//! the API's. Everything is read; nothing can be changed. All that was sent by somebody is text
//! (see `markup`).

mod amounts;
mod document;
mod elements;
mod frame;
mod image;
mod markup;
mod repositories;
mod tags;

use std::sync::Arc;

use hull_images::repositories::{ManifestKey, RepositoryName};
use hyper::header::{HOST, HeaderMap, LOCATION, VARY};
use hyper::{Response, StatusCode};
use percent_encoding::percent_decode_str;

use crate::access::Actor;
use crate::api::Call;
use crate::http::body::Body;
use crate::refusal::{Code, Refusal};
use crate::registry::Inner;
use crate::reply::{Answer, Reply};

/// Which page a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Page {
    /// `/ui`
    WithoutSlash,
    List,
    Style,
    SignIn,
    Repository(RepositoryName),
    Manifest(RepositoryName, ManifestKey),
}

impl Page {
    /// Reads a path; `None` where no page is. Names have neither `:` nor `@`, nor a `_` in front.
    pub(crate) fn parse(path: &str) -> Option<Page> {
        let rest = match path.strip_prefix("/ui")? {
            "" => return Some(Page::WithoutSlash),
            rest => percent_decode_str(rest.strip_prefix('/')?)
                .decode_utf8()
                .ok()?,
        };
        Some(match &*rest {
            "" => Page::List,
            "_style.css" => Page::Style,
            "_sign-in" => Page::SignIn,
            rest => match (rest.split_once('@'), rest.split_once(':')) {
                (Some((name, digest)), _) => Page::Manifest(
                    name.parse().ok()?,
                    ManifestKey::Digest(digest.parse().ok()?),
                ),
                (None, Some((name, tag))) => {
                    Page::Manifest(name.parse().ok()?, ManifestKey::Tag(tag.parse().ok()?))
                }
                (None, None) => Page::Repository(rest.parse().ok()?),
            },
        })
    }

    /// The repository that it is about.
    pub(crate) fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Page::Repository(name) | Page::Manifest(name, _) => Some(name),
            _ => None,
        }
    }
}

/// Who looks, and under which name he reached the registry.
#[derive(Debug, Clone)]
struct Visitor {
    name: Option<String>,
    may_sign_in: bool,
    host: String,
}

impl Visitor {
    fn of(registry: &Inner, actor: &Actor, headers: &HeaderMap) -> Visitor {
        let asked = headers.get(HOST).and_then(|host| host.to_str().ok());
        let host = registry.external_host.as_deref().or(asked);
        Visitor {
            name: actor.name().map(str::to_owned),
            may_sign_in: registry.access.basic_challenge().is_some(),
            host: host.unwrap_or_default().to_owned(),
        }
    }
}

/// What the pages are made from.
struct Source {
    registry: Arc<Inner>,
    actor: Actor,
    visitor: Visitor,
}

pub(crate) async fn answer(call: &Call<'_>, page: Page) -> Answer {
    let source = Source {
        registry: call.registry.clone(),
        actor: call.actor.clone(),
        visitor: Visitor::of(&call.registry, &call.actor, call.headers),
    };
    let visitor = source.visitor.clone();
    let number = call.query.get("page").and_then(|text| text.parse().ok());
    let number: usize = number.unwrap_or(1).max(1);
    let work: Box<dyn FnOnce() -> Result<frame::Page, Refusal> + Send> = match page {
        Page::Style => return Ok(frame::style(call.headers)),
        Page::WithoutSlash => return Ok(go_to_list(StatusCode::MOVED_PERMANENTLY)),
        Page::SignIn => {
            call.registry.access.check_known(&call.actor)?;
            return Ok(go_to_list(StatusCode::SEE_OTHER));
        }
        Page::List => {
            let wanted = call.query.get("q").unwrap_or_default().to_owned();
            Box::new(move || repositories::page(&source, &wanted, number))
        }
        Page::Repository(name) => Box::new(move || tags::page(&source, &name, number)),
        Page::Manifest(name, key) => Box::new(move || image::page(&source, &name, &key)),
    };
    let page = tokio::task::spawn_blocking(work).await??;
    Ok(frame::answer(call.headers, &visitor, &page))
}

/// For a browser that asks for `/`. Everything else is told there that a registry is up.
pub(crate) fn go_to_list(status: StatusCode) -> Response<Body> {
    let reply = Reply::new(status).header(LOCATION, "/ui/");
    reply.header(VARY, "Accept").empty()
}

/// A refusal for somebody who looks at it.
pub(crate) fn refused(
    registry: &Inner,
    (actor, headers): (&Actor, &HeaderMap),
    refusal: &Refusal,
) -> Response<Body> {
    let visitor = Visitor::of(registry, actor, headers);
    let challenge = registry.access.basic_challenge();
    frame::refused(refusal, challenge.as_deref(), &visitor)
}

/// What is not there, to who may see the repository.
fn missing() -> Refusal {
    Refusal::new(Code::ManifestUnknown)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn paths_are_references() {
        let name = |text: &str| text.parse::<RepositoryName>().unwrap();
        let check = |path: &str, expected| assert_eq!(Page::parse(path), Some(expected), "{path}");
        check("/ui", Page::WithoutSlash);
        check("/ui/", Page::List);
        check("/ui/_style.css", Page::Style);
        check("/ui/style.css", Page::Repository(name("style.css")));
        check("/ui/a/b", Page::Repository(name("a/b")));
        let tag = ManifestKey::Tag("1.0".parse().unwrap());
        check("/ui/a/b:1.0", Page::Manifest(name("a/b"), tag.clone()));
        check("/ui/a/b%3A1.0", Page::Manifest(name("a/b"), tag));
        let digest = ManifestKey::Digest(DIGEST.parse().unwrap());
        check(
            &format!("/ui/a@{DIGEST}"),
            Page::Manifest(name("a"), digest),
        );
        for nothing in [
            "/uix", "/ui/a/", "/ui/A", "/ui/a:", "/ui/a@x", "/ui/%ff", "/ui//",
        ] {
            assert_eq!(Page::parse(nothing), None, "{nothing}");
        }
    }

    proptest! {
        #[test]
        fn no_path_makes_it_panic(path in "/ui/?[a-z0-9:@/%._-]{0,60}") {
            let _ = Page::parse(&path);
        }
    }
}
