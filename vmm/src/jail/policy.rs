//! Which system calls each kind of thread may make. The build script compiles it to BPF, so that
//! a VM's start need not; otherwise only tests read it.

use super::role::Role;

impl Role {
    /// Every role, in the order of its number.
    pub(crate) const ALL: [Role; 5] = [Role::Main, Role::Vcpu, Role::Fs, Role::Blk, Role::Vsock];
}

/// A call that is let through only with one value of one argument.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guarded {
    /// The call.
    pub(crate) call: i64,
    /// Which argument.
    pub(crate) argument: u8,
    /// What it must be.
    pub(crate) value: u64,
}

/// `KVM_RUN`.
const KVM_RUN: u64 = 0xae80;
/// The allocator names its memory by it.
const PR_SET_VMA: u64 = 0x5356_4d41;

/// Memory, locks, time, signals, the end of a thread and of the process.
pub(crate) const EVERY_THREAD: &[i64] = &[
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

/// What a role may call besides.
pub(crate) const fn calls(role: Role) -> &'static [i64] {
    match role {
        Role::Main => &[libc::SYS_accept4, libc::SYS_recvfrom, libc::SYS_sendto],
        Role::Vcpu => &[libc::SYS_getrandom],
        Role::Fs => &[libc::SYS_pread64, libc::SYS_preadv, libc::SYS_lseek],
        Role::Blk => &[
            libc::SYS_preadv,
            libc::SYS_pwritev,
            libc::SYS_pwrite64,
            libc::SYS_fdatasync,
            libc::SYS_fallocate,
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

/// What it may call in one way only.
pub(crate) fn guarded(role: Role) -> Vec<Guarded> {
    let mut list = vec![Guarded {
        call: libc::SYS_prctl,
        argument: 0,
        value: PR_SET_VMA,
    }];
    if cfg!(debug_assertions) {
        // The standard library then checks that a descriptor that it closes is open.
        list.push(Guarded {
            call: libc::SYS_fcntl,
            argument: 1,
            value: libc::F_GETFD as u64,
        });
    }
    let request = match role {
        Role::Vcpu => Some(KVM_RUN),
        Role::Main | Role::Vsock => Some(libc::FIONBIO),
        Role::Fs | Role::Blk => None,
    };
    list.extend(request.map(|value| Guarded {
        call: libc::SYS_ioctl,
        argument: 1,
        value,
    }));
    list
}
