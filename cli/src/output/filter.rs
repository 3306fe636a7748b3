//! `--filter key=value`, as the API takes it.

use std::collections::HashMap;

/// One filter; its key is trimmed and lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    key: String,
    value: String,
}

impl std::str::FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Filter, String> {
        match text.split_once('=') {
            Some((key, value)) => Ok(Filter {
                key: key.trim().to_lowercase(),
                value: value.trim().to_owned(),
            }),
            None => Err("bad format of filter (expected name=value)".into()),
        }
    }
}

impl std::fmt::Display for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

impl Filter {
    /// Whether it is about this key.
    pub(crate) fn is(&self, key: &str) -> bool {
        self.key == key
    }

    pub(crate) fn new(key: &str, value: &str) -> Filter {
        Filter {
            key: key.to_owned(),
            value: value.to_owned(),
        }
    }
}

pub(crate) fn by_key(filters: &[Filter]) -> Option<HashMap<String, Vec<String>>> {
    let mut found: HashMap<String, Vec<String>> = HashMap::new();
    for Filter { key, value } in filters {
        found.entry(key.clone()).or_default().push(value.clone());
    }
    (!found.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_one_key_are_kept_together() {
        let filters = ["label=a=b", "LABEL = c"].map(|text| text.parse::<Filter>().expect(text));
        let found = by_key(&filters).expect("some");
        assert_eq!(found["label"], ["a=b", "c"]);
        assert!("bogus".parse::<Filter>().is_err());
        assert_eq!(by_key(&[]), None);
    }
}
