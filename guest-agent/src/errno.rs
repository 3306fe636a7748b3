//! The texts of error numbers as Docker's users know them: Go's, lower case and without the
//! number.

/// The words for an error number.
pub(crate) fn text(errno: i32) -> String {
    let known = match errno {
        libc::EPERM => "operation not permitted",
        libc::ENOENT => "no such file or directory",
        libc::EIO => "input/output error",
        libc::E2BIG => "argument list too long",
        libc::ENOEXEC => "exec format error",
        libc::ENOMEM => "cannot allocate memory",
        libc::EACCES => "permission denied",
        libc::EBUSY => "device or resource busy",
        libc::EEXIST => "file exists",
        libc::ENODEV => "no such device",
        libc::ENOTDIR => "not a directory",
        libc::EISDIR => "is a directory",
        libc::EINVAL => "invalid argument",
        libc::ETXTBSY => "text file busy",
        libc::ENOSPC => "no space left on device",
        libc::EROFS => "read-only file system",
        libc::ENAMETOOLONG => "file name too long",
        libc::ELOOP => "too many levels of symbolic links",
        libc::ENOSYS => "function not implemented",
        _ => return fallback(errno),
    };
    known.to_owned()
}

/// The words for an I/O error.
pub(crate) fn of(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(errno) => text(errno),
        None => error.to_string(),
    }
}

fn fallback(errno: i32) -> String {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_lowercase(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_go_style() {
        assert_eq!(text(libc::ENOENT), "no such file or directory");
        assert_eq!(text(libc::EMFILE), "too many open files");
    }
}
