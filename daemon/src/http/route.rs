//! The route table: method and pattern to handler, first match wins.
//!
//! A pattern is made of literal segments, `{id}` for one segment and at most one `{name..}` for
//! one or more: image names hold slashes and colons, so `/images/{name..}/json` is matched by
//! what comes before and after. Empty segments do not count, so `/containers//web/json`, which
//! clients send for the name `/web`, finds `web`. Nothing is at a path that ends in `/`.

use std::future::Future;
use std::pin::Pin;

use hyper::Method;
use percent_encoding::percent_decode_str;

use super::version::ApiVersion;
use super::{ApiError, Reply, Request};

/// What answers a request.
pub(crate) type Handling = Pin<Box<dyn Future<Output = Result<Reply, ApiError>> + Send>>;
type Handler<App> = Box<dyn Fn(App, Request) -> Handling + Send + Sync>;

/// All routes of a server whose handlers share an `App`.
pub(crate) struct Router<App> {
    routes: Vec<Route<App>>,
}

struct Route<App> {
    method: Method,
    pattern: Pattern,
    handler: Handler<App>,
}

/// A route that matched.
pub(crate) struct Matched<'r, App> {
    pub(crate) handler: &'r (dyn Fn(App, Request) -> Handling + Send + Sync),
    pub(crate) params: Params,
    /// As the path says it; not yet checked.
    pub(crate) version: Option<ApiVersion>,
}

impl<App> Router<App> {
    pub(crate) fn new() -> Self {
        Self { routes: Vec::new() }
    }

    /// Adds a route behind those there are.
    pub(crate) fn add<H, F>(&mut self, method: Method, pattern: &'static str, handler: H)
    where
        H: Fn(App, Request) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Reply, ApiError>> + Send + 'static,
    {
        let handler: Handler<App> = Box::new(move |app, request| Box::pin(handler(app, request)));
        self.routes.push(Route {
            method,
            pattern: Pattern::new(pattern),
            handler,
        });
    }

    /// Method and pattern of each route, in the order in which they are tried.
    #[cfg(test)]
    pub(crate) fn table(&self) -> impl Iterator<Item = (&Method, &'static str)> {
        self.routes
            .iter()
            .map(|route| (&route.method, route.pattern.text))
    }

    /// The first route that takes this method and path. A known path with another method is as
    /// unknown as any: Docker answers 404 to both.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Option<Matched<'_, App>> {
        if path.ends_with('/') {
            return None;
        }
        let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
        let version = segments.first().and_then(|s| ApiVersion::from_segment(s));
        let segments = &segments[usize::from(version.is_some())..];
        self.routes
            .iter()
            .filter(|route| route.method == method)
            .find_map(|route| {
                let params = route.pattern.matches(segments)?;
                Some(Matched {
                    handler: &*route.handler,
                    params,
                    version,
                })
            })
    }
}

/// What the placeholders of a pattern stand for, decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Params(Vec<(&'static str, String)>);

impl Params {
    /// The value of a placeholder that the pattern has; empty for one that it has not.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0
            .iter()
            .find(|(n, _)| *n == name)
            .map_or("", |(_, value)| value)
    }
}

#[derive(Debug)]
struct Pattern {
    #[cfg(test)]
    text: &'static str,
    head: Vec<Segment>,
    /// The greedy placeholder and what follows it.
    greedy: Option<(&'static str, Vec<Segment>)>,
}

#[derive(Debug)]
enum Segment {
    Literal(&'static str),
    Param(&'static str),
}

impl Pattern {
    fn new(pattern: &'static str) -> Self {
        let mut head = Vec::new();
        let mut greedy: Option<(&'static str, Vec<Segment>)> = None;
        for part in pattern.split('/').filter(|s| !s.is_empty()) {
            let name = part.strip_prefix('{').and_then(|p| p.strip_suffix('}'));
            let segment = match name {
                Some(name) => match name.strip_suffix("..") {
                    Some(name) => {
                        assert!(greedy.is_none(), "two greedy placeholders in {pattern}");
                        greedy = Some((name, Vec::new()));
                        continue;
                    }
                    None => Segment::Param(name),
                },
                None => Segment::Literal(part),
            };
            greedy
                .as_mut()
                .map_or(&mut head, |(_, tail)| tail)
                .push(segment);
        }
        Self {
            #[cfg(test)]
            text: pattern,
            head,
            greedy,
        }
    }

    fn matches(&self, segments: &[&str]) -> Option<Params> {
        let mut params = Params::default();
        match &self.greedy {
            None => {
                if segments.len() != self.head.len() {
                    return None;
                }
                capture(&self.head, segments, &mut params)?;
            }
            Some((name, tail)) => {
                if segments.len() < self.head.len() + tail.len() + 1 {
                    return None;
                }
                let (front, rest) = segments.split_at(self.head.len());
                let (middle, end) = rest.split_at(rest.len() - tail.len());
                capture(&self.head, front, &mut params)?;
                params.0.push((name, decode(&middle.join("/"))?));
                capture(tail, end, &mut params)?;
            }
        }
        Some(params)
    }
}

fn capture(pattern: &[Segment], segments: &[&str], params: &mut Params) -> Option<()> {
    for (segment, part) in pattern.iter().zip(segments) {
        match segment {
            Segment::Literal(literal) if literal == part => {}
            Segment::Literal(_) => return None,
            Segment::Param(name) => params.0.push((name, decode(part)?)),
        }
    }
    Some(())
}

fn decode(part: &str) -> Option<String> {
    Some(percent_decode_str(part).decode_utf8().ok()?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &'static str, path: &str, expected: Option<&[(&str, &str)]>) {
        let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
        let got = Pattern::new(pattern).matches(&segments).map(|p| p.0);
        let got = got
            .as_ref()
            .map(|p| p.iter().map(|(n, v)| (*n, v.as_str())).collect::<Vec<_>>());
        assert_eq!(got.as_deref(), expected, "{pattern} {path}");
    }

    #[test]
    fn patterns_take_what_they_name() {
        check("/_ping", "/_ping", Some(&[]));
        check("/_ping", "/_ping/x", None);
        check(
            "/containers/{id}/json",
            "/containers/web/json",
            Some(&[("id", "web")]),
        );
        check(
            "/containers/{id}/json",
            "/containers//web/json",
            Some(&[("id", "web")]),
        );
        check(
            "/containers/{id}/json",
            "/containers/%2Fweb/json",
            Some(&[("id", "/web")]),
        );
        check("/containers/{id}/json", "/containers/json", None);
        check("/containers/{id}/json", "/containers/a/b/json", None);
        check("/containers/{id}", "/containers/%ff", None);
    }

    #[test]
    fn greedy_placeholders_take_slashes_and_colons() {
        let image = "/images/{name..}/json";
        check(image, "/images/busybox/json", Some(&[("name", "busybox")]));
        check(
            image,
            "/images/localhost:5000/a/b:1/json",
            Some(&[("name", "localhost:5000/a/b:1")]),
        );
        check(
            image,
            "/images/a@sha256:00/json",
            Some(&[("name", "a@sha256:00")]),
        );
        check(image, "/images/json/json", Some(&[("name", "json")]));
        check(image, "/images/json", None);
        check("/images/{name..}", "/images/a/b", Some(&[("name", "a/b")]));
        check("/images/{name..}", "/images", None);
    }
}
