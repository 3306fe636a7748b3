//! What stands for a process: a command's name decides what it does with its streams.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

/// A process's ends of its streams.
pub(super) struct Stdio {
    tty: bool,
    input: mpsc::UnboundedReceiver<Vec<u8>>,
    output: mpsc::UnboundedSender<Vec<u8>>,
}

/// The other ends, to be tied to a connection.
pub(super) struct Pump {
    input: mpsc::UnboundedSender<Vec<u8>>,
    output: mpsc::UnboundedReceiver<Vec<u8>>,
}

impl Stdio {
    pub(super) fn new(tty: bool) -> (Stdio, Pump) {
        let (to_process, input) = mpsc::unbounded_channel();
        let (output, from_process) = mpsc::unbounded_channel();
        (
            Stdio { tty, input, output },
            Pump {
                input: to_process,
                output: from_process,
            },
        )
    }

    fn write(&self, stream: u8, text: &[u8]) {
        let mut bytes = Vec::new();
        if !self.tty {
            bytes.extend([stream, 0, 0, 0]);
            bytes.extend((text.len() as u32).to_be_bytes());
        }
        bytes.extend(text);
        // A client that has gone away reads no more.
        drop(self.output.send(bytes));
    }

    fn out(&self, text: &str) {
        self.write(1, text.as_bytes());
    }
}

impl Pump {
    pub(super) async fn run<S>(mut self, stream: S)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + 'static,
    {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let input = self.input;
        tokio::spawn(async move {
            let mut buffer = [0; 1024];
            while let Ok(read @ 1..) = reader.read(&mut buffer).await {
                if input.send(buffer[..read].to_vec()).is_err() {
                    break;
                }
            }
        });
        while let Some(bytes) = self.output.recv().await {
            if writer.write_all(&bytes).await.is_err() {
                return;
            }
        }
        drop(writer.shutdown().await);
    }
}

/// A process that runs, as the outside can reach it.
pub(super) struct Process {
    events: mpsc::UnboundedSender<Event>,
}

enum Event {
    Signal(String),
    Resize(String),
}

impl Process {
    pub(super) fn spawn(
        command: Vec<String>,
        stdio: Stdio,
        exited: impl FnOnce(i64) + Send + 'static,
    ) -> Process {
        let (events, received) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let code = run(&command, stdio, received).await;
            exited(code);
        });
        Process { events }
    }

    pub(super) fn signal(&self, name: &str) {
        drop(self.events.send(Event::Signal(name.to_owned())));
    }

    pub(super) fn resize(&self, query: &str) {
        drop(self.events.send(Event::Resize(query.to_owned())));
    }
}

pub(super) fn command(config: &Value) -> Vec<String> {
    let words = config["Cmd"].as_array().cloned().unwrap_or_default();
    words
        .iter()
        .filter_map(|word| word.as_str().map(str::to_owned))
        .collect()
}

/// Commands that cannot be started, in a runtime's words.
pub(super) fn refuses(command: &[String]) -> Option<(u16, &'static str)> {
    match command.first().map(String::as_str) {
        Some("nosuchcmd") => Some((
            400,
            "exec: \"nosuchcmd\": executable file not found in $PATH",
        )),
        Some("/etc/passwd") => Some((400, "exec: \"/etc/passwd\": permission denied")),
        Some("broken") => Some((500, "the virtual machine did not start")),
        _ => None,
    }
}

async fn run(
    command: &[String],
    mut stdio: Stdio,
    mut events: mpsc::UnboundedReceiver<Event>,
) -> i64 {
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["echo", words @ ..] => {
            stdio.out(&format!("{}\n", words.join(" ")));
            0
        }
        ["both"] => {
            stdio.write(1, b"out\n");
            stdio.write(2, b"err\n");
            7
        }
        ["exit", code] => code.parse().unwrap_or(1),
        // A terminal's output may begin with any byte, also with one that looks like a frame's.
        ["bytes"] => {
            stdio.write(1, b"\x01\x00\x02 raw");
            0
        }
        ["large"] => {
            stdio.write(1, &vec![b'x'; 3_000_000]);
            0
        }
        // Counts what it is given, and says so only after the end of its input.
        ["count"] => {
            let mut total = 0;
            while let Some(bytes) = stdio.input.recv().await {
                total += bytes.len();
            }
            stdio.out(&format!("{total}\n"));
            0
        }
        ["cat"] => {
            while let Some(bytes) = stdio.input.recv().await {
                stdio.write(1, &bytes);
            }
            0
        }
        ["trap"] => {
            stdio.out("ready\n");
            while let Some(event) = events.recv().await {
                if let Event::Signal(name) = event {
                    stdio.out(&format!("caught {name}\n"));
                    return 130;
                }
            }
            1
        }
        // Does not listen to signals.
        ["deaf"] => {
            stdio.out("ready\n");
            while events.recv().await.is_some() {}
            0
        }
        // A shell of sorts: says its size when it changes, ends with `exit N`.
        ["sh"] => shell(stdio, events).await,
        _ => 0,
    }
}

async fn shell(mut stdio: Stdio, mut events: mpsc::UnboundedReceiver<Event>) -> i64 {
    stdio.out("ready> ");
    let mut line = Vec::new();
    loop {
        tokio::select! {
            Some(event) = events.recv() => match event {
                Event::Resize(query) => stdio.out(&format!("size{query}\r\n")),
                Event::Signal(name) => stdio.out(&format!("signal {name}\r\n")),
            },
            bytes = stdio.input.recv() => {
                let Some(bytes) = bytes else { return 0 };
                stdio.write(1, &bytes);
                line.extend(bytes);
                if let Some(end) = line.iter().position(|byte| *byte == b'\r' || *byte == b'\n') {
                    let text = String::from_utf8_lossy(&line[..end]).into_owned();
                    line.drain(..=end);
                    if let Some(code) = text.strip_prefix("exit ") {
                        return code.trim().parse().unwrap_or(1);
                    }
                    stdio.out(&format!("\r\ngot {text:?}\r\n"));
                }
            }
        }
    }
}
