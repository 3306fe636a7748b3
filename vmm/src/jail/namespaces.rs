//! Namespaces of the process's own, and the parent that announces it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use hull_protocol::frame;
use hull_protocol::vmm::{Jail, Started};

use super::{JailError, Step, check};

const FLAGS: libc::c_int = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS;

/// From `linux/sched.h`; it does not fit the type of libc's own.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Goes on in a child with namespaces of its own, as user 0 of a user namespace in which that
/// stands for `uid` and nothing else exists. The parent never returns.
pub(super) fn split(jail: &Jail, started: RawFd) -> Result<(), JailError> {
    let (mut go, mut mapped) = pipe().step("make a pipe")?;
    let pid = clone(jail.cgroup)
        .step("make namespaces in the VM's cgroup (are user namespaces allowed on this host?)")?;
    if pid != 0 {
        drop(go);
        parent(pid as u32, jail.uid, &mut mapped, started);
    }
    drop(mapped);
    // The engine's socket is the parent's alone, and the cgroup has been joined.
    for fd in [Some(started), jail.cgroup].into_iter().flatten() {
        // SAFETY: nothing else in this process uses the descriptor.
        unsafe { libc::close(fd) };
    }
    go.read_exact(&mut [0]).step("wait for the uid mapping")?;
    become_mapped_root().step("become the jail's user")?;
    // Only now: a cgroup namespace begins at the cgroup of who makes it, and clone makes its
    // namespaces before it moves the child.
    // SAFETY: a plain number.
    check(unsafe { libc::unshare(libc::CLONE_NEWCGROUP) }.into()).step("hide the cgroups")?;
    Ok(())
}

/// Forks into namespaces, and into the cgroup at once: to move there later would wait for every
/// processor of the host.
fn clone(cgroup: Option<RawFd>) -> io::Result<libc::c_long> {
    // SAFETY: an all-zero structure is valid: no flags, no stack.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = FLAGS as u64;
    arguments.exit_signal = libc::SIGCHLD as u64;
    if let Some(cgroup) = cgroup.and_then(|fd| u64::try_from(fd).ok()) {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = cgroup;
    }
    let size = size_of::<libc::clone_args>();
    // SAFETY: the structure lives for the call. The process has one thread, so the child is a
    // whole copy; no stack is passed, as for fork.
    check(unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size) })
}

fn parent(pid: u32, uid: u32, mapped: &mut File, started: RawFd) -> ! {
    let result = announce(pid, uid, mapped, started);
    let code = match result {
        Ok(()) => 0,
        Err(e) => {
            eprintln!("hull-vmm: cannot jail the VM: map its user and announce it: {e}");
            // The child waits for the mapping; without it, it must not run.
            // SAFETY: the child has not been waited for, so the pid is its own.
            unsafe { libc::kill(pid as libc::pid_t, libc::SIGKILL) };
            2
        }
    };
    // SAFETY: ends the process without running the child's copies of exit handlers.
    unsafe { libc::_exit(code) }
}

fn announce(pid: u32, uid: u32, mapped: &mut File, started: RawFd) -> io::Result<()> {
    let map = format!("0 {uid} 1\n");
    std::fs::write(format!("/proc/{pid}/gid_map"), &map)?;
    std::fs::write(format!("/proc/{pid}/uid_map"), &map)?;
    // SAFETY: the descriptor is the configuration's, and only this process uses it.
    let mut socket = unsafe { File::from_raw_fd(started) };
    frame::write(&mut socket, &Started { pid })?;
    mapped.write_all(&[1])?;
    // The engine closes its end once it holds the child by a pidfd. Until then the child, even
    // dead, is not reaped, so its pid means it and nobody else.
    let mut byte = [0];
    while !matches!(socket.read(&mut byte), Ok(0) | Err(_)) {}
    Ok(())
}

fn become_mapped_root() -> io::Result<()> {
    // SAFETY: plain system calls on the calling process.
    check(unsafe { libc::syscall(libc::SYS_setgroups, 0, 0) })?;
    // SAFETY: as above.
    check(unsafe { libc::syscall(libc::SYS_setresgid, 0, 0, 0) })?;
    // SAFETY: as above.
    check(unsafe { libc::syscall(libc::SYS_setresuid, 0, 0, 0) })?;
    // SAFETY: as above. Its own session: no signal of a terminal reaches it.
    check(unsafe { libc::setsid() }.into())?;
    Ok(())
}

fn pipe() -> io::Result<(File, File)> {
    let mut fds = [-1; 2];
    // SAFETY: the array has room for the two descriptors.
    check(unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) }.into())?;
    // SAFETY: both were just made and are nobody else's.
    let read = unsafe { OwnedFd::from_raw_fd(fds[0]) };
    // SAFETY: as above.
    let write = unsafe { OwnedFd::from_raw_fd(fds[1]) };
    debug_assert!(read.as_raw_fd() != write.as_raw_fd());
    Ok((File::from(read), File::from(write)))
}
