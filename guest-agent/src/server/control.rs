//! A control connection: requests in, replies out in the order they are ready.

use std::io::{self, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hull_protocol::agent::{AgentError, Answer, ErrorKind, Reply};
use hull_protocol::frame;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::agent::{self, Agent};
use crate::fault::fault;
use crate::request::{Call, Request};
use crate::server::Slot;
use crate::thread;

/// The most requests of one connection that are being worked on.
const MAX_REQUESTS: usize = 64;
/// The longest error text that is sent.
const MAX_MESSAGE: usize = 4096;
/// How long the host may take to fetch the last reply before the power goes.
const LAST_REPLY: Duration = Duration::from_secs(2);

/// Serves a connection until it is closed or sends what is not a request.
pub(crate) fn serve(agent: &Arc<Agent>, mut connection: UnixStream) {
    let Ok(writer) = connection.try_clone() else {
        return;
    };
    let line = Line {
        agent: agent.clone(),
        writer: Arc::new(Mutex::new(writer)),
        requests: Arc::default(),
    };
    let mut greeted = false;
    while let Ok(request) = frame::read::<Request>(&mut connection) {
        let is_hello = matches!(request.call, Call::Hello { .. });
        if !greeted && !is_hello {
            let error = fault(ErrorKind::Version, "the first request has to be hello");
            line.reply(request.id, Err(error));
        } else if is_hello {
            let result = agent.answer(request.call, None);
            greeted |= result.is_ok();
            line.reply(request.id, result);
        } else {
            line.dispatch(request);
        }
    }
    // Replies of requests still going on have nowhere to go.
    let _ = connection.shutdown(Shutdown::Both);
}

#[derive(Clone)]
struct Line {
    agent: Arc<Agent>,
    writer: Arc<Mutex<UnixStream>>,
    requests: Arc<AtomicUsize>,
}

impl Line {
    fn dispatch(&self, request: Request) {
        let quick = matches!(
            request.call,
            Call::Signal { .. }
                | Call::Resize { .. }
                | Call::Forget { .. }
                | Call::Processes
                | Call::Stats
        );
        if quick {
            let result = self.agent.answer(request.call, None);
            self.reply(request.id, result);
            return;
        }
        let Some(slot) = Slot::take(&self.requests, MAX_REQUESTS) else {
            let text = format!("too many requests at once: at most {MAX_REQUESTS}");
            self.reply(request.id, Err(fault(ErrorKind::State, text)));
            return;
        };
        let id = request.id;
        let line = self.clone();
        let spawned = thread::spawn("request", move || {
            line.work(request);
            drop(slot);
        });
        if let Err(e) = spawned {
            self.reply(id, Err(no_thread(&e)));
        }
    }

    fn work(&self, request: Request) {
        let limit = request.deadline_ms.map(Duration::from_millis);
        let id = request.id;
        let last = matches!(request.call, Call::Shutdown);
        let waits_itself = matches!(request.call, Call::Wait { .. });
        let result = match limit {
            Some(limit) if !waits_itself => self.within(limit, request.call),
            _ => self.agent.answer(request.call, limit),
        };
        let done = result.is_ok();
        self.reply(id, result);
        if last && done {
            self.hang_up();
            self.agent.power_off();
        }
    }

    /// Works on a thread of its own, which goes on when the time is up.
    fn within(&self, limit: Duration, call: Call) -> Result<Answer, AgentError> {
        let (sender, receiver) = sync_channel(1);
        let agent = self.agent.clone();
        let worker = move || {
            // Nobody listens any more after the deadline.
            let _ = sender.send(agent.answer(call, None));
        };
        thread::spawn("work", worker).map_err(|e| no_thread(&e))?;
        receiver
            .recv_timeout(limit)
            .unwrap_or_else(|_| Err(agent::deadline()))
    }

    fn reply(&self, id: u64, result: Result<Answer, AgentError>) {
        let result = result.map_err(bounded);
        let bytes = match frame::encode(&Reply { id, result }) {
            Ok(bytes) => bytes,
            Err(e) => {
                let result = Err(fault(ErrorKind::System, e.to_string()));
                match frame::encode(&Reply { id, result }) {
                    Ok(bytes) => bytes,
                    Err(_) => return,
                }
            }
        };
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.write_all(&bytes).is_err() {
            // The reader of this connection finds it closed as well.
            let _ = writer.shutdown(Shutdown::Both);
        }
    }

    /// Waits until the last reply has left the guest: with the power what is queued would go too.
    fn hang_up(&self) {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let since = Instant::now();
        while since.elapsed() < LAST_REPLY && unsent(&writer).is_ok_and(|bytes| bytes > 0) {
            let mut closed = [PollFd::from_borrowed_fd(writer.as_fd(), PollFlags::empty())];
            // Wakes early if the host hangs up; there is no event for a queue that drains.
            let moment = Timespec {
                tv_sec: 0,
                tv_nsec: 500_000,
            };
            let _ = poll(&mut closed, Some(&moment));
        }
    }
}

/// Bytes that have been written and not taken by the other side yet.
fn unsent(socket: &UnixStream) -> io::Result<libc::c_int> {
    let mut bytes = 0;
    // SAFETY: SIOCOUTQ (the same number as TIOCOUTQ) writes one int to the pointer.
    match unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(bytes),
    }
}

fn no_thread(error: &io::Error) -> AgentError {
    fault(ErrorKind::System, format!("cannot start a thread: {error}"))
}

fn bounded(mut error: AgentError) -> AgentError {
    if error.message.len() > MAX_MESSAGE {
        let mut cut = MAX_MESSAGE;
        while !error.message.is_char_boundary(cut) {
            cut -= 1;
        }
        error.message.truncate(cut);
    }
    error
}
