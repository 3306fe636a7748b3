//! Paths as they stand in archives: byte strings, cleaned by their text alone.
//!
//! As Docker does it: a leading `/` means the layer's root, `.` and doubled slashes vanish, `a/..`
//! cancels out *before* any symlink is looked at, and a `..` that is left over is a breakout.

use crate::builder::BuildError;
use crate::meta::Limits;

/// The components of `path` below the root; none for the root itself.
pub(crate) fn clean<'a>(path: &'a [u8], limits: &Limits) -> Result<Vec<&'a [u8]>, BuildError> {
    if path.contains(&0) {
        return Err(BuildError::NulInPath { path: text(path) });
    }
    if path.len() > limits.path {
        return Err(BuildError::PathTooLong {
            length: path.len(),
            limit: limits.path,
        });
    }
    let mut components = Vec::new();
    for component in path.split(|&byte| byte == b'/') {
        match component {
            b"" | b"." => {}
            // Above an absolute path's root there is only the root again.
            b".." => {
                if components.pop().is_none() && !path.starts_with(b"/") {
                    return Err(BuildError::Breakout { path: text(path) });
                }
            }
            name if name.len() > limits.name => {
                return Err(BuildError::NameTooLong {
                    name: text(name),
                    limit: limits.name,
                });
            }
            name => components.push(name),
        }
    }
    Ok(components)
}

/// For messages only.
pub(crate) fn text(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: &str) {
        let joined = clean(path.as_bytes(), &Limits::default())
            .map(|components| text(&components.join(&b'/')));
        assert_eq!(
            joined.unwrap_or_else(|error| error.to_string()),
            expected,
            "{path:?}"
        );
    }

    #[test]
    fn paths_are_cleaned_as_docker_cleans_them() {
        check("", "");
        check(".", "");
        check("./", "");
        check("/", "");
        check("a", "a");
        check("./a/b", "a/b");
        check("a/b/", "a/b");
        check("a//b", "a/b");
        check("a/./b", "a/b");
        check("/etc/passwd", "etc/passwd");
        check("a/../b", "b");
        check("a/b/../../c", "c");
        check("a/..", "");
        check("/../etc", "etc");
        check("...", "...");
        check("..a/b..", "..a/b..");
    }

    #[test]
    fn paths_that_leave_the_root_are_refused() {
        for path in ["..", "../a", "a/../..", "./../a", "a/../../b"] {
            let breakout = format!("path {path:?} breaks out of the layer's root");
            check(path, &breakout);
        }
    }

    #[test]
    fn nul_and_overlong_paths_are_refused() {
        check("a\0b", "path \"a\\0b\" holds a NUL byte");
        check(&"a/".repeat(2049), "path of 4098 bytes is longer than 4096");
        let long = "n".repeat(256);
        check(&long, &format!("name {long:?} is longer than 255 bytes"));
    }
}
