//! The `filters` parameter: a JSON map in either of the two forms clients send,
//! `{"name":{"web":true}}` (Go) and `{"name":["web"]}` (Python).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::ApiError;

/// Filter names with the values asked for, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filters(BTreeMap<String, Vec<String>>);

#[derive(Deserialize)]
#[serde(untagged)]
enum Values {
    Map(BTreeMap<String, bool>),
    List(Vec<String>),
}

impl Filters {
    pub(crate) fn parse(text: Option<&str>) -> Result<Self, ApiError> {
        let Some(text) = text.filter(|t| !t.is_empty()) else {
            return Ok(Self::default());
        };
        let map: Option<BTreeMap<String, Values>> =
            serde_json::from_str(text).map_err(|_| ApiError::bad_request("invalid filter"))?;
        let map = map.unwrap_or_default();
        let flat = |values| match values {
            Values::Map(map) => map.into_keys().collect(),
            Values::List(list) => list,
        };
        Ok(Self(
            map.into_iter()
                .map(|(name, values)| (name, flat(values)))
                .collect(),
        ))
    }

    /// Every pair of a name and its values.
    pub(crate) fn into_map(self) -> BTreeMap<String, Vec<String>> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&[(&str, &[&str])]>) {
        let got = Filters::parse(Some(text)).ok().map(Filters::into_map);
        let expected = expected.map(|e| {
            let owned = |v: &[&str]| v.iter().map(|s| (*s).to_owned()).collect();
            e.iter().map(|(k, v)| ((*k).to_owned(), owned(v))).collect()
        });
        assert_eq!(got, expected, "{text}");
    }

    #[test]
    fn both_forms_are_read() {
        check("", Some(&[]));
        check("{}", Some(&[]));
        check("null", Some(&[]));
        check(
            r#"{"name":{"a":true,"b":true}}"#,
            Some(&[("name", &["a", "b"])]),
        );
        check(
            r#"{"name":["a"],"label":{"k=v":true}}"#,
            Some(&[("label", &["k=v"]), ("name", &["a"])]),
        );
        check("[]", None);
        check(r#"{"name":"a"}"#, None);
        check("{", None);
    }
}
