//! What comes before and after a value.

use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize, PartialEq, Eq)]
struct Empty {}

impl Shape for Empty {
    const KIND: Kind = Kind::Struct("test.Empty", &[]);
    const NAME: &'static str = "Empty";
}

#[test]
fn nothing_and_null_differ() {
    assert_eq!(decode::<Empty>(b" \n"), Ok(None));
    assert_eq!(decode::<Empty>(b"null\n"), Ok(Some(Empty {})));
}

/// As Docker 28.5.2 has it.
#[test]
fn what_follows_is_refused_unless_it_closes_something() {
    assert_eq!(decode::<Empty>(b"{}}"), Ok(Some(Empty {})));
    assert_eq!(decode::<Empty>(b"{} ]"), Ok(Some(Empty {})));
    for body in ["{}{}", "{} x", "{}\0"] {
        let refused = decode::<Empty>(body.as_bytes());
        assert_eq!(refused, Err(BodyError::MoreFollows), "{body:?}");
    }
}
