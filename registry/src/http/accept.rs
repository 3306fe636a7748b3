//! `Accept`: which media types a client takes. Weights do not matter here: there is one answer.

use hyper::HeaderMap;
use hyper::header::ACCEPT;

/// What a client takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Accepted(Option<Vec<String>>);

impl Accepted {
    pub(crate) fn of(headers: &HeaderMap) -> Accepted {
        if !headers.contains_key(ACCEPT) {
            return Accepted(None);
        }
        let values = headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|v| v.to_str().ok());
        let types = values
            .flat_map(|value| value.split(','))
            .filter_map(|item| {
                let mut parts = item.split(';').map(str::trim);
                let name = parts.next()?.to_ascii_lowercase();
                let refused = parts.any(|parameter| matches!(parameter, "q=0" | "q=0.0"));
                (!name.is_empty() && !refused).then_some(name)
            });
        Accepted(Some(types.collect()))
    }

    /// Whether the client says this very type.
    pub(crate) fn names(&self, media_type: &str) -> bool {
        let types = self.0.iter().flatten();
        types.into_iter().any(|name| name == media_type)
    }

    pub(crate) fn takes(&self, media_type: &str) -> bool {
        let Some(types) = &self.0 else {
            return true;
        };
        types.iter().any(|name| match name.strip_suffix("/*") {
            Some("*") => true,
            Some(family) => media_type.split('/').next() == Some(family),
            None => name == media_type,
        })
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn types_are_taken_by_name_and_by_star() {
        let accepted = |values: &[&'static str]| {
            let values = values.iter().map(|v| (ACCEPT, HeaderValue::from_static(v)));
            Accepted::of(&values.collect())
        };
        assert!(accepted(&[]).takes("a/b"));
        assert!(accepted(&["x/y, a/b;q=0.5"]).takes("a/b"));
        assert!(accepted(&["x/y", "a/b"]).takes("a/b"));
        assert!(accepted(&["*/*"]).takes("a/b"));
        assert!(accepted(&["a/*"]).takes("a/b"));
        assert!(!accepted(&["a/b;q=0"]).takes("a/b"));
        assert!(!accepted(&["x/*, y/z"]).takes("a/b"));
        assert!(!accepted(&[""]).takes("a/b"));
        assert!(accepted(&["x/y, a/b;q=0.5, */*"]).names("a/b"));
        assert!(!accepted(&["*/*", "a/*", "a/b;q=0"]).names("a/b"));
        assert!(!accepted(&[]).names("a/b"));
    }
}
