//! Files of this host as a tar. Blocks.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use tar::Builder;

/// Writes what is at `path`, and all below it, under the name `name`.
pub(crate) fn pack(path: &Path, name: &str, out: impl Write) -> io::Result<()> {
    let mut tar = Builder::new(out);
    tar.follow_symlinks(false);
    let mut waiting = vec![(path.to_owned(), PathBuf::from(name))];
    while let Some((path, name)) = waiting.pop() {
        let kind = fs::symlink_metadata(&path)?.file_type();
        if kind.is_socket() {
            // Nothing without the process behind it.
            continue;
        }
        if kind.is_dir() {
            tar.append_dir(&name, &path)?;
            let mut below = fs::read_dir(&path)?.collect::<io::Result<Vec<_>>>()?;
            below.sort_by_key(|entry| std::cmp::Reverse(entry.file_name()));
            let below = below.iter().map(|e| (e.path(), name.join(e.file_name())));
            waiting.extend(below);
        } else {
            tar.append_path_with_name(&path, &name)?;
        }
    }
    tar.into_inner()?.flush()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_tree_is_packed_under_another_name() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("d/e")).unwrap();
        fs::write(folder.path().join("d/e/f"), "x").unwrap();
        symlink("/nowhere", folder.path().join("d/l")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("d/s")).unwrap();
        for (name, names) in [
            ("new", vec!["new/", "new/e/", "new/e/f", "new/l"]),
            (".", vec!["./", "./e/", "./e/f", "./l"]),
        ] {
            let mut out = Vec::new();
            pack(&folder.path().join("d"), name, &mut out).unwrap();
            let mut tar = tar::Archive::new(&out[..]);
            let found: Vec<String> = tar
                .entries()
                .unwrap()
                .map(|e| String::from_utf8(e.unwrap().path_bytes().into_owned()).unwrap())
                .collect();
            let normal = |s: &str| s.trim_matches(&['.', '/'][..]).to_owned();
            let normal = |all: Vec<String>| all.iter().map(|s| normal(s)).collect::<Vec<_>>();
            let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
            assert_eq!(normal(found), normal(names), "{name}");
        }
    }
}
