//! What each thread may ask of the kernel once the guest runs.
//!
//! One allow-list for each role, written out; anything else kills the process. The lists hold
//! what the role does, and what the allocator, thread exit and panics need. `ioctl` is let through
//! only with the requests named here. Nothing opens a path, makes a process, a thread or a socket.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

/// A kind of thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Waits for the end and answers the control socket.
    Main,
    /// Runs a vCPU and answers its exits.
    Vcpu,
    /// Serves layers.
    Fs,
    /// Serves disks.
    Blk,
    /// Gives entropy.
    Rng,
    /// Carries connections.
    Vsock,
}

/// `KVM_RUN`.
const KVM_RUN: u64 = 0xae80;
/// `PR_SET_NAME` is not needed after a thread's start; `PR_SET_VMA` names the allocator's memory.
const PR_SET_VMA: u64 = 0x5356_4d41;

static ARMED: AtomicBool = AtomicBool::new(false);

/// From now on [`enter`] means it. A VMM without a jail, as tests use one, never calls this.
pub fn arm() {
    ARMED.store(true, Ordering::Release);
}

/// Confines the calling thread for the rest of its life.
///
/// # Panics
/// When the filter cannot be installed: a thread that cannot be confined must not run.
pub fn enter(role: Role) {
    if !ARMED.load(Ordering::Acquire) {
        return;
    }
    let installed = filter(role).is_ok_and(|program| seccompiler::apply_filter(&program).is_ok());
    assert!(
        installed,
        "cannot install the seccomp filter of the {role:?} thread"
    );
}

fn filter(role: Role) -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for list in [EVERY_THREAD, calls(role)] {
        for &call in list {
            rules.insert(call, Vec::new());
        }
    }
    let only = |arg, value| -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
        let condition =
            SeccompCondition::new(arg, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)?;
        Ok(vec![SeccompRule::new(vec![condition])?])
    };
    rules.insert(libc::SYS_prctl, only(0, PR_SET_VMA)?);
    let request = match role {
        Role::Vcpu => Some(KVM_RUN),
        Role::Main | Role::Vsock => Some(libc::FIONBIO),
        Role::Fs | Role::Blk | Role::Rng => None,
    };
    if let Some(request) = request {
        rules.insert(libc::SYS_ioctl, only(1, request)?);
    }
    SeccompFilter::new(
        rules,
        SeccompAction::KillProcess,
        SeccompAction::Allow,
        TARGET,
    )?
    .try_into()
}

#[cfg(target_arch = "x86_64")]
const TARGET: TargetArch = TargetArch::x86_64;
#[cfg(target_arch = "aarch64")]
const TARGET: TargetArch = TargetArch::aarch64;

/// Memory, locks, time, signals, the end of a thread and of the process.
const EVERY_THREAD: &[i64] = &[
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_tgkill,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_close,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

fn calls(role: Role) -> &'static [i64] {
    match role {
        Role::Main => &[
            libc::SYS_accept4,
            libc::SYS_recvfrom,
            libc::SYS_sendto,
            libc::SYS_fcntl,
            libc::SYS_fdatasync,
            libc::SYS_ftruncate,
            libc::SYS_pwrite64,
        ],
        Role::Vcpu | Role::Rng => &[libc::SYS_getrandom],
        Role::Fs => &[libc::SYS_pread64, libc::SYS_preadv, libc::SYS_lseek],
        Role::Blk => &[
            libc::SYS_preadv,
            libc::SYS_pwritev,
            libc::SYS_fdatasync,
            libc::SYS_fallocate,
            libc::SYS_pwrite64,
        ],
        Role::Vsock => &[
            libc::SYS_accept4,
            libc::SYS_readv,
            libc::SYS_recvfrom,
            libc::SYS_sendto,
            libc::SYS_sendmsg,
            libc::SYS_shutdown,
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_has_a_filter() {
        for role in [
            Role::Main,
            Role::Vcpu,
            Role::Fs,
            Role::Blk,
            Role::Rng,
            Role::Vsock,
        ] {
            assert!(
                filter(role).is_ok_and(|program| !program.is_empty()),
                "{role:?}"
            );
        }
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
        for role in [
            Role::Main,
            Role::Vcpu,
            Role::Fs,
            Role::Blk,
            Role::Rng,
            Role::Vsock,
        ] {
            for call in outside {
                assert!(!EVERY_THREAD.contains(&call) && !calls(role).contains(&call));
            }
        }
    }
}
