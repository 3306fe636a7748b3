//! The machine's side of an `exec`: starts the command, owns it, passes everything on.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::wire::{self, Frame, Message, Request, Size};
use crate::mux::Stream;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The conversation's stream, both ways at once.
pub(crate) trait Link: Send + Sync + 'static {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize>;
    fn write(&self, bytes: &[u8]) -> io::Result<()>;
    /// No more is written.
    fn finish(&self) -> io::Result<()>;
}

impl Link for Stream {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Stream::read(self, buffer)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        Stream::write(self, bytes)
    }

    fn finish(&self) -> io::Result<()> {
        Stream::finish(self)
    }
}

/// Serves one `exec`, from its request to its command's end.
pub(crate) fn serve(link: impl Link) -> io::Result<()> {
    let link = Arc::new(link);
    let Frame::Message(Message::Request(request)) = Frame::read(Reader(&*link))? else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "no exec request",
        ));
    };
    let answers = Answers {
        link: Arc::clone(&link),
        turn: Arc::default(),
    };
    match Job::start(&request) {
        Err(error) => answers.message(&refusal(&request, &error)),
        Ok(mut job) if request.detach.is_some() => {
            // Reaped when it ends, however much later.
            thread::spawn(move || job.child.wait());
            answers.message(&Message::Exited(0))
        }
        Ok(job) => attend(job, &answers),
    }
}

/// As a shell says it: 127 for what is not there, 126 for what cannot be run.
fn refusal(request: &Request, error: &io::Error) -> Message {
    let program = request.argv.first().map_or("", String::as_str);
    let status = if error.kind() == io::ErrorKind::NotFound {
        127
    } else {
        126
    };
    Message::Refused {
        reason: format!("cannot run {program:?} in the machine: {error}"),
        status,
    }
}

struct Job {
    child: Child,
    input: Option<OwnedFd>,
    outputs: Vec<(u8, OwnedFd)>,
    terminal: Option<OwnedFd>,
}

impl Job {
    fn start(request: &Request) -> io::Result<Self> {
        let (program, arguments) = request
            .argv
            .split_first()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no command"))?;
        std::fs::metadata(&request.cwd).map_err(|e| {
            io::Error::new(e.kind(), format!("folder {}: {e}", request.cwd.display()))
        })?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(&request.cwd)
            .env_clear()
            .env("PATH", PATH)
            .env("HOME", "/root")
            .envs(request.env.iter().map(|(key, value)| (key, value)));
        match (&request.detach, request.tty) {
            (Some(log), _) => Self::detached(command, &File::create(log)?),
            (None, Some(size)) => Self::on_terminal(command, size),
            (None, None) => Self::on_pipes(command),
        }
    }

    fn detached(mut command: Command, log: &File) -> io::Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log.try_clone()?);
        own_session(&mut command, Terminal::None);
        let child = command.spawn()?;
        Ok(Self {
            child,
            input: None,
            outputs: Vec::new(),
            terminal: None,
        })
    }

    fn on_pipes(mut command: Command) -> io::Result<Self> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        own_session(&mut command, Terminal::None);
        let mut child = command.spawn()?;
        let input = child.stdin.take().map(OwnedFd::from);
        let out = child
            .stdout
            .take()
            .map(|fd| (wire::OUTPUT, OwnedFd::from(fd)));
        let err = child
            .stderr
            .take()
            .map(|fd| (wire::ERROR_OUTPUT, OwnedFd::from(fd)));
        Ok(Self {
            child,
            input,
            outputs: out.into_iter().chain(err).collect(),
            terminal: None,
        })
    }

    fn on_terminal(mut command: Command, size: Size) -> io::Result<Self> {
        let main = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&main)?;
        unlockpt(&main)?;
        let name = ptsname(&main, Vec::new())?;
        let name = name
            .to_str()
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        let side = File::options().read(true).write(true).open(name)?;
        resize(&main, size)?;
        command
            .stdin(side.try_clone()?)
            .stdout(side.try_clone()?)
            .stderr(side);
        own_session(&mut command, Terminal::OnStdin);
        let child = command.spawn()?;
        // Dropping the command closes our copies of the terminal's other side.
        drop(command);
        let output = vec![(wire::OUTPUT, main.try_clone()?)];
        Ok(Self {
            child,
            input: Some(main.try_clone()?),
            outputs: output,
            terminal: Some(main),
        })
    }
}

