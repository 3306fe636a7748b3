//! The host's side of the conversation, over socket pairs.

// Each test program uses its own part of this.
#![allow(dead_code)]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use hull_agent::{Agent, Port, Server};
use hull_protocol::agent::{
    AgentError, Answer, Call, Create, Exec, Exit, ProcessId, Reply, Request, RootFs, Stdio, User,
};
use hull_protocol::frame;
use hull_protocol::stream::{Channel, Open, Opened, Output, RecordHeader};
use serde_json::json;

use crate::folder::Machine;

/// No step of a test takes this long: a hang is a failure.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Host {
    server: Server,
    control: UnixStream,
    next: u64,
}

/// Nothing of a container outlives its test.
impl Drop for Host {
    fn drop(&mut self) {
        self.next += 1;
        let request = Request {
            id: self.next,
            deadline_ms: None,
            call: Call::Shutdown,
        };
        // A test that has shut down, hung up or failed half way gets no answer.
        if frame::write(&mut self.control, &request).is_ok() {
            let _ = frame::read::<Reply>(&mut self.control);
        }
    }
}

/// All that a process has written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Host {
    /// A host that has greeted.
    pub(crate) fn new(machine: &Machine) -> Self {
        let mut host = Self::silent(machine);
        host.hello();
        host
    }

    /// A host that has only connected.
    pub(crate) fn silent(machine: &Machine) -> Self {
        let server = Server::new(Agent::new(machine.platform()));
        let control = connect(&server, Port::Control);
        Self {
            server,
            control,
            next: 0,
        }
    }

    pub(crate) fn hello(&mut self) {
        let call = Call::Hello {
            version: hull_protocol::VERSION,
            time: 0,
            seed: vec![1; 32],
        };
        assert!(matches!(self.call(call), Ok(Answer::Hello { .. })));
    }

    pub(crate) fn call(&mut self, call: Call) -> Result<Answer, AgentError> {
        self.ask(call, None)
    }

    pub(crate) fn call_within(
        &mut self,
        call: Call,
        limit: Duration,
    ) -> Result<Answer, AgentError> {
        let ms = u64::try_from(limit.as_millis()).unwrap();
        self.ask(call, Some(ms))
    }

    fn ask(&mut self, call: Call, deadline_ms: Option<u64>) -> Result<Answer, AgentError> {
        self.next += 1;
        let request = Request {
            id: self.next,
            deadline_ms,
            call,
        };
        frame::write(&mut self.control, &request).unwrap();
        let reply: Reply = frame::read(&mut self.control).unwrap();
        assert_eq!(reply.id, self.next);
        reply.result
    }

    pub(crate) fn try_create(&mut self, create: Create) -> Result<Answer, AgentError> {
        self.call(Call::Create(Box::new(create)))
    }

    pub(crate) fn create(&mut self, create: Create) {
        let answer = self.try_create(create);
        assert!(
            matches!(answer, Ok(Answer::Created { pid }) if pid > 1),
            "{answer:?}"
        );
    }

    pub(crate) fn start(&mut self) {
        assert_eq!(self.call(Call::Start), Ok(Answer::Done));
    }

    pub(crate) fn exec(&mut self, exec: Exec) -> Result<Answer, AgentError> {
        self.call(Call::Exec(Box::new(exec)))
    }

    pub(crate) fn signal(&mut self, process: &str, signal: i32) -> Result<Answer, AgentError> {
        let process = ProcessId(process.into());
        self.call(Call::Signal { process, signal })
    }

    pub(crate) fn wait(&mut self, process: &str) -> Result<Exit, AgentError> {
        let process = ProcessId(process.into());
        match self.call(Call::Wait { process })? {
            Answer::Exited(exit) => Ok(exit),
            other => panic!("{other:?}"),
        }
    }

    /// Another connection.
    pub(crate) fn connect(&self, port: Port) -> UnixStream {
        connect(&self.server, port)
    }

    fn open(&self, process: &str, channel: Channel) -> Result<UnixStream, AgentError> {
        let mut stream = connect(&self.server, Port::Stream);
        let open = Open {
            process: ProcessId(process.into()),
            channel,
        };
        frame::write(&mut stream, &open).unwrap();
        let opened: Opened = frame::read(&mut stream).unwrap();
        opened.map(|()| stream)
    }

    pub(crate) fn open_output(&self, process: &str, from: u64) -> Result<Reader, AgentError> {
        let stream = self.open(process, Channel::Output { from })?;
        Ok(Reader { stream })
    }

    pub(crate) fn open_stdin(&self, process: &str) -> Writer {
        self.try_open_stdin(process).unwrap()
    }

    pub(crate) fn try_open_stdin(&self, process: &str) -> Result<Writer, AgentError> {
        let stream = self.open(process, Channel::Stdin)?;
        Ok(Writer { stream })
    }

    /// Everything until the end, acknowledged.
    pub(crate) fn output(&self, process: &str) -> Seen {
        self.output_from(process, 0)
    }

    pub(crate) fn output_from(&self, process: &str, from: u64) -> Seen {
        let mut reader = self.open_output(process, from).unwrap();
        let mut seen = Seen::default();
        loop {
            let (header, bytes) = reader.record().expect("the stream ends with a record");
            let text = String::from_utf8(bytes).unwrap();
            match header.output {
                Output::Stdout => seen.stdout += &text,
                Output::Stderr => seen.stderr += &text,
                Output::End => return seen,
            }
            reader.ack(header.offset + u64::from(header.length));
        }
    }
}

