//! Finding the program to run, with the texts that Docker's users know.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{Access, AtFlags};
use rustix::io::Errno;

use crate::errno;

/// Why a program cannot be run.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProgramError {
    #[error("no command specified")]
    Empty,
    #[error("exec: \"{0}\": executable file not found in $PATH")]
    NotInPath(String),
    #[error("exec: \"{path}\": stat {path}: {}", errno::text(*errno))]
    Stat { path: String, errno: i32 },
    #[error("exec: \"{path}\": {}", errno::text(*errno))]
    Access { path: String, errno: i32 },
    #[error("exec: \"{0}\": is a directory: permission denied")]
    Directory(String),
    #[error("exec: \"{0}\": the name holds a zero byte")]
    Nul(String),
}

impl ProgramError {
    /// Whether there is no such program, rather than one that may not be run.
    pub(crate) fn is_absent(&self) -> bool {
        match self {
            Self::Empty | Self::NotInPath(_) => true,
            Self::Stat { errno, .. } => *errno == libc::ENOENT,
            _ => false,
        }
    }
}

/// The path to execute for `name`, looked up as the current user in the current root.
pub(crate) fn find(name: &str, env: &[String]) -> Result<CString, ProgramError> {
    let exists = |path: &Path| executable(path);
    find_with(name, env, exists)
}

/// What [`find`] learned about one path.
enum Found {
    Executable,
    Directory,
    NoStat(i32),
    NoAccess(i32),
}

fn executable(path: &Path) -> Found {
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(e) => return Found::NoStat(number(&e)),
    };
    if metadata.is_dir() {
        return Found::Directory;
    }
    match rustix::fs::accessat(rustix::fs::CWD, path, Access::EXEC_OK, AtFlags::EACCESS) {
        Ok(()) => Found::Executable,
        // Filters of old profiles forbid the call itself: then the mode decides.
        Err(Errno::NOSYS | Errno::PERM) => {
            use std::os::unix::fs::PermissionsExt;
            if metadata.permissions().mode() & 0o111 == 0 {
                Found::NoAccess(libc::EACCES)
            } else {
                Found::Executable
            }
        }
        Err(e) => Found::NoAccess(e.raw_os_error()),
    }
}

fn find_with(
    name: &str,
    env: &[String],
    look: impl Fn(&Path) -> Found,
) -> Result<CString, ProgramError> {
    let named = || name.to_owned();
    if name.is_empty() {
        return Err(ProgramError::Empty);
    }
    if name.contains('/') {
        return match look(Path::new(name)) {
            Found::Executable => CString::new(name).map_err(|_| ProgramError::Nul(named())),
            Found::Directory => Err(ProgramError::Directory(named())),
            Found::NoStat(errno) => Err(ProgramError::Stat {
                path: named(),
                errno,
            }),
            Found::NoAccess(errno) => Err(ProgramError::Access {
                path: named(),
                errno,
            }),
        };
    }
    let path = env.iter().rev().find_map(|v| v.strip_prefix("PATH="));
    for dir in path.unwrap_or_default().split(':') {
        let dir = if dir.is_empty() { "." } else { dir };
        let candidate = Path::new(dir).join(name);
        if matches!(look(&candidate), Found::Executable) {
            return CString::new(candidate.into_os_string().as_bytes())
                .map_err(|_| ProgramError::Nul(named()));
        }
    }
    Err(ProgramError::NotInPath(named()))
}

/// The words for an `execve` that failed although the program was found: they go to the
/// process's own stderr, as it has been started by then.
pub(crate) fn exec_failed(path: &OsStr, errno: i32) -> Vec<u8> {
    let mut line = b"exec ".to_vec();
    line.extend_from_slice(path.as_bytes());
    line.extend_from_slice(format!(": {}\n", errno::text(errno)).as_bytes());
    line
}

fn number(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(path: &Path) -> Found {
        match path.to_str() {
            Some("/bin/sh" | "/usr/bin/env" | "./tool") => Found::Executable,
            Some("/etc") => Found::Directory,
            Some("/etc/passwd" | "/usr/bin/sh") => Found::NoAccess(libc::EACCES),
            Some("/bin/sh/x") => Found::NoStat(libc::ENOTDIR),
            _ => Found::NoStat(libc::ENOENT),
        }
    }

    fn check(name: &str, path: &str, expected: Result<&str, &str>) {
        let env = [format!("PATH={path}"), "HOME=/".to_owned()];
        let got = find_with(name, &env, world);
        let got = got
            .map(|p| p.to_str().unwrap().to_owned())
            .map_err(|e| e.to_string());
        assert_eq!(
            got.as_deref().map_err(String::as_str),
            expected,
            "{name} in {path}"
        );
    }

    #[test]
    fn programs_are_looked_up_with_dockers_texts() {
        check("sh", "/usr/bin:/bin", Ok("/bin/sh"));
        check("env", "/usr/bin:/bin", Ok("/usr/bin/env"));
        check("/bin/sh", "", Ok("/bin/sh"));
        check("tool", "", Ok("./tool"));
        check(
            "foo",
            "/bin",
            Err("exec: \"foo\": executable file not found in $PATH"),
        );
        check(
            "passwd",
            "/etc",
            Err("exec: \"passwd\": executable file not found in $PATH"),
        );
        check(
            "/bin/foo",
            "/bin",
            Err("exec: \"/bin/foo\": stat /bin/foo: no such file or directory"),
        );
        check(
            "/bin/sh/x",
            "/bin",
            Err("exec: \"/bin/sh/x\": stat /bin/sh/x: not a directory"),
        );
        check(
            "/etc/passwd",
            "/bin",
            Err("exec: \"/etc/passwd\": permission denied"),
        );
        check(
            "/etc",
            "/bin",
            Err("exec: \"/etc\": is a directory: permission denied"),
        );
    }

    #[test]
    fn absent_programs_are_told_from_forbidden_ones() {
        let error = |name: &str| find_with(name, &[], world).unwrap_err();
        assert!(error("foo").is_absent());
        assert!(error("/foo").is_absent());
        assert!(!error("/etc").is_absent());
        assert!(!error("/etc/passwd").is_absent());
    }

    #[test]
    fn a_failed_execve_reads_as_dockers() {
        let line = exec_failed(OsStr::new("/hello.sh"), libc::ENOEXEC);
        assert_eq!(line, b"exec /hello.sh: exec format error\n");
    }
}
