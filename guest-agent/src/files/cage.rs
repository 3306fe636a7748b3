//! Work with a folder as root, so that paths and links cannot lead out of it.

use std::path::Path;

use rustix::thread::UnshareFlags;

use super::{FilesError, Step};
use crate::thread::STACK;

/// Does the work on a thread of its own, whose root, working folder and umask are not the agent's.
pub(super) fn inside<T: Send>(
    root: &Path,
    work: impl FnOnce() -> Result<T, FilesError> + Send,
) -> Result<T, FilesError> {
    std::thread::scope(|scope| {
        let caged = move || {
            // SAFETY: only this thread's root, working folder and umask become its own; nothing
            // else that threads share changes.
            unsafe { rustix::thread::unshare_unsafe(UnshareFlags::FS) }.step("unshare", "root")?;
            rustix::process::chroot(root).step("chroot", root.display())?;
            rustix::process::chdir("/").step("chdir", "/")?;
            rustix::process::umask(rustix::fs::Mode::empty());
            work()
        };
        let thread = std::thread::Builder::new()
            .name("files".to_owned())
            .stack_size(STACK);
        let running = thread
            .spawn_scoped(scope, caged)
            .step("start", "a thread")?;
        running
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_link_to_the_outside_leads_inside() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("etc")).unwrap();
        fs::write(folder.path().join("etc/passwd"), "inside").unwrap();
        std::os::unix::fs::symlink("../../../etc/passwd", folder.path().join("link")).unwrap();
        let read = || fs::read_to_string("/link").step("read", "/link");
        assert_eq!(inside(folder.path(), read).unwrap(), "inside");
        assert_ne!(fs::read_to_string("/etc/passwd").unwrap(), "inside");
    }

    #[test]
    fn a_root_that_is_not_there_is_an_error() {
        let gone = inside(Path::new("/nonexistent"), || Ok(()));
        assert!(matches!(gone, Err(FilesError::Step { step: "chroot", .. })));
    }
}
