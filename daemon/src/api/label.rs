//! Label filters: `key`, or `key=value`.

/// Whether all filters hold for the labels that `get` looks up.
pub(super) fn all<'l>(filters: &[String], get: impl Fn(&str) -> Option<&'l str>) -> bool {
    filters.iter().all(|filter| match filter.split_once('=') {
        Some((key, value)) => get(key) == Some(value),
        None => get(filter).is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_count_where_they_are_given() {
        let get = |key: &str| (key == "k").then_some("v");
        let check = |filters: &[&str]| {
            all(
                &filters.iter().map(|f| (*f).to_owned()).collect::<Vec<_>>(),
                get,
            )
        };
        assert!(check(&[]) && check(&["k"]) && check(&["k=v", "k"]));
        assert!(!check(&["k=w"]) && !check(&["x"]) && !check(&["k", "x"]));
    }
}