#[derive(Clone, Copy)]
enum Terminal {
    None,
    OnStdin,
}

/// A session of its own, so that it can be signalled as a whole.
fn own_session(command: &mut Command, terminal: Terminal) {
    let prepare = move || {
        rustix::process::setsid()?;
        if let Terminal::OnStdin = terminal {
            rustix::process::ioctl_tiocsctty(io::stdin())?;
        }
        Ok(())
    };
    // SAFETY: only plain system calls are made between fork and exec.
    unsafe { command.pre_exec(prepare) };
}

fn resize(terminal: impl AsFd, size: Size) -> io::Result<()> {
    let size = Winsize {
        ws_row: size.rows,
        ws_col: size.columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    Ok(tcsetwinsize(terminal, size)?)
}

/// Passes everything on until the command has ended and its output is told.
///
/// The thread that listens to the client ends when the client does, and the one that feeds
/// the command when somebody reads: neither is waited for.
fn attend(job: Job, answers: &Answers<impl Link>) -> io::Result<()> {
    let Job {
        mut child,
        input,
        outputs,
        terminal,
    } = job;
    let group = Pid::from_child(&child);
    let ended = Arc::new(AtomicBool::new(false));
    {
        let (ended, answers) = (Arc::clone(&ended), answers.clone());
        thread::Builder::new()
            .name("exec-listen".into())
            .spawn(move || {
                let listening = listen(&answers, input, terminal.as_ref(), group);
                if listening.is_err() && !ended.load(Ordering::Acquire) {
                    // The client is gone. The group may be, too.
                    let _ = kill_process_group(group, Signal::KILL);
                }
            })?;
    }
    let status = thread::scope(|scope| {
        for (kind, fd) in outputs {
            let ended = &ended;
            scope.spawn(move || pass_on(kind, fd, ended, answers));
        }
        let status = child.wait();
        ended.store(true, Ordering::Release);
        status
    })?;
    answers.message(&Message::Exited(shell_status(status)))?;
    answers.link.finish()
}

fn shell_status(status: ExitStatus) -> u8 {
    match (status.code(), status.signal()) {
        (Some(code), _) => code as u8,
        (None, signal) => 128 + signal.unwrap_or(0) as u8,
    }
}

/// Does what the client says; an error means that it is gone.
fn listen(
    answers: &Answers<impl Link>,
    input: Option<OwnedFd>,
    terminal: Option<&OwnedFd>,
    group: Pid,
) -> io::Result<()> {
    let mut feed = input.map(|fd| feeder(fd, answers.clone())).transpose()?;
    loop {
        match Frame::read(Reader(&*answers.link))? {
            Frame::Input(bytes) => {
                if let Some(feed) = &feed {
                    // A command that does not read any more is noticed by the feeder.
                    let _ = feed.send(bytes);
                }
            }
            Frame::Message(Message::InputEnd) => {
                const END_OF_TRANSMISSION: u8 = 4;
                if let (Some(feed), Some(_)) = (feed.take(), terminal) {
                    let _ = feed.send(vec![END_OF_TRANSMISSION]);
                }
            }
            Frame::Message(Message::Resize(size)) => {
                if let Some(terminal) = terminal {
                    // The command may have just ended, and its terminal with it.
                    let _ = resize(terminal, size);
                }
            }
            Frame::Message(Message::Signal(number)) => {
                if let Some(signal) = Signal::from_named_raw(number) {
                    let _ = kill_process_group(group, signal);
                }
            }
            Frame::Message(_) | Frame::Output(_) | Frame::ErrorOutput(_) => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "frame out of turn",
                ));
            }
        }
    }
}

