//! Where a copy goes: pure, from what is at both ends.

use super::place::{asserts_folder, split};

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum There {
    Nothing,
    Folder,
    /// Anything else.
    File,
}

/// In which folder the archive is unpacked, and what the first part of its names becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) folder: String,
    pub(crate) rename: Option<String>,
}

/// `source` is a folder or a file; `target` is what there is at `path`.
pub(crate) fn plan(source: There, target: There, path: &str) -> Result<Plan, &'static str> {
    match (source, target) {
        (_, There::Folder) => Ok(Plan {
            folder: path.to_owned(),
            rename: None,
        }),
        (There::Folder, There::File) => Err("cannot copy directory"),
        (There::File | There::Nothing, There::Nothing) if asserts_folder(path) => {
            Err("no such directory")
        }
        _ => {
            let (folder, base) = split(path);
            Ok(Plan {
                folder,
                rename: Some(base),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_dockers_table() {
        let to = |folder: &str, rename: Option<&str>| {
            Ok(Plan {
                folder: folder.into(),
                rename: rename.map(str::to_owned),
            })
        };
        for (source, target, path, result) in [
            (There::File, There::Nothing, "/a/b", to("/a", Some("b"))),
            (
                There::File,
                There::Nothing,
                "/a/b/",
                Err("no such directory"),
            ),
            (There::File, There::File, "/a/b", to("/a", Some("b"))),
            (There::File, There::Folder, "/a/b", to("/a/b", None)),
            (There::Folder, There::Nothing, "/a/b", to("/a", Some("b"))),
            (There::Folder, There::Nothing, "/a/b/", to("/a", Some("b"))),
            (
                There::Folder,
                There::File,
                "/a/b",
                Err("cannot copy directory"),
            ),
            (There::Folder, There::Folder, "/a/b", to("/a/b", None)),
        ] {
            assert_eq!(
                plan(source, target, path),
                result,
                "{source:?} {target:?} {path}"
            );
        }
    }
}
