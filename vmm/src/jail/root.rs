//! An empty root: nothing to find, nothing to open.

use std::ffi::CStr;
use std::ptr;

use super::{JailError, Step, check};

/// Replaces the root of the (own) mount namespace by an empty, read-only tmpfs.
pub(super) fn empty() -> Result<(), JailError> {
    mount(None, c"/", None, libc::MS_REC | libc::MS_PRIVATE, None).step("make mounts private")?;
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    // Any folder will do, and /proc is on every host; only this namespace sees what covers it.
    let options = Some(c"size=4k,nr_inodes=2,mode=500");
    mount(Some(c"none"), c"/proc", Some(c"tmpfs"), flags, options).step("mount an empty root")?;
    // SAFETY: the path is a constant.
    check(unsafe { libc::chdir(c"/proc".as_ptr()) }.into()).step("enter the empty root")?;
    let here = c".".as_ptr();
    // SAFETY: both paths are constants. The old root ends up mounted over the new one.
    check(unsafe { libc::syscall(libc::SYS_pivot_root, here, here) }).step("pivot the root")?;
    // SAFETY: the path is a constant.
    check(unsafe { libc::umount2(here, libc::MNT_DETACH) }.into()).step("drop the old root")?;
    let remount = flags | libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY;
    mount(None, c"/", None, remount, None).step("make the empty root read-only")?;
    // SAFETY: the path is a constant.
    check(unsafe { libc::chdir(c"/".as_ptr()) }.into()).step("enter the empty root")?;
    Ok(())
}

fn mount(
    source: Option<&CStr>,
    target: &CStr,
    kind: Option<&CStr>,
    flags: libc::c_ulong,
    options: Option<&CStr>,
) -> std::io::Result<()> {
    let pointer = |text: Option<&CStr>| text.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: every pointer is null or a live C string.
    let result = unsafe {
        libc::mount(
            pointer(source),
            target.as_ptr(),
            pointer(kind),
            flags,
            pointer(options).cast(),
        )
    };
    check(result.into()).map(drop)
}
