//! `docs/docker-compat.md` against the route table, both ways, and against Docker's own routes.

use std::collections::BTreeMap;

use hyper::Method;

use super::{refused, routes};

const DOC: &str = include_str!("../../../docs/docker-compat.md");
const DOCKER: &str = include_str!("../../testdata/api-1.51.txt");

/// Method and path, placeholders as Docker's reference has them.
type Call = (String, String);

/// What the page says of each route, and of Hull's own.
fn page() -> BTreeMap<Call, String> {
    let mut page = BTreeMap::new();
    let mut inside = false;
    for line in DOC.lines() {
        if line.starts_with("## ") {
            inside = line == "## Routes of the API" || line == "## Hull's own routes";
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let Some(call) = cells.get(1).filter(|_| inside && line.starts_with("| `")) else {
            continue;
        };
        let new = page.insert(parse(call.trim_matches('`')), cells[2].to_owned());
        assert!(new.is_none(), "{call} is there twice");
        assert!(
            cells[2] == "works" || !cells[3].is_empty(),
            "no reason: {line}"
        );
    }
    page
}

fn parse(call: &str) -> Call {
    let (method, path) = call.split_once(' ').expect("a method and a path");
    (method.to_owned(), path.to_owned())
}

/// A path that the placeholders of `path` could stand for.
fn example(path: &str) -> String {
    let parts = path.split('/').map(|part| match part.starts_with('{') {
        true => "x",
        false => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

/// The pattern that serves a call, if one does.
fn serving(call: &Call) -> Option<&'static str> {
    let method: Method = call.0.parse().expect("a method");
    let routes = routes();
    let serves = |(of, pattern): (&Method, &'static str)| {
        (*of == method && matches(pattern, &example(&call.1))).then_some(pattern)
    };
    let found = routes.table().find_map(serves);
    assert_eq!(
        found.is_some(),
        routes.find(&method, &example(&call.1)).is_some(),
        "{call:?}"
    );
    found
}

fn matches(pattern: &str, path: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    let same = |(pattern, part): (&&str, &&str)| pattern.starts_with('{') || pattern == part;
    let greedy = pattern.iter().position(|part| part.ends_with("..}"));
    match greedy {
        None => pattern.len() == path.len() && pattern.iter().zip(&path).all(same),
        Some(at) => {
            let after = pattern.len() - at - 1;
            path.len() >= pattern.len()
                && pattern[..at].iter().zip(&path[..at]).all(same)
                && pattern[at + 1..]
                    .iter()
                    .zip(&path[path.len() - after..])
                    .all(same)
        }
    }
}

#[test]
fn the_page_has_every_route_of_dockers() {
    let page = page();
    let docker: Vec<Call> = DOCKER
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(parse)
        .collect();
    assert!(docker.len() > 100, "{}", docker.len());
    for call in &docker {
        assert!(page.contains_key(call), "{call:?} is not on the page");
    }
    for call in page.keys() {
        let own = call.1.starts_with("/hull/");
        assert!(own || docker.contains(call), "Docker has no {call:?}");
    }
}

#[test]
fn what_the_page_says_of_a_route_is_so() {
    for (call, status) in page() {
        let served = serving(&call);
        let refused = served.is_some_and(|pattern| refused::is_refused(&call.0, pattern));
        match status.as_str() {
            "works" => assert!(served.is_some() && !refused, "{call:?} does not work"),
            // Docker without experimental features does not know these either.
            "refused" if call.1.contains("checkpoint") => assert_eq!(served, None, "{call:?}"),
            "refused" | "not yet" => {
                let pattern = served.unwrap_or_else(|| panic!("{call:?} has no answer"));
                assert!(refused, "{call:?} is served by {pattern}");
                let swarm = refused::is_swarm(pattern);
                let plugins = call.1.starts_with("/plugins");
                assert_eq!(status == "refused", swarm || plugins, "{call:?}");
            }
            other => panic!("no status: {other}"),
        }
    }
}

#[test]
fn every_route_is_on_the_page() {
    let page = page();
    for (method, pattern) in routes().table() {
        let told = page
            .keys()
            .any(|call| call.0 == method.as_str() && matches(pattern, &example(&call.1)));
        assert!(
            told || refused::is_refused(method.as_str(), pattern),
            "{method} {pattern} is not on the page"
        );
    }
}
