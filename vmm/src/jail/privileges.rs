//! Limits and the loss of every right.

use std::io;

use super::{JailError, Step, check};

const HIGHEST_CAPABILITY: libc::c_ulong = 63;
/// `_LINUX_CAPABILITY_VERSION_3`.
const CAPABILITY_VERSION: u32 = 0x2008_0522;

/// Descriptors: those of the configuration, eventfds, and the guest's connections.
const MAX_FILES: u64 = 4096;

/// Resource limits that hold whatever happens later.
pub(super) fn limit() -> Result<(), JailError> {
    set(libc::RLIMIT_CORE, 0).step("forbid core dumps")?;
    set(libc::RLIMIT_NOFILE, MAX_FILES).step("limit descriptors")?;
    set(libc::RLIMIT_MEMLOCK, 0).step("forbid locked memory")?;
    set(libc::RLIMIT_MSGQUEUE, 0).step("forbid message queues")
}

fn set(resource: libc::__rlimit_resource_t, value: u64) -> io::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: value,
        rlim_max: value,
    };
    // SAFETY: the structure lives for the call.
    check(unsafe { libc::setrlimit(resource, &raw const limit) }.into()).map(drop)
}

/// Gives up every capability for good.
pub(super) fn drop_all() -> Result<(), JailError> {
    for capability in 0..=HIGHEST_CAPABILITY {
        if control(libc::PR_CAPBSET_DROP, capability).is_err() {
            break; // the kernel knows no higher one
        }
    }
    let clear = libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong;
    control(libc::PR_CAP_AMBIENT, clear).step("clear ambient capabilities")?;
    clear_capabilities().step("clear capabilities")?;
    control(libc::PR_SET_NO_NEW_PRIVS, 1).step("set no_new_privs")?;
    control(libc::PR_SET_DUMPABLE, 0).step("forbid tracing")
}

fn control(option: libc::c_int, value: libc::c_ulong) -> io::Result<()> {
    // SAFETY: these options take plain numbers.
    check(unsafe { libc::prctl(option, value, 0, 0, 0) }.into()).map(drop)
}

fn clear_capabilities() -> io::Result<()> {
    let header = [CAPABILITY_VERSION, 0];
    // Two of effective, permitted, inheritable.
    let data = [0u32; 6];
    // SAFETY: header and data have the layout of version 3 and live for the call.
    check(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), data.as_ptr()) }).map(drop)
}