pub(crate) struct Reader {
    stream: UnixStream,
}

impl Reader {
    /// The next record; `None` when the agent has closed the connection.
    pub(crate) fn record(&mut self) -> Option<(RecordHeader, Vec<u8>)> {
        let mut header = [0; RecordHeader::SIZE];
        self.stream.read_exact(&mut header).ok()?;
        let header = RecordHeader::decode(&header).unwrap();
        let mut bytes = vec![0; header.length as usize];
        self.stream.read_exact(&mut bytes).ok()?;
        Some((header, bytes))
    }

    pub(crate) fn ack(&mut self, offset: u64) {
        self.stream.write_all(&offset.to_le_bytes()).unwrap();
    }
}

pub(crate) struct Writer {
    stream: UnixStream,
}

impl Writer {
    pub(crate) fn send(&self, bytes: &[u8]) {
        for chunk in bytes.chunks(64 << 10) {
            let length = u32::try_from(chunk.len()).unwrap();
            (&self.stream).write_all(&length.to_le_bytes()).unwrap();
            (&self.stream).write_all(chunk).unwrap();
        }
    }

    pub(crate) fn end(&self) {
        (&self.stream).write_all(&[0; 4]).unwrap();
    }
}

fn connect(server: &Server, port: Port) -> UnixStream {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(PATIENCE)).unwrap();
    server.accept(port, theirs).unwrap();
    ours
}

/// A container that runs this as root in `/work`.
pub(crate) fn spec(args: &[&str]) -> Create {
    let spec = json!({
        "ociVersion": "1.2.0",
        "process": {
            "user": {"uid": 0, "gid": 0}, "args": args, "cwd": "/work",
            "env": ["PATH=/usr/bin:/bin"]
        }
    });
    Create {
        root: RootFs {
            layers: 1,
            scratch: None,
        },
        spec: serde_json::from_value(spec).unwrap(),
        user: User::default(),
        stdio: Stdio::default(),
        init: false,
        files: Vec::new(),
    }
}

/// Adds fields to a specification.
pub(crate) fn merge(create: &mut Create, fields: &serde_json::Value) {
    fn into(base: &mut serde_json::Value, fields: &serde_json::Value) {
        match (base.as_object_mut(), fields.as_object()) {
            (Some(base), Some(fields)) => {
                for (key, value) in fields {
                    into(base.entry(key).or_insert(serde_json::Value::Null), value);
                }
            }
            _ => *base = fields.clone(),
        }
    }
    let mut spec = serde_json::to_value(&create.spec).unwrap();
    into(&mut spec, fields);
    create.spec = serde_json::from_value(spec).unwrap();
}

pub(crate) fn exec(process: &str, args: &[&str]) -> Exec {
    Exec {
        process: ProcessId(process.into()),
        args: args.iter().map(|a| (*a).to_owned()).collect(),
        env: vec!["PATH=/bin".into()],
        cwd: "/".into(),
        user: User::default(),
        stdio: Stdio::default(),
        privileged: false,
    }
}
