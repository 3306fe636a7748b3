//! What each thread may ask of the kernel once the guest runs.
//!
//! One allow-list for each role, written out in `policy.rs`; anything else kills the process. The
//! lists hold what the role does, and what the allocator, a thread's end and panics need. `ioctl`
//! is let through only with one request. Nothing opens a path, makes a process, a thread or a
//! socket. The programs are compiled by the build script.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use libc::sock_filter;

use super::check;
pub(crate) use super::role::Role;

// `PROGRAMS: [&[sock_filter]; 6]`, in the order of `Role::ALL`.
include!(concat!(env!("OUT_DIR"), "/seccomp.rs"));

/// Tests of this crate run every device's thread under its program: a call that it does not let
/// through ends the test.
static ARMED: AtomicBool = AtomicBool::new(cfg!(test));

/// From now on [`enter`] means it. A VMM without a jail, as tests use one, never calls this.
pub(crate) fn arm() {
    ARMED.store(true, Ordering::Release);
}

/// Confines the calling thread for the rest of its life.
///
/// # Panics
/// When the filter cannot be installed: a thread that cannot be confined must not run.
pub(crate) fn enter(role: Role) {
    if !ARMED.load(Ordering::Acquire) {
        return;
    }
    let installed = install(PROGRAMS[role as usize]);
    assert!(
        installed.is_ok(),
        "cannot install the seccomp filter of the {role:?} thread"
    );
}

/// Puts the calling thread under a program. It must have given up new privileges before.
fn install(program: &[sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: program.len() as libc::c_ushort,
        // The kernel only reads it.
        filter: program.as_ptr().cast_mut(),
    };
    let (operation, flags) = (libc::SECCOMP_SET_MODE_FILTER, 0);
    // SAFETY: the program and the structure that names it live for the call.
    check(unsafe { libc::syscall(libc::SYS_seccomp, operation, flags, &raw const program) })
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jail::policy::{EVERY_THREAD, calls, guarded};
    use crate::jail::program::compile;

    #[test]
    fn every_role_has_a_program_in_its_place() {
        for (index, role) in Role::ALL.into_iter().enumerate() {
            assert_eq!(role as usize, index);
            let program = PROGRAMS[index];
            let compiled = compile(&[EVERY_THREAD, calls(role)], &guarded(role)).unwrap();
            let fields = |i: &sock_filter| (i.code, i.jt, i.jf, i.k);
            assert!(
                program.iter().map(fields).eq(compiled.iter().map(fields)),
                "{role:?}"
            );
        }
    }

    /// How a process ends that confines itself to a role and makes a call.
    fn end_of(role: Role, call: libc::c_long) -> libc::c_int {
        // SAFETY: the child makes system calls and nothing else.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            enter(role);
            // SAFETY: the calls that are tried take no pointer that matters.
            unsafe { libc::syscall(call, -1, 0, 0) };
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(0) };
        }
        let mut status = 0;
        // SAFETY: the status is written to a live integer.
        assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
        status
    }

    #[test]
    fn what_a_role_may_do_goes_through_and_what_it_may_not_kills() {
        for role in Role::ALL {
            assert_eq!(end_of(role, libc::SYS_close), 0, "{role:?}");
            for forbidden in [libc::SYS_openat, libc::SYS_socket, libc::SYS_getuid] {
                let status = end_of(role, forbidden);
                assert!(libc::WIFSIGNALED(status), "{role:?}: {forbidden}");
                assert_eq!(libc::WTERMSIG(status), libc::SIGSYS, "{role:?}");
            }
        }
    }

    #[test]
    fn a_vcpu_may_ask_kvm_for_nothing_but_to_run() {
        let requests: Vec<_> = guarded(Role::Vcpu)
            .into_iter()
            .filter(|g| g.call == libc::SYS_ioctl)
            .map(|g| (g.argument, g.value))
            .collect();
        assert_eq!(requests, [(1, 0xae80)]);
        assert!(guarded(Role::Blk).iter().all(|g| g.call != libc::SYS_ioctl));
    }

    #[test]
    fn no_role_can_reach_outside() {
        let outside = [
            libc::SYS_open,
            libc::SYS_openat,
            libc::SYS_openat2,
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_clone,
            libc::SYS_clone3,
            libc::SYS_fork,
            libc::SYS_socket,
            libc::SYS_connect,
            libc::SYS_ptrace,
            libc::SYS_process_vm_readv,
            libc::SYS_mount,
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_bpf,
            libc::SYS_io_uring_setup,
            libc::SYS_keyctl,
            libc::SYS_kill,
        ];
        for role in Role::ALL {
            for call in outside {
                assert!(!EVERY_THREAD.contains(&call) && !calls(role).contains(&call));
                assert!(guarded(role).iter().all(|g| g.call != call));
            }
        }
    }
}
