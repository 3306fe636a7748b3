//! The vCPU threads: run, handle exits, hold still when asked.
//!
//! ```text
//!            start                hold                 all parked
//!  (threads) ─────► running ────────────► (kicked) ─────────────► paused
//!                      ▲                                            │
//!                      └──────────────────── release ───────────────┘
//!                   any ──── stop ────► threads return
//! ```
//!
//! A thread in `KVM_RUN` is brought out by a signal whose handler sets `immediate_exit`, so a
//! signal that arrives just before `KVM_RUN` is not lost.

use std::cell::Cell;
use std::io;
use std::os::unix::thread::JoinHandleExt;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use hull_protocol::vmm::ExitReason;
use kvm_ioctls::{VcpuExit, VcpuFd};
use vmm_sys_util::signal::register_signal_handler;

use crate::bus::Bus;
use crate::exit::Ending;
use crate::jail::seccomp;

const STACK: usize = 128 << 10;

thread_local! {
    /// `immediate_exit` of the vCPU that this thread runs.
    static IMMEDIATE_EXIT: Cell<*mut u8> = const { Cell::new(ptr::null_mut()) };
}

/// The signal that brings a thread out of `KVM_RUN`.
fn kick_signal() -> i32 {
    libc::SIGRTMIN()
}

extern "C" fn on_kick(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let flag = IMMEDIATE_EXIT.get();
    if !flag.is_null() {
        // SAFETY: the pointer is into this thread's kvm_run page, mapped as long as it is set.
        unsafe { flag.write_volatile(1) };
    }
}

/// What every vCPU thread looks at.
#[derive(Debug)]
struct Shared {
    /// Set when a thread must not enter the guest; the details are in `orders`.
    hold: AtomicBool,
    orders: Mutex<Orders>,
    changed: Condvar,
    exits: AtomicU64,
}

#[derive(Debug, Default)]
struct Orders {
    paused: bool,
    stopping: bool,
    parked: usize,
}

/// The address spaces a vCPU's exits go to.
#[derive(Debug)]
pub struct Buses {
    /// Ports.
    pub io: Bus,
    /// Memory-mapped registers.
    pub mmio: Bus,
}

/// All vCPUs of the VM.
#[derive(Debug)]
pub struct Vcpus {
    threads: Vec<JoinHandle<VcpuFd>>,
    shared: Arc<Shared>,
}

impl Vcpus {
    /// Starts a thread for each vCPU, all held until [`Vcpus::release`].
    ///
    /// # Errors
    /// No thread can be had.
    pub fn start(fds: Vec<VcpuFd>, buses: &Arc<Buses>, ending: &Arc<Ending>) -> io::Result<Self> {
        register_signal_handler(kick_signal(), on_kick).map_err(io::Error::from)?;
        let shared = Arc::new(Shared {
            hold: AtomicBool::new(true),
            orders: Mutex::new(Orders {
                paused: true,
                ..Orders::default()
            }),
            changed: Condvar::new(),
            exits: AtomicU64::new(0),
        });
        let mut threads = Vec::with_capacity(fds.len());
        for (index, fd) in fds.into_iter().enumerate() {
            let (shared, buses) = (Arc::clone(&shared), Arc::clone(buses));
            let ending = Arc::clone(ending);
            let thread = thread::Builder::new()
                .name(format!("vcpu{index}"))
                .stack_size(STACK)
                .spawn(move || {
                    seccomp::enter(seccomp::Role::Vcpu);
                    run(fd, &shared, &buses, &ending)
                })?;
            threads.push(thread);
        }
        Ok(Self { threads, shared })
    }

    /// Lets them run.
    pub fn release(&self) {
        let mut orders = self.orders();
        orders.paused = false;
        self.shared.hold.store(orders.stopping, Ordering::Release);
        self.shared.changed.notify_all();
    }

