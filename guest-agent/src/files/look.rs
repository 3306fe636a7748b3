//! What is at a path of the container, in Docker's terms. To be called inside the cage.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use hull_protocol::files::PathStat;

use super::{FilesError, Step};

/// As many as Go follows.
const MAX_LINKS: usize = 255;

/// A path as a user wrote it, made absolute and cleaned. A `/` or `/.` at its end says "what the
/// link leads to", so it is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) path: PathBuf,
    follow: bool,
}

impl Wanted {
    pub(super) fn new(given: &str) -> Self {
        let mut path = PathBuf::from("/");
        for component in Path::new(given).components() {
            match component {
                Component::Normal(part) => path.push(part),
                Component::ParentDir => drop(path.pop()),
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
        let follow = given.ends_with('/') || given.ends_with("/.");
        Self { path, follow }
    }

    /// The last part, `/` for the root.
    pub(super) fn name(&self) -> String {
        let name = self.path.file_name();
        name.map_or_else(
            || "/".to_owned(),
            |name| name.to_string_lossy().into_owned(),
        )
    }

    /// What to open: links followed as far as they are meant to be.
    pub(super) fn place(&self) -> Result<(PathBuf, fs::Metadata), FilesError> {
        let found = if self.follow {
            fs::metadata(&self.path).and_then(|metadata| match metadata.is_dir() {
                true => Ok((end(&self.path), metadata)),
                // As the kernel sees a path with a slash at its end.
                false => Err(io::Error::from_raw_os_error(libc::ENOTDIR)),
            })
        } else {
            fs::symlink_metadata(&self.path).map(|metadata| (self.path.clone(), metadata))
        };
        match found {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                Err(FilesError::NoSuchPath(self.path.display().to_string()))
            }
            other => other.step("lstat", self.path.display()),
        }
    }

    /// What is there.
    pub(super) fn stat(&self) -> Result<PathStat, FilesError> {
        let (place, metadata) = self.place()?;
        let link_target = match metadata.is_symlink() {
            true => end(&place).to_string_lossy().into_owned(),
            false => String::new(),
        };
        Ok(PathStat {
            name: self.name(),
            size: metadata.size(),
            mode: metadata.mode(),
            mtime: metadata
                .mtime()
                .saturating_mul(1_000_000_000)
                .saturating_add(metadata.mtime_nsec()),
            link_target,
        })
    }
}

/// Where all links of an absolute path lead, whether something is there or not.
pub(super) fn end(path: &Path) -> PathBuf {
    let mut rest: Vec<PathBuf> = reversed(path);
    let mut found = PathBuf::from("/");
    let mut links = 0;
    while let Some(part) = rest.pop() {
        if part == Path::new("/") {
            found = part;
        } else if part == Path::new("..") {
            found.pop();
        } else {
            found.push(part);
            match fs::read_link(&found) {
                Ok(target) if links < MAX_LINKS => {
                    links += 1;
                    found.pop();
                    rest.extend(reversed(&target));
                }
                // Not a link, not there, or a loop that opening it will tell about.
                _ => {}
            }
        }
    }
    found
}

fn reversed(path: &Path) -> Vec<PathBuf> {
    let mut parts: Vec<PathBuf> = path
        .components()
        .filter(|part| *part != Component::CurDir)
        .map(|part| PathBuf::from(part.as_os_str()))
        .collect();
    parts.reverse();
    parts
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::cage;
    use super::*;

    fn check(given: &str, path: &str, name: &str) {
        let wanted = Wanted::new(given);
        assert_eq!(
            (wanted.path.to_str().unwrap(), &*wanted.name()),
            (path, name),
            "{given}"
        );
    }

    #[test]
    fn paths_are_cleaned_as_dockers() {
        check("/a/b", "/a/b", "b");
        check("a/b/", "/a/b", "b");
        check("/a/./b/.", "/a/b", "b");
        check("../../etc", "/etc", "etc");
        check("/", "/", "/");
        check(".", "/", "/");
        check("/a/..", "/", "/");
    }

    #[test]
    fn links_are_followed_only_where_that_is_meant() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("real/inner")).unwrap();
        fs::write(folder.path().join("real/file"), "12345").unwrap();
        for (target, link) in [
            ("real", "relative"),
            ("/real/../real/inner", "absolute"),
            ("../../../..", "real/up"),
            ("/nowhere/at/all", "dangling"),
            ("loop", "loop"),
            ("real/file", "to-file"),
        ] {
            symlink(target, folder.path().join(link)).unwrap();
        }
        let stat = |path: &'static str| {
            cage::inside(folder.path(), move || Wanted::new(path).stat()).map_err(|e| e.to_string())
        };
        let target = |path| stat(path).unwrap().link_target;
        assert_eq!(target("/relative"), "/real");
        assert_eq!(target("/absolute"), "/real/inner");
        assert_eq!(target("/relative/up"), "/");
        assert_eq!(target("/dangling"), "/nowhere/at/all");
        assert_eq!(target("/loop"), "/loop");
        assert_eq!(target("/relative/"), "");
        let file = stat("/relative/file").unwrap();
        assert_eq!(
            (file.size, file.mode & libc::S_IFMT, &*file.name),
            (5, libc::S_IFREG, "file")
        );
        let folder = stat("/relative/.").unwrap();
        assert_eq!(
            (folder.mode & libc::S_IFMT, &*folder.name),
            (libc::S_IFDIR, "relative")
        );
        assert_eq!(
            stat("/gone").unwrap_err(),
            "no such file or directory: /gone"
        );
        assert_eq!(
            stat("/to-file/").unwrap_err(),
            "lstat /to-file: not a directory"
        );
    }
}
