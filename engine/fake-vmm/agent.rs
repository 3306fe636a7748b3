//! The guest's side of the conversation.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use hull_protocol::agent::{
    AgentError, Answer, Call, Create, ErrorKind, Limits, ProcessEntry, ProcessId, Reply, Request,
    Stats,
};
use hull_protocol::frame;
use hull_protocol::stream::{Channel, Open, Opened, Output};
use hull_protocol::vmm::ExitReason;

use crate::Vm;
use crate::process::{Process, fault};

pub(crate) struct Agent {
    vm: Arc<Vm>,
    created: Mutex<Option<Create>>,
    processes: Mutex<HashMap<ProcessId, Arc<Process>>>,
    /// It uses all that it was last limited to.
    limits: Mutex<Limits>,
}

impl Agent {
    pub(crate) fn new(vm: Arc<Vm>) -> Self {
        Self {
            vm,
            created: Mutex::default(),
            processes: Mutex::default(),
            limits: Mutex::default(),
        }
    }

    /// Serves one control connection.
    pub(crate) fn control(self: &Arc<Self>, mut stream: UnixStream) {
        let writer = Arc::new(Mutex::new(stream.try_clone().expect("cloned")));
        while let Ok(request) = frame::read::<Request>(&mut stream) {
            let (agent, writer) = (self.clone(), writer.clone());
            std::thread::spawn(move || {
                let is_shutdown = matches!(request.call, Call::Shutdown);
                let result = agent.answer(request.call);
                let reply = Reply {
                    id: request.id,
                    result,
                };
                // The engine may have gone.
                let _ = frame::write(&mut *writer.lock().unwrap(), &reply);
                if is_shutdown {
                    agent.vm.end(ExitReason::PowerOff, "powered off");
                }
            });
        }
    }

    fn process(&self, id: &ProcessId) -> Result<Arc<Process>, AgentError> {
        let found = self.processes.lock().unwrap().get(id).cloned();
        found.ok_or_else(|| fault(ErrorKind::NoSuchProcess, format!("no process {id}")))
    }

    fn answer(&self, call: Call) -> Result<Answer, AgentError> {
        match call {
            Call::Hello { .. } => {
                return Ok(Answer::Hello {
                    version: hull_protocol::VERSION,
                    kernel: "fake".into(),
                });
            }
            Call::Create(create) => {
                *self.created.lock().unwrap() = Some(*create);
                return Ok(Answer::Created { pid: 1 });
            }
            Call::Mount(_) => {}
            Call::Start => self.start()?,
            Call::Exec(exec) => {
                let process = Process::spawn(&exec.args, &exec.env, exec.stdio.stdin)?;
                let pid = process.pid;
                self.processes.lock().unwrap().insert(exec.process, process);
                return Ok(Answer::Created { pid });
            }
            Call::Signal { process, signal } => self.process(&process)?.signal(signal)?,
            Call::Resize { process, .. } => drop(self.process(&process)?),
            Call::Wait { process } => return Ok(Answer::Exited(self.process(&process)?.wait())),
            Call::Forget { process } => drop(self.processes.lock().unwrap().remove(&process)),
            Call::Processes => return Ok(Answer::Processes { list: self.list() }),
            Call::Stats => {
                let mut stats = Stats::default();
                stats.cpu.usage_us = 2_000_000;
                let limits = *self.limits.lock().unwrap();
                let least = |limit: Option<i64>, usual| {
                    limit.map_or(usual, |n| u64::try_from(n).unwrap_or(usual))
                };
                stats.memory.usage = least(limits.memory, 1 << 20);
                stats.pids.current = least(limits.pids, 1);
                return Ok(Answer::Stats(Box::new(stats)));
            }
            Call::Limit(new) => {
                let mut limits = self.limits.lock().unwrap();
                limits.memory = new.memory.or(limits.memory);
                limits.pids = new.pids.or(limits.pids);
            }
            Call::Shutdown => {}
        }
        Ok(Answer::Done)
    }

    fn start(&self) -> Result<(), AgentError> {
        let create = self.created.lock().unwrap().take();
        let create = create.ok_or_else(|| fault(ErrorKind::State, "there is no container yet"))?;
        let process = create.spec.process().clone().expect("a process");
        let args = process.args().clone().unwrap_or_default();
        self.misbehave(&args);
        let env = process.env().clone().unwrap_or_default();
        let process = Process::spawn(&args, &env, create.stdio.stdin)?;
        self.processes
            .lock()
            .unwrap()
            .insert(ProcessId::init(), process);
        Ok(())
    }

    /// `fake-panic`: the guest's kernel panics at the start. `fake-vanish`: the VMM is killed.
    fn misbehave(&self, args: &[String]) {
        match args.first().map(String::as_str) {
            Some("fake-panic") => self.vm.end(ExitReason::GuestReset, "kernel panic"),
            Some("fake-vanish") => {
                let me = i32::try_from(std::process::id()).expect("a pid");
                // SAFETY: kills this process.
                unsafe { libc::kill(me, libc::SIGKILL) };
            }
            _ => {}
        }
    }

    fn list(&self) -> Vec<ProcessEntry> {
        let processes = self.processes.lock().unwrap();
        let entry = |process: &Arc<Process>| ProcessEntry {
            pid: process.pid,
            tty: "?".into(),
            command: "fake".into(),
            ..ProcessEntry::default()
        };
        processes.values().map(entry).collect()
    }

    /// Serves one stdio connection.
    pub(crate) fn stdio(&self, mut stream: UnixStream) {
        let Ok(open) = frame::read::<Open>(&mut stream) else {
            return;
        };
        let opened = self
            .process(&open.process)
            .and_then(|process| match open.channel {
                Channel::Stdin => Ok((process, None)),
                Channel::Output { from } => {
                    let reader = process.journal.open(from);
                    reader
                        .map(|r| (process, Some((r, from))))
                        .map_err(|e| fault(ErrorKind::Invalid, e))
                }
            });
        let reply: Opened = opened.as_ref().map(|_| ()).map_err(Clone::clone);
        if frame::write(&mut stream, &reply).is_err() {
            return;
        }
        match opened {
            Ok((process, None)) => stdin(stream, &process),
            Ok((process, Some((reader, from)))) => output(stream, &process, reader, from),
            Err(_) => {}
        }
    }
}

fn stdin(mut stream: UnixStream, process: &Process) {
    let mut prefix = [0; 4];
    while stream.read_exact(&mut prefix).is_ok() {
        let mut chunk = vec![0; u32::from_le_bytes(prefix) as usize];
        if stream.read_exact(&mut chunk).is_err() {
            return;
        }
        process.write(&chunk);
    }
}

fn output(mut stream: UnixStream, process: &Arc<Process>, reader: u64, mut from: u64) {
    let (mut acks, acked) = (stream.try_clone().expect("cloned"), process.clone());
    std::thread::spawn(move || {
        let mut ack = [0; 8];
        while acks.read_exact(&mut ack).is_ok() {
            acked.journal.ack(u64::from_le_bytes(ack));
        }
    });
    while let Some((header, bytes)) = process.journal.next(reader, from) {
        let sent = stream
            .write_all(&header.encode())
            .and_then(|()| stream.write_all(&bytes));
        if sent.is_err() || header.output == Output::End {
            return;
        }
        from = header.offset + u64::from(header.length);
    }
}