    /// Holds them; returns when none is in the guest or handling an exit.
    pub fn hold(&self) {
        let mut orders = self.orders();
        orders.paused = true;
        self.shared.hold.store(true, Ordering::Release);
        while orders.parked < self.threads.iter().filter(|t| !t.is_finished()).count() {
            self.kick();
            // Woken by each thread that parks; the timeout covers one that ended instead.
            let wait = std::time::Duration::from_millis(50);
            let waited = self.shared.changed.wait_timeout(orders, wait);
            orders = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Exits that the VMM handled.
    pub fn exits(&self) -> u64 {
        self.shared.exits.load(Ordering::Relaxed)
    }

    /// Ends the threads.
    pub fn stop(self) {
        self.orders().stopping = true;
        self.shared.hold.store(true, Ordering::Release);
        self.shared.changed.notify_all();
        self.kick();
        for thread in self.threads {
            // A panic has been reported where it happened.
            let _ = thread.join();
        }
    }

    fn orders(&self) -> std::sync::MutexGuard<'_, Orders> {
        self.shared
            .orders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn kick(&self) {
        for thread in self.threads.iter().filter(|t| !t.is_finished()) {
            // SAFETY: the handle is of a thread that has not been joined.
            unsafe { libc::pthread_kill(thread.as_pthread_t(), kick_signal()) };
        }
    }
}

fn run(mut fd: VcpuFd, shared: &Shared, buses: &Buses, ending: &Ending) -> VcpuFd {
    IMMEDIATE_EXIT.set(&raw mut fd.get_kvm_run().immediate_exit);
    loop {
        if shared.hold.load(Ordering::Acquire) && !park(shared) {
            break;
        }
        match fd.run() {
            Ok(exit) => {
                shared.exits.fetch_add(1, Ordering::Relaxed);
                if !handle(exit, buses, ending) {
                    break;
                }
            }
            Err(e) if e.errno() == libc::EINTR => fd.set_kvm_immediate_exit(0),
            Err(e) if e.errno() == libc::EAGAIN => {}
            Err(e) => {
                let reason = match e.errno() {
                    libc::ENOMEM | libc::EFAULT => ExitReason::OutOfMemory,
                    _ => ExitReason::KvmError,
                };
                ending.end(reason, format!("KVM_RUN failed: {e}"));
                break;
            }
        }
    }
    IMMEDIATE_EXIT.set(ptr::null_mut());
    fd
}

/// Waits until the vCPU may run; `false` if it must end.
fn park(shared: &Shared) -> bool {
    let mut orders = shared.orders.lock().unwrap_or_else(PoisonError::into_inner);
    orders.parked += 1;
    shared.changed.notify_all();
    while orders.paused && !orders.stopping {
        orders = shared
            .changed
            .wait(orders)
            .unwrap_or_else(PoisonError::into_inner);
    }
    orders.parked -= 1;
    !orders.stopping
}

/// Handles one exit; `false` if the vCPU must end.
fn handle(exit: VcpuExit<'_>, buses: &Buses, ending: &Ending) -> bool {
    match exit {
        VcpuExit::IoIn(port, data) => buses.io.read(u64::from(port), data),
        VcpuExit::IoOut(port, data) => buses.io.write(u64::from(port), data),
        VcpuExit::MmioRead(address, data) => buses.mmio.read(address, data),
        VcpuExit::MmioWrite(address, data) => buses.mmio.write(address, data),
        VcpuExit::Intr | VcpuExit::IrqWindowOpen => {}
        VcpuExit::Shutdown => {
            ending.end(ExitReason::TripleFault, "triple fault in the guest");
            return false;
        }
        VcpuExit::FailEntry(code, cpu) => {
            let message =
                format!("KVM could not enter the guest: hardware reason {code:#x} on CPU {cpu}");
            ending.end(ExitReason::KvmError, message);
            return false;
        }
        VcpuExit::InternalError => {
            ending.end(
                ExitReason::KvmError,
                "KVM internal error: it could not emulate an instruction of the guest; \
                 run `hull doctor` to see whether this host can run one at all",
            );
            return false;
        }
        other => {
            ending.end(
                ExitReason::KvmError,
                format!("unexpected exit from the guest: {other:?}"),
            );
            return false;
        }
    }
    true
}