/// A thread that feeds the command, so that one that does not read can still be signalled.
/// What is queued is bounded by what the client sends ahead of [`Message::InputTaken`].
fn feeder(fd: OwnedFd, answers: Answers<impl Link>) -> io::Result<mpsc::Sender<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel::<Vec<u8>>();
    thread::Builder::new()
        .name("exec-feed".into())
        .spawn(move || {
            let mut open = Some(File::from(fd));
            for bytes in receiver {
                if open
                    .as_mut()
                    .is_some_and(|file| file.write_all(&bytes).is_err())
                {
                    // What follows goes nowhere, as in a pipe that nobody reads.
                    open = None;
                }
                if answers
                    .message(&Message::InputTaken(bytes.len() as u32))
                    .is_err()
                {
                    return;
                }
            }
        })?;
    Ok(sender)
}

/// Copies output until its end, or until the command has ended and nothing is left: some
/// child in the background may keep the other side open for ever.
fn pass_on(kind: u8, fd: OwnedFd, ended: &AtomicBool, answers: &Answers<impl Link>) {
    const LOOK_AGAIN: Timespec = Timespec {
        tv_sec: 0,
        tv_nsec: 50_000_000,
    };
    let mut file = File::from(fd);
    let mut buffer = vec![0; 32 * 1024];
    loop {
        // Read before the poll: what was written before the end is then seen by it.
        let last = ended.load(Ordering::Acquire);
        let ready = {
            let mut fds = [PollFd::new(&file, PollFlags::IN)];
            poll(&mut fds, Some(&LOOK_AGAIN))
        };
        match ready {
            Ok(0) if last => return,
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(_) => return,
        }
        // A terminal whose other side is closed gives EIO.
        match file.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => {
                if answers.bytes(kind, &buffer[..count]).is_err() {
                    return;
                }
            }
        }
    }
}

/// Frames of several threads, one after the other.
struct Answers<L> {
    link: Arc<L>,
    turn: Arc<Mutex<()>>,
}

impl<L> Clone for Answers<L> {
    fn clone(&self) -> Self {
        Self {
            link: Arc::clone(&self.link),
            turn: Arc::clone(&self.turn),
        }
    }
}

impl<L: Link> Answers<L> {
    fn message(&self, message: &Message) -> io::Result<()> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        wire::write_message(Writer(&*self.link), message)
    }

    fn bytes(&self, kind: u8, bytes: &[u8]) -> io::Result<()> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        wire::write_bytes(Writer(&*self.link), kind, bytes)
    }
}

struct Reader<'a, L>(&'a L);

impl<L: Link> Read for Reader<'_, L> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

struct Writer<'a, L>(&'a L);

