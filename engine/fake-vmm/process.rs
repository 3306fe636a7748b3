//! A "guest" process: a process of this host with its output in a journal.

use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, OnceLock, mpsc};

use hull_protocol::agent::{AgentError, ErrorKind, Exit};
use hull_protocol::stream::Output;

use crate::journal::{Journal, now};

pub(crate) struct Process {
    pub(crate) journal: Journal,
    pub(crate) stdin: Mutex<Option<ChildStdin>>,
    pub(crate) pid: u32,
    exit: Mutex<Option<Exit>>,
    ended: Condvar,
}

pub(crate) fn fault(kind: ErrorKind, message: impl Into<String>) -> AgentError {
    AgentError {
        kind,
        message: message.into(),
    }
}

impl Process {
    pub(crate) fn spawn(
        args: &[String],
        env: &[String],
        stdin: bool,
    ) -> Result<Arc<Self>, AgentError> {
        let program = args
            .first()
            .ok_or_else(|| fault(ErrorKind::ProgramNotFound, "no command specified"))?;
        let mut command = Command::new(program);
        command
            .args(&args[1..])
            .env_clear()
            .envs(env.iter().filter_map(|e| e.split_once('=')))
            .stdin(if stdin { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = spawn_bound(command).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => fault(
                ErrorKind::ProgramNotFound,
                format!("exec: \"{program}\": executable file not found in $PATH"),
            ),
            _ => fault(
                ErrorKind::ProgramDenied,
                format!("exec: \"{program}\": permission denied"),
            ),
        })?;
        let process = Arc::new(Self {
            journal: Journal::default(),
            stdin: Mutex::new(child.stdin.take()),
            pid: child.id(),
            exit: Mutex::new(None),
            ended: Condvar::new(),
        });
        let readers: [(Output, Box<dyn Read + Send>); 2] = [
            (
                Output::Stdout,
                Box::new(child.stdout.take().expect("piped")),
            ),
            (
                Output::Stderr,
                Box::new(child.stderr.take().expect("piped")),
            ),
        ];
        let readers = readers.map(|(output, from)| {
            let process = process.clone();
            std::thread::spawn(move || process.read(output, from))
        });
        let waiting = process.clone();
        std::thread::spawn(move || waiting.reap(child, readers));
        Ok(process)
    }

    fn read(&self, output: Output, mut from: Box<dyn Read + Send>) {
        let mut buffer = [0; 16 << 10];
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            self.journal.push(output, &buffer[..n]);
        }
    }

    fn reap(&self, mut child: Child, readers: [std::thread::JoinHandle<()>; 2]) {
        let status = child.wait().expect("waited");
        for reader in readers {
            reader.join().expect("read");
        }
        self.journal.finish();
        let signal = status.signal().map(|s| 128 + s);
        let code = status
            .code()
            .or(signal)
            .and_then(|c| u8::try_from(c).ok())
            .unwrap_or(255);
        *self.exit.lock().unwrap() = Some(Exit {
            code,
            oom_killed: false,
            time: now(),
        });
        self.ended.notify_all();
    }

    pub(crate) fn wait(&self) -> Exit {
        let mut exit = self.exit.lock().unwrap();
        loop {
            if let Some(exit) = *exit {
                return exit;
            }
            exit = self.ended.wait(exit).unwrap();
        }
    }

    pub(crate) fn signal(&self, signal: i32) -> Result<(), AgentError> {
        if self.exit.lock().unwrap().is_some() {
            return Err(fault(ErrorKind::NoSuchProcess, "it has ended"));
        }
        // SAFETY: the group is the child's own.
        unsafe { libc::kill(-i32::try_from(self.pid).expect("a pid"), signal) };
        Ok(())
    }

    /// Writes input; an empty chunk is its end.
    pub(crate) fn write(&self, bytes: &[u8]) {
        let mut stdin = self.stdin.lock().unwrap();
        match (bytes, stdin.as_mut()) {
            ([], _) => *stdin = None,
            (bytes, Some(pipe)) => {
                // A process that does not read any more is no concern of the writer's.
                let _ = pipe.write_all(bytes);
            }
            (_, None) => {}
        }
    }
}

/// Spawns from a thread that lives as long as this process, and with it the child: a child bound
/// to its parent's death dies with the *thread* that made it.
fn spawn_bound(mut command: Command) -> std::io::Result<Child> {
    type Job = (Command, mpsc::Sender<std::io::Result<Child>>);
    static SPAWNER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    let bind = || {
        // SAFETY: only sets what the death of its parent means for the child.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        Ok(())
    };
    // SAFETY: the closure makes one system call.
    unsafe { command.pre_exec(bind) };
    let spawner = SPAWNER.get_or_init(|| {
        let (jobs, queue) = mpsc::channel::<Job>();
        std::thread::spawn(move || {
            for (mut command, reply) in queue {
                reply.send(command.spawn()).expect("somebody waits");
            }
        });
        jobs
    });
    let (reply, child) = mpsc::channel();
    spawner.send((command, reply)).expect("the spawner lives");
    child.recv().expect("the spawner answers")
}
