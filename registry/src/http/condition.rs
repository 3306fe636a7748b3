//! Conditional requests: content that is called by its digest never changes, so its entity tag is
//! the digest.

use hyper::HeaderMap;
use hyper::header::{IF_MATCH, IF_NONE_MATCH, IF_RANGE};

pub(crate) fn entity_tag(digest: &impl std::fmt::Display) -> String {
    format!("\"{digest}\"")
}

/// What the conditions of a request come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    Met,
    /// The client has it.
    NotModified,
    /// It is not what the client wants to go on with.
    Failed,
}

pub(crate) fn check(headers: &HeaderMap, tag: &str) -> Condition {
    let lists = |name| headers.get_all(name).iter().filter_map(|v| v.to_str().ok());
    if headers.contains_key(IF_MATCH) && !lists(IF_MATCH).any(|list| names(list, tag)) {
        return Condition::Failed;
    }
    match lists(IF_NONE_MATCH).any(|list| names(list, tag)) {
        true => Condition::NotModified,
        false => Condition::Met,
    }
}

/// Whether a range is to be honoured: an `If-Range` must name what is here.
pub(crate) fn range_holds(headers: &HeaderMap, tag: &str) -> bool {
    match headers.get(IF_RANGE) {
        None => true,
        Some(value) => value.to_str().is_ok_and(|value| value.trim() == tag),
    }
}

fn names(list: &str, tag: &str) -> bool {
    list.split(',').map(str::trim).any(|item| {
        let strong = item.strip_prefix("W/").unwrap_or(item);
        // Old clients send the digest without quotes.
        strong == "*" || strong == tag || strong == tag.trim_matches('"')
    })
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderName, HeaderValue};

    use super::*;

    fn with(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn conditions_compare_entity_tags() {
        let tag = "\"sha256:aa\"";
        let none = |value| check(&with(IF_NONE_MATCH, value), tag);
        assert_eq!(none("\"sha256:aa\""), Condition::NotModified);
        assert_eq!(none("\"x\", W/\"sha256:aa\""), Condition::NotModified);
        assert_eq!(none("sha256:aa"), Condition::NotModified);
        assert_eq!(none("*"), Condition::NotModified);
        assert_eq!(none("\"sha256:bb\""), Condition::Met);
        assert_eq!(check(&HeaderMap::new(), tag), Condition::Met);
        assert_eq!(check(&with(IF_MATCH, "\"x\""), tag), Condition::Failed);
        assert_eq!(check(&with(IF_MATCH, "\"sha256:aa\""), tag), Condition::Met);
        assert!(range_holds(&with(IF_RANGE, "\"sha256:aa\""), tag));
        assert!(!range_holds(&with(IF_RANGE, "\"sha256:bb\""), tag));
    }
}