impl<L: Link> Write for Writer<'_, L> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Shutdown;
    use std::os::unix::net::UnixStream;

    use super::*;

    impl Link for UnixStream {
        fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
            Read::read(&mut &*self, buffer)
        }

        fn write(&self, bytes: &[u8]) -> io::Result<()> {
            Write::write_all(&mut &*self, bytes)
        }

        fn finish(&self) -> io::Result<()> {
            self.shutdown(Shutdown::Write)
        }
    }

    /// A conversation with a server that runs natively.
    struct Talk {
        socket: UnixStream,
    }

    /// All of a command's output, and how it ended.
    #[derive(Debug, Default, PartialEq)]
    struct Heard {
        out: String,
        err: String,
        end: Option<Message>,
    }

    impl Talk {
        fn start(request: Request) -> Self {
            let (socket, server) = UnixStream::pair().unwrap();
            thread::spawn(move || serve(server));
            wire::write_message(&socket, &Message::Request(request)).unwrap();
            Self { socket }
        }

        fn say(&self, message: &Message) -> &Self {
            wire::write_message(&self.socket, message).unwrap();
            self
        }

        fn input(&self, bytes: &[u8]) -> &Self {
            wire::write_bytes(&self.socket, wire::INPUT, bytes).unwrap();
            self
        }

        fn hear_until(&self, enough: impl Fn(&Heard) -> bool) -> Heard {
            let mut heard = Heard::default();
            while !enough(&heard) {
                match Frame::read(&self.socket).unwrap() {
                    Frame::Output(bytes) => heard.out += &String::from_utf8(bytes).unwrap(),
                    Frame::ErrorOutput(bytes) => heard.err += &String::from_utf8(bytes).unwrap(),
                    Frame::Message(Message::InputTaken(_)) => {}
                    Frame::Message(message) => heard.end = Some(message),
                    Frame::Input(_) => panic!("the server sent input"),
                }
            }
            heard
        }

        fn hear_all(&self) -> Heard {
            self.hear_until(|heard| heard.end.is_some())
        }
    }

    fn shell(script: &str) -> Request {
        Request {
            argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
            cwd: "/".into(),
            ..Request::default()
        }
    }

    #[test]
    fn streams_and_status_are_kept_apart() {
        let talk = Talk::start(shell("cat; echo problem >&2; pwd; exit 7"));
        talk.input(b"hello\n").say(&Message::InputEnd);
        let heard = talk.hear_all();
        assert_eq!(heard.out, "hello\n/\n");
        assert_eq!(heard.err, "problem\n");
        assert_eq!(heard.end, Some(Message::Exited(7)));
    }

    #[test]
    fn command_that_does_not_read_can_be_signalled() {
        let talk = Talk::start(shell("echo ready; exec sleep 1000"));
        talk.hear_until(|heard| !heard.out.is_empty());
        talk.input(&[0; 200_000]).say(&Message::Signal(15));
        assert_eq!(talk.hear_all().end, Some(Message::Exited(143)));
    }

    #[test]
    fn background_child_does_not_hold_up_the_answer() {
        let talk = Talk::start(shell("sleep 1000 & echo $!"));
        let heard = talk.hear_all();
        assert_eq!(heard.end, Some(Message::Exited(0)));
        let pid: i32 = heard.out.trim().parse().unwrap();
        rustix::process::kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    }

    #[test]
    fn terminal_has_the_size_asked_for_and_takes_another() {
        let size = Size {
            rows: 11,
            columns: 44,
        };
        let mut request = shell("stty size; read x; stty size");
        request.tty = Some(size);
        let talk = Talk::start(request);
        talk.hear_until(|heard| heard.out.contains("11 44"));
        talk.say(&Message::Resize(Size {
            rows: 22,
            columns: 55,
        }))
        .input(b"\n");
        let heard = talk.hear_all();
        assert!(heard.out.contains("22 55"), "{heard:?}");
        assert_eq!(heard.end, Some(Message::Exited(0)));
    }

    #[test]
    fn client_that_goes_away_takes_the_command_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("alive");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &fifo,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .unwrap();
        let talk = Talk::start(shell(&format!("exec 3>{}; sleep 1000", fifo.display())));
        let mut reader = File::open(&fifo).unwrap();
        drop(talk);
        // The end of the pipe is the end of all who had it open.
        assert_eq!(reader.read(&mut [0; 1]).unwrap(), 0);
    }

    #[test]
    fn what_cannot_start_is_refused_as_a_shell_does() {
        let mut request = shell("");
        request.argv = vec!["/nonexistent/program".into()];
        let heard = Talk::start(request).hear_all();
        assert!(
            matches!(heard.end, Some(Message::Refused { status: 127, .. })),
            "{heard:?}"
        );
        let mut request = shell("");
        request.argv = vec!["/etc/passwd".into()];
        let heard = Talk::start(request).hear_all();
        assert!(
            matches!(heard.end, Some(Message::Refused { status: 126, .. })),
            "{heard:?}"
        );
    }

    #[test]
    fn detached_command_is_answered_when_it_has_started() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut request = shell("echo logged");
        request.detach = Some(log.clone());
        assert_eq!(
            Talk::start(request).hear_all().end,
            Some(Message::Exited(0))
        );
        assert!(log.exists());
    }
}
