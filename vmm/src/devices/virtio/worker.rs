//! The thread behind an active device, started and stopped in one way for all of them.
//!
//! A worker waits for its sources (queue kicks, host descriptors) and handles them one at a time.
//! Stopping gives the handler back with everything it owns, so a device can be reset, saved or
//! started again without a lock on its queues.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};
use vmm_sys_util::eventfd::EventFd;

use super::interrupt::Interrupt;
use super::queue::QueueError;
use crate::jail::seccomp;

/// The stack of a worker: its calls are shallow and keep buffers elsewhere.
const STACK: usize = 128 << 10;

const STOP: u64 = u64::MAX;

/// Watches descriptors for a handler.
#[derive(Debug)]
pub(crate) struct Poller(Epoll);

impl Poller {
    /// Reports `events` on `fd` as `token`.
    ///
    /// # Errors
    /// As `epoll_ctl`.
    pub(crate) fn add(&self, fd: RawFd, token: u64, events: EventSet) -> io::Result<()> {
        self.0
            .ctl(ControlOperation::Add, fd, EpollEvent::new(events, token))
    }
}

/// What a device's worker does.
pub(crate) trait Handler: Send + 'static {
    /// Names the thread.
    const NAME: &'static str;
    /// What system calls it may make.
    const FILTER: seccomp::Role;

    /// Registers what it waits for.
    ///
    /// # Errors
    /// As `epoll_ctl`.
    fn register(&mut self, poller: &Poller) -> io::Result<()>;

    /// Something happened on the descriptor registered with `token`.
    ///
    /// # Errors
    /// The driver broke the device: it is marked as needing a reset and handles nothing more.
    fn handle(&mut self, token: u64, events: EventSet, poller: &Poller) -> Result<(), QueueError>;
}

enum Order<H> {
    Run(H, Arc<dyn Interrupt>),
    End,
}

/// A device's thread. It is made with the device, before any vCPU runs, so that no vCPU thread
/// ever needs the right to make one; it sleeps until the driver is ready.
#[derive(Debug)]
pub(crate) struct Runner<H> {
    thread: Option<JoinHandle<()>>,
    orders: Sender<Order<H>>,
    returned: Receiver<H>,
    stop: Arc<EventFd>,
    running: bool,
}

impl<H: Handler> Runner<H> {
    /// Makes the thread.
    ///
    /// # Errors
    /// No thread or descriptor can be had.
    pub(crate) fn new() -> io::Result<Self> {
        let stop = Arc::new(EventFd::new(libc::EFD_NONBLOCK | libc::EFD_CLOEXEC)?);
        let (orders, inbox) = mpsc::channel();
        let (outbox, returned) = mpsc::channel();
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name(H::NAME.to_owned())
            .stack_size(STACK)
            .spawn(move || {
                seccomp::enter(H::FILTER);
                while let Ok(Order::Run(handler, interrupt)) = inbox.recv() {
                    let handler = work(handler, &stopped, &*interrupt);
                    if outbox.send(handler).is_err() {
                        break;
                    }
                }
            })?;
        Ok(Self {
            thread: Some(thread),
            orders,
            returned,
            stop,
            running: false,
        })
    }

    /// Puts a handler to work. A running one is stopped and dropped first.
    pub(crate) fn start(&mut self, handler: H, interrupt: Arc<dyn Interrupt>) {
        drop(self.stop());
        // Fails only where the thread panicked; the driver then waits on a dead device, and the
        // panic has ended the VM.
        self.running = self.orders.send(Order::Run(handler, interrupt)).is_ok();
    }

    /// Stops between two events and gives the handler back; `None` if none was at work.
    pub(crate) fn stop(&mut self) -> Option<H> {
        if !std::mem::take(&mut self.running) {
            return None;
        }
        // The counter cannot overflow: the worker takes each write back.
        let _ = self.stop.write(1);
        self.returned.recv().ok()
    }
}

impl<H> Drop for Runner<H> {
    fn drop(&mut self) {
        let _ = self.stop.write(1);
        let _ = self.orders.send(Order::End);
        if let Some(thread) = self.thread.take() {
            // A panic has been reported where it happened.
            let _ = thread.join();
        }
    }
}

fn work<H: Handler>(mut handler: H, stop: &EventFd, interrupt: &dyn Interrupt) -> H {
    let poller = Epoll::new().and_then(|epoll| {
        let poller = Poller(epoll);
        poller.add(stop.as_raw_fd(), STOP, EventSet::IN)?;
        handler.register(&poller)?;
        Ok(poller)
    });
    let handler = match poller {
        Ok(poller) => run(handler, &poller, interrupt),
        Err(_) => {
            interrupt.needs_reset();
            handler
        }
    };
    // Taken back, so that the next order does not end at once.
    let _ = stop.read();
    handler
}

fn run<H: Handler>(mut handler: H, poller: &Poller, interrupt: &dyn Interrupt) -> H {
    let mut events = [EpollEvent::default(); 32];
    let mut broken = false;
    loop {
        let count = match poller.0.wait(-1, &mut events) {
            Ok(count) => count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            // epoll_wait on our own descriptors fails for no other reason; a worker that cannot
            // wait is as good as stopped, and the driver is told.
            Err(_) => {
                interrupt.needs_reset();
                return handler;
            }
        };
        for event in events.iter().take(count) {
            if event.data() == STOP {
                return handler;
            }
            if broken {
                continue;
            }
            if handler
                .handle(event.data(), event.event_set(), poller)
                .is_err()
            {
                interrupt.needs_reset();
                broken = true;
            }
        }
        if broken {
            // Nothing but the stop is of interest now; other sources may stay ready for ever.
            return wait_for_stop(handler, poller);
        }
    }
}

fn wait_for_stop<H>(handler: H, poller: &Poller) -> H {
    let Ok(only_stop) = Epoll::new() else {
        return handler;
    };
    // An epoll descriptor can itself be waited for; edge triggered, so that sources that stay
    // ready wake this once and not for ever.
    let nested = EpollEvent::new(EventSet::IN | EventSet::EDGE_TRIGGERED, 0);
    if only_stop
        .ctl(ControlOperation::Add, poller.0.as_raw_fd(), nested)
        .is_err()
    {
        return handler;
    }
    let mut one = [EpollEvent::default()];
    let mut ready = [EpollEvent::default(); 32];
    loop {
        let _ = only_stop.wait(-1, &mut one);
        let count = poller.0.wait(0, &mut ready).unwrap_or(0);
        if ready.iter().take(count).any(|e| e.data() == STOP) {
            return handler;
        }
    }
}
