//! The last steps of a child, first process or exec alike: who it is, what it may, and what it
//! executes.

use std::convert::Infallible;
use std::ffi::{CString, OsStr};
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::Mode;
use rustix::thread::{Gid, Uid};

use crate::container::blueprint::{ProcessPlan, UserPlan};
use crate::container::limits::{CAPABILITIES, CapabilitySets, Rlimit};
use crate::container::program;
use crate::container::seccomp::Filter;
use crate::container::setup::{SetupError, Step};
use crate::container::user::{Accounts, Credentials};
use crate::process::wiring::ChildEnds;

/// A process that only has to be executed.
pub(crate) struct Ready {
    program: CString,
    args: Vec<CString>,
    env: Vec<CString>,
    seccomp: Option<Filter>,
    pub(crate) credentials: Credentials,
}

/// The first thing in a child: nothing of the agent's is inherited but memory, and nobody in the
/// container may look into that.
pub(crate) fn shed() -> Result<(), SetupError> {
    use rustix::process::DumpableBehavior;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .step("hide", "the agent's memory")?;
    default_signals();
    rustix::process::setsid().step("start", "a session")?;
    Ok(())
}

/// Makes stdio, identity and limits those of `plan`. `make_cwd` is how Docker treats a container's
/// working directory and not an exec's.
pub(crate) fn prepare(
    plan: &ProcessPlan,
    ends: &ChildEnds,
    make_cwd: bool,
) -> Result<Ready, SetupError> {
    let accounts = Accounts::read();
    let credentials = match &plan.user {
        UserPlan::Named(user) => accounts.resolve(user)?,
        UserPlan::Known(known) => known.clone(),
    };
    let mut env = plan.env.clone();
    if !env.iter().any(|v| v.starts_with("HOME=")) {
        env.push(format!("HOME={}", accounts.home(credentials.uid)));
    }
    if make_cwd {
        make_working_directory(&plan.cwd)?;
    }
    give_stdio(ends, credentials.uid)?;
    if let Some(adjustment) = plan.oom_score_adj {
        fs::write("/proc/self/oom_score_adj", adjustment.to_string())
            .step("set", "oom_score_adj")?;
    }
    plan.rlimits.iter().try_for_each(set_rlimit)?;
    rustix::process::umask(Mode::from_raw_mode(plan.umask & 0o777));
    if plan.no_new_privileges {
        rustix::thread::set_no_new_privs(true).step("set", "no_new_privs")?;
    }
    bound(plan.capabilities.bounding)?;
    rustix::thread::set_keep_capabilities(true).step("keep", "capabilities")?;
    // Without no_new_privs only a capability lets a filter in: before they go.
    let mut seccomp = plan.seccomp.clone();
    if !plan.no_new_privileges
        && let Some(filter) = seccomp.take()
    {
        filter.install().step("install", "seccomp filter")?;
    }
    // Root may enter where the user may not, and the user may enter, on a network filesystem,
    // where root may not: either will do.
    let entered = rustix::process::chdir(&*plan.cwd);
    take_identity(&credentials)?;
    if entered.is_err() {
        rustix::process::chdir(&*plan.cwd).map_err(|e| SetupError::Chdir {
            cwd: plan.cwd.clone(),
            source: e.into(),
        })?;
    }
    rustix::thread::set_keep_capabilities(false).step("drop", "capabilities")?;
    set_capabilities(&plan.capabilities)?;
    let name = plan.args.first().map_or("", String::as_str);
    Ok(Ready {
        program: program::find(name, &env)?,
        args: strings("an argument", &plan.args)?,
        env: strings("a variable", &env)?,
        seccomp,
        credentials,
    })
}

impl Ready {
    /// Becomes the program. Where that fails the process has already been reported started, so
    /// its user is told on its own stderr, and its status is Docker's.
    pub(crate) fn execute(mut self) -> ! {
        if let Some(filter) = self.seccomp.take()
            && let Err(e) = filter.install()
        {
            self.fail(e.raw_os_error().unwrap_or(libc::EIO));
        }
        let args = pointers(&self.args);
        let env = pointers(&self.env);
        // SAFETY: program, args and env are NUL-terminated strings that live past the call, and
        // both lists end in a null pointer.
        unsafe { libc::execve(self.program.as_ptr(), args.as_ptr(), env.as_ptr()) };
        let errno = io::Error::last_os_error().raw_os_error();
        self.fail(errno.unwrap_or(libc::EIO))
    }

    fn fail(&self, errno: i32) -> ! {
        const STARTED_BUT_FAILED: i32 = 255;
        let path = OsStr::from_bytes(self.program.as_bytes());
        let line = program::exec_failed(path, errno);
        // There is nobody else to tell.
        let _ = rustix::io::write(rustix::stdio::stderr(), &line);
        exit(STARTED_BUT_FAILED)
    }
}

/// Ends a child without running the agent's exit handlers.
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: _exit takes any status and touches no memory.
    unsafe { libc::_exit(code) }
}

/// Runs a child's steps, so that not even a panic returns into the agent's code.
pub(crate) fn contain(run: impl FnOnce() -> Infallible) -> ! {
    const PANICKED: i32 = 254;
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
    match caught {
        Ok(never) => match never {},
        Err(_) => exit(PANICKED),
    }
}

fn pointers(list: &[CString]) -> Vec<*const libc::c_char> {
    let pointers = list.iter().map(|s| s.as_ptr());
    pointers.chain([std::ptr::null()]).collect()
}

