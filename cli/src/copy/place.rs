//! One argument of `cp`, and paths as Docker splits them.

/// What an argument names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A path of this host, or `-`.
    Here(String),
    /// A path in a container.
    There { container: String, path: String },
}

impl Place {
    pub(crate) fn parse(argument: &str) -> Place {
        let here = || Place::Here(argument.to_owned());
        if argument.starts_with('/') {
            return here();
        }
        match argument.split_once(':') {
            // `./a:b` is a file here.
            Some((container, path)) if !container.starts_with('.') => Place::There {
                container: container.to_owned(),
                path: path.to_owned(),
            },
            _ => here(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Place::Here(path) => path.is_empty(),
            Place::There { path, .. } => path.is_empty(),
        }
    }
}

/// Folder and last part of a path; `.` is the last part of `a/.`, and of what is empty.
pub(crate) fn split(path: &str) -> (String, String) {
    let current = path == "." || path.ends_with("/.");
    let mut parts: Vec<&str> = Vec::new();
    let rooted = path.starts_with('/');
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let base = match current {
        true => Some("."),
        false => parts.pop(),
    };
    let folder = match (rooted, parts.is_empty()) {
        (true, true) => "/".to_owned(),
        (true, false) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    };
    (folder, base.unwrap_or(".").to_owned())
}

/// Whether a path can only mean a folder.
pub(crate) fn asserts_folder(path: &str) -> bool {
    path.ends_with('/') || path == "." || path.ends_with("/.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_comes_before_a_colon() {
        let there = |container: &str, path: &str| Place::There {
            container: container.into(),
            path: path.into(),
        };
        for (argument, place) in [
            ("c:/x", there("c", "/x")),
            ("c:x:y", there("c", "x:y")),
            ("c:", there("c", "")),
            ("/a:b", Place::Here("/a:b".into())),
            ("./a:b", Place::Here("./a:b".into())),
            ("a", Place::Here("a".into())),
            ("-", Place::Here("-".into())),
        ] {
            assert_eq!(Place::parse(argument), place);
        }
    }

    #[test]
    fn paths_split_as_dockers() {
        for (path, folder, base) in [
            ("/a/b", "/a", "b"),
            ("/a/b/", "/a", "b"),
            ("/a/b/.", "/a/b", "."),
            ("/a", "/", "a"),
            ("/", "/", "."),
            ("a", ".", "a"),
            (".", ".", "."),
            ("a/../b", ".", "b"),
            ("../x", "..", "x"),
            ("/../x", "/", "x"),
        ] {
            assert_eq!(split(path), (folder.into(), base.into()), "{path}");
        }
    }
}
