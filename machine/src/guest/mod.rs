//! The machine's own side: its init, and what answers at its end of the tunnel.
//!
//! Two processes of the same program. The first is PID 1: it mounts what is the machine's
//! own, starts the second, reaps, and turns everything off when the second ends. The second
//! serves the tunnel, so that waiting for its commands does not meet PID 1's reaping.

mod mounts;
mod serve;

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use kvm_ioctls::{Kvm, VcpuFd, VmFd};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};
use rustix::system::{RebootCommand, reboot};

use crate::settings::DATA;

/// Time that processes have to end by themselves when the machine is turned off.
const TERM_DEADLINE: Duration = Duration::from_secs(8);

#[derive(Debug, thiserror::Error)]
pub(crate) enum GuestError {
    #[error("cannot mount {path}: {source}")]
    Mount { path: String, source: io::Error },
    #[error("cannot start the tunnel's end: {0}")]
    Serve(io::Error),
    #[error("cannot open the tunnel's port: {0}")]
    Port(io::Error),
    #[error("only for PID 1 of an emulated machine")]
    NotInit,
}

/// PID 1 of the machine; returns only if it cannot turn the machine off.
pub(crate) fn init() -> Result<(), GuestError> {
    if std::process::id() != 1 {
        return Err(GuestError::NotInit);
    }
    if let Err(error) = run() {
        // On the console, which the supervisor shows when a boot fails.
        eprintln!("machine: {error}");
    }
    turn_off();
    Ok(())
}

fn run() -> Result<(), GuestError> {
    mounts::mount_all()?;
    // Held for the machine's life.
    let _first = first_vm();
    let server = fork_server().map_err(GuestError::Serve)?;
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == server => {
                if status.exit_status() != Some(0) {
                    eprintln!("machine: the tunnel's end failed: {status:?}");
                }
                return Ok(());
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(GuestError::Serve(error.into())),
        }
    }
}

/// A VM that never runs. The kernel rewrites its own code when the first VM comes and the last
/// one goes, and when the last vCPU's APIC is enabled; the emulated processors race on that (an
/// `Oops: int3` now and then). With a VM and a disabled APIC that stay, it happens once, before
/// there is anything else to run.
fn first_vm() -> Option<(VmFd, VcpuFd)> {
    // Without KVM the doctor says so to whoever asks.
    let vm = Kvm::new().ok()?.create_vm().ok()?;
    vm.create_irq_chip().ok()?;
    let vcpu = vm.create_vcpu(0).ok()?;
    let mut registers = vcpu.get_sregs().ok()?;
    registers.apic_base = 0;
    vcpu.set_sregs(&registers).ok()?;
    Some((vm, vcpu))
}

/// Starts the tunnel's end. A fork and no exec: reading the program once more through the
/// host's files would cost a second of the machine's start.
fn fork_server() -> io::Result<Pid> {
    if fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::other("a process with threads cannot be forked"));
    }
    // SAFETY: there is no other thread, whose locks the child would inherit.
    let forked = unsafe { libc::fork() };
    match forked {
        0 => {
            let status = match serve::serve() {
                Ok(()) => 0,
                Err(error) => {
                    eprintln!("machine: {error}");
                    1
                }
            };
            std::process::exit(status)
        }
        child => Pid::from_raw(child.max(0)).ok_or_else(io::Error::last_os_error),
    }
}

/// Ends all processes, the file system, the machine.
fn turn_off() {
    end_processes();
    // A daemon's mounts below it, if it left any, go with it.
    if rustix::mount::unmount(DATA, rustix::mount::UnmountFlags::empty()).is_err() {
        let _ = rustix::mount::unmount(DATA, rustix::mount::UnmountFlags::DETACH);
    }
    rustix::fs::sync();
    if let Err(error) = reboot(RebootCommand::PowerOff) {
        eprintln!("machine: cannot turn off: {error}");
    }
}

fn end_processes() {
    for (signal, deadline) in [(Signal::TERM, TERM_DEADLINE), (Signal::KILL, TERM_DEADLINE)] {
        // To every process but this one; there may be none.
        let _ = signal_all(signal);
        let until = Instant::now() + deadline;
        while Instant::now() < until {
            match wait(WaitOptions::NOHANG) {
                Err(rustix::io::Errno::CHILD) => return,
                // Some live on: PID 1 has no better event than to look again.
                Ok(None) => std::thread::sleep(Duration::from_millis(20)),
                _ => {}
            }
        }
    }
}

fn signal_all(signal: Signal) -> io::Result<()> {
    for entry in fs::read_dir("/proc")?.flatten() {
        let number = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        let Some(pid) = number.filter(|n| *n > 1).and_then(Pid::from_raw) else {
            continue;
        };
        // Kernel threads take no signals; others may have just ended.
        let _ = kill_process(pid, signal);
    }
    Ok(())
}
