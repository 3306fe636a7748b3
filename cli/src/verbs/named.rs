//! Verbs that do one thing to each of the containers or images that were named.

use std::future::Future;
use std::io::Write;

use futures_util::StreamExt;
use futures_util::stream;

use crate::api::{Error, path_escape};
use crate::failure::Failure;

/// How the named ones are gone through.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    at_once: usize,
    /// What is not there is told, but is no failure.
    missing_is_fine: bool,
}

/// As many at a time as Docker has under way.
pub(super) const TOGETHER: Manner = Manner {
    at_once: 50,
    missing_is_fine: false,
};
pub(super) const ONE_BY_ONE: Manner = Manner {
    at_once: 1,
    missing_is_fine: false,
};
/// For `--force`: to be gone is what was asked for.
pub(super) const FORCED: Manner = Manner {
    at_once: 50,
    missing_is_fine: true,
};

/// Acts on each and tells how each went in the order of the names. One
/// failure does not spare the others, but no daemon at all is said only once.
pub(super) async fn each<'a, F, Fut>(
    names: &'a [String],
    manner: Manner,
    act: F,
) -> Result<u8, Failure>
where
    F: Fn(&'a str) -> Fut,
    Fut: Future<Output = Result<String, Error>>,
{
    let mut outcomes = stream::iter(names.iter().map(|name| act(name))).buffered(manner.at_once);
    let mut status = 0;
    while let Some(outcome) = outcomes.next().await {
        match outcome {
            Ok(line) => writeln!(std::io::stdout(), "{line}")?,
            Err(error) if error.is_unreachable() => return Err(error.into()),
            Err(error) => {
                writeln!(std::io::stderr(), "{error}")?;
                if !(manner.missing_is_fine && error.is_not_found()) {
                    status = 1;
                }
            }
        }
    }
    Ok(status)
}

/// A container's name or id, fit for a path. One that cannot exist is not asked for: `..` or a
/// slash would make another path of it.
pub(super) fn container(name: &str) -> Result<String, Error> {
    let bare = name.trim().trim_start_matches('/');
    if bare.is_empty() {
        return Err(Error::Told {
            message: "invalid container name or ID: value is empty".into(),
        });
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    if !bare.bytes().all(plain) || bare.starts_with('.') {
        let message = format!("No such container: {name}");
        return Err(Error::Daemon {
            status: 404,
            message,
        });
    }
    Ok(bare.to_owned())
}

/// An image's name or id, fit for a path.
pub(super) fn image(name: &str) -> Result<String, Error> {
    let climbs = |part: &str| part.is_empty() || part == "." || part == "..";
    if name.split('/').any(climbs) {
        return Err(Error::Told {
            message: "invalid reference format".into(),
        });
    }
    Ok(path_escape(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_place_in_a_path() {
        for name in ["..", "a/b", "a?b", "a#b", "%2e", ".", "é"] {
            let error = container(name).expect_err(name);
            assert_eq!(
                error.to_string(),
                format!("Error response from daemon: No such container: {name}")
            );
        }
        assert_eq!(container("/web_1.a").expect("a name"), "web_1.a");
        assert!(container(" ").is_err());
        assert!(image("a/../b").is_err() && image("").is_err());
        assert_eq!(
            image("localhost:5000/x:1").expect("a name"),
            "localhost:5000/x:1"
        );
    }
}