fn strings(what: &'static str, list: &[String]) -> Result<Vec<CString>, SetupError> {
    let convert = |s: &String| CString::new(s.as_str()).map_err(|_| SetupError::Nul { what });
    list.iter().map(convert).collect()
}

/// No handler, mask or ignored signal of the agent reaches the program.
pub(crate) fn default_signals() {
    const LAST: i32 = 64;
    for signal in 1..=LAST {
        // SAFETY: resetting a disposition runs no code; numbers that cannot be reset fail.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: a signal set is plain bits, for which zeros are valid.
    let mut none: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a local signal set.
    unsafe { libc::sigemptyset(&raw mut none) };
    // SAFETY: the set is initialised and the old one is not asked for.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut()) };
}

fn make_working_directory(cwd: &str) -> Result<(), SetupError> {
    match fs::create_dir_all(cwd) {
        Ok(()) => Ok(()),
        Err(_) if fs::metadata(cwd).is_ok_and(|m| !m.is_dir()) => {
            Err(SetupError::CwdNotDirectory(cwd.to_owned()))
        }
        // A read-only root: the step that enters it says what is wrong.
        Err(e) if e.kind() == io::ErrorKind::ReadOnlyFilesystem => Ok(()),
        Err(source) => Err(SetupError::MakeCwd {
            cwd: cwd.to_owned(),
            source,
        }),
    }
}

fn give_stdio(ends: &ChildEnds, uid: u32) -> Result<(), SetupError> {
    let all: [&OwnedFd; 3] = [&ends.stdin, &ends.stdout, &ends.stderr];
    for fd in all {
        // A program may open its own stdio by /dev/stdout; a device such as /dev/null is not its.
        let stat = rustix::fs::fstat(fd).step("look at", "stdio")?;
        let kind = rustix::fs::FileType::from_raw_mode(stat.st_mode);
        let pty = kind == rustix::fs::FileType::CharacterDevice && ends.pty.is_some();
        if pty || kind == rustix::fs::FileType::Fifo {
            rustix::fs::fchown(fd, Some(Uid::from_raw(uid)), None).step("give away", "stdio")?;
        }
    }
    rustix::stdio::dup2_stdin(&ends.stdin).step("set", "stdin")?;
    rustix::stdio::dup2_stdout(&ends.stdout).step("set", "stdout")?;
    rustix::stdio::dup2_stderr(&ends.stderr).step("set", "stderr")?;
    if ends.pty.is_some() {
        rustix::process::ioctl_tiocsctty(ends.stdin.as_fd()).step("take", "the terminal")?;
    }
    Ok(())
}

fn set_rlimit(limit: &Rlimit) -> Result<(), SetupError> {
    let value = libc::rlimit {
        rlim_cur: limit.soft,
        rlim_max: limit.hard,
    };
    // SAFETY: the pointer is to a local that outlives the call.
    let result = unsafe { libc::setrlimit(limit.resource, &raw const value) };
    if result == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error()).step("set", limit.name)
}

fn bound(bounding: u64) -> Result<(), SetupError> {
    for capability in 0..CAPABILITIES {
        if bounding & 1 << capability != 0 {
            continue;
        }
        // SAFETY: PR_CAPBSET_DROP takes a number and touches no memory.
        let result = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        if result == 0 {
            continue;
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() == Some(libc::EINVAL) {
            // Past the last one this kernel has.
            break;
        }
        return Err(error).step("drop capability", capability);
    }
    Ok(())
}

fn take_identity(user: &Credentials) -> Result<(), SetupError> {
    let groups: Vec<Gid> = user.groups.iter().map(|g| Gid::from_raw(*g)).collect();
    rustix::thread::set_thread_groups(&groups).step("set", "groups")?;
    let gid = Gid::from_raw(user.gid);
    rustix::thread::set_thread_res_gid(gid, gid, gid).step("set gid", user.gid)?;
    let uid = Uid::from_raw(user.uid);
    rustix::thread::set_thread_res_uid(uid, uid, uid).step("set uid", user.uid)
}

fn set_capabilities(sets: &CapabilitySets) -> Result<(), SetupError> {
    use rustix::thread::{CapabilitySet, CapabilitySets as Kernel};
    let had = rustix::thread::capabilities(None).step("read", "capabilities")?;
    // A set cannot hold what this kernel, or the machine the agent runs on, does not give.
    let held = had.permitted.bits();
    let bits = |bits: u64| CapabilitySet::from_bits_retain(bits & held);
    let wanted = Kernel {
        effective: bits(sets.effective & sets.permitted),
        permitted: bits(sets.permitted),
        inheritable: bits(sets.inheritable),
    };
    rustix::thread::set_capabilities(None, wanted).step("set", "capabilities")?;
    rustix::thread::clear_ambient_capability_set().step("clear", "ambient capabilities")?;
    for capability in 0..CAPABILITIES {
        if sets.ambient & held & 1 << capability == 0 {
            continue;
        }
        // SAFETY: PR_CAP_AMBIENT takes numbers and touches no memory.
        let result = unsafe {
            libc::prctl(
                libc::PR_CAP_AMBIENT,
                libc::PR_CAP_AMBIENT_RAISE,
                capability,
                0,
                0,
            )
        };
        if result != 0 {
            return Err(io::Error::last_os_error()).step("raise ambient capability", capability);
        }
    }
    Ok(())
}
