//! Query strings, with Docker's idea of booleans and numbers.

use std::num::{IntErrorKind, ParseIntError};

use hyper::StatusCode;

use super::ApiError;

/// The parameters of a request, in order, decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(query: Option<&str>) -> Self {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        Self(pairs.into_owned().collect())
    }

    /// The first value, also an empty one.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The first value that is not empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|v| !v.is_empty())
    }

    /// Every value of a parameter that may come more than once.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    /// Docker's booleans: everything is true but absence, the empty string and four words.
    pub(crate) fn flag(&self, name: &str) -> bool {
        let value = self
            .get(name)
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        !matches!(value.as_str(), "" | "0" | "no" | "false" | "none")
    }

    /// A whole number, if there is one. What is none is a failure of the server's, as in Docker.
    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let parsed = self.text(name).map(|value| {
            value.parse().map_err(|error: ParseIntError| {
                let message = format!("strconv.Atoi: parsing {value:?}: {}", why(&error));
                ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, message)
            })
        });
        parsed.transpose()
    }

    /// A side of a terminal, which must be there and is called so.
    pub(crate) fn side(&self, name: &str, called: &str) -> Result<u16, ApiError> {
        let value = self.get(name).unwrap_or_default();
        value.parse().map_err(|error: ParseIntError| {
            let why = match value.parse::<i128>() {
                Ok(_) => "value out of range",
                Err(_) => why(&error),
            };
            ApiError::bad_request(format!("invalid resize {called} {value:?}: {why}"))
        })
    }

    /// A number, if there is one.
    pub(crate) fn number<N: std::str::FromStr>(&self, name: &str) -> Result<Option<N>, ApiError> {
        let Some(value) = self.text(name) else {
            return Ok(None);
        };
        match value.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(ApiError::bad_request(format!(
                "invalid {name} {value:?}: invalid syntax"
            ))),
        }
    }
}

/// In Go's words.
fn why(error: &ParseIntError) -> &'static str {
    match error.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
        _ => "invalid syntax",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_none_are_told_in_gos_words() {
        let query = Query::parse(Some("t=5&x=a&big=99999999999999999999&neg=-1&h=24&w=70000"));
        assert_eq!(query.integer("t").unwrap(), Some(5));
        assert_eq!(query.integer("neg").unwrap(), Some(-1));
        assert_eq!(query.integer("absent").unwrap(), None);
        let failed = |name: &str| {
            let error = query.integer(name).unwrap_err();
            (error.status.as_u16(), error.message)
        };
        assert_eq!(
            failed("x"),
            (500, r#"strconv.Atoi: parsing "a": invalid syntax"#.into())
        );
        assert_eq!(
            failed("big").1,
            r#"strconv.Atoi: parsing "99999999999999999999": value out of range"#
        );
        assert_eq!(query.side("h", "height").unwrap(), 24);
        for (name, why) in [
            ("w", r#""70000": value out of range"#),
            ("neg", r#""-1": value out of range"#),
            ("x", r#""a": invalid syntax"#),
            ("absent", r#""": invalid syntax"#),
        ] {
            let error = query.side(name, "width").unwrap_err();
            assert_eq!(error.message, format!("invalid resize width {why}"));
        }
    }

    #[test]
    fn booleans_are_dockers() {
        let query = Query::parse(Some("a=1&b=true&c=0&d=False&e=none&f=&g=yes&h"));
        let read = |n: &str| query.flag(n);
        assert_eq!(["a", "b", "g"].map(read), [true; 3]);
        assert_eq!(["c", "d", "e", "f", "h", "absent"].map(read), [false; 6]);
    }

    #[test]
    fn values_are_decoded_and_may_repeat() {
        let query = Query::parse(Some("changes=CMD+%5B%22sh%22%5D&changes=ENV+A%3D1&repo="));
        assert_eq!(
            query.all("changes").collect::<Vec<_>>(),
            ["CMD [\"sh\"]", "ENV A=1"]
        );
        assert_eq!(query.get("repo"), Some(""));
        assert_eq!(query.text("repo"), None);
    }

    #[test]
    fn numbers_that_are_none_are_refused() {
        let query = Query::parse(Some("h=24&w=wide&t=-1"));
        assert_eq!(query.number::<u16>("h").unwrap(), Some(24));
        assert_eq!(query.number::<i64>("t").unwrap(), Some(-1));
        assert_eq!(query.number::<u16>("x").unwrap(), None);
        assert!(query.number::<u16>("w").is_err());
        assert!(query.number::<u16>("t").is_err());
    }
}
