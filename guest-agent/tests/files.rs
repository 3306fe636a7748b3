//! The container's files over a connection, as the engine uses it.

mod folder;
mod host;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use folder::Machine;
use host::{Host, spec};
use hull_agent::Port;
use hull_protocol::agent::{Answer, Call, ErrorKind, RootFs};
use hull_protocol::files::{Closed, Open, Opened, PathStat, Replace};
use hull_protocol::frame;

const ROOT: RootFs = RootFs {
    layers: 1,
    scratch: None,
};

fn open(host: &Host, open: &Open) -> (UnixStream, Opened) {
    let mut stream = host.connect(Port::Files);
    frame::write(&mut stream, open).unwrap();
    let opened = frame::read(&mut stream).unwrap();
    (stream, opened)
}

/// Chunks to the last one, then how it went.
fn receive(mut stream: UnixStream) -> (Vec<u8>, Closed) {
    let mut bytes = Vec::new();
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length).unwrap();
        let length = u32::from_le_bytes(length) as usize;
        if length == 0 {
            return (bytes, frame::read(&mut stream).unwrap());
        }
        let at = bytes.len();
        bytes.resize(at + length, 0);
        stream.read_exact(&mut bytes[at..]).unwrap();
    }
}

fn send(mut stream: UnixStream, bytes: &[u8]) -> Closed {
    for chunk in bytes.chunks(64 << 10) {
        let length = u32::try_from(chunk.len()).unwrap();
        stream.write_all(&length.to_le_bytes()).unwrap();
        stream.write_all(chunk).unwrap();
    }
    stream.write_all(&[0; 4]).unwrap();
    frame::read(&mut stream).unwrap()
}

fn write(path: &str) -> Open {
    Open::Write {
        path: path.into(),
        replace: Replace::Anything,
        owner: None,
    }
}

fn stat(host: &Host, path: &str) -> Opened {
    open(host, &Open::Stat { path: path.into() }).1
}

#[test]
fn files_of_a_root_that_runs_nothing_go_out_and_in() {
    let machine = Machine::new();
    let mut host = Host::new(&machine);
    let refused = stat(&host, "/etc").unwrap_err();
    assert_eq!(refused.kind, ErrorKind::State);
    assert_eq!(host.call(Call::Mount(ROOT)), Ok(Answer::Done));
    let found = stat(&host, "/etc/passwd").unwrap();
    let Some(PathStat { name, mode, .. }) = found else {
        panic!("{found:?}")
    };
    assert_eq!((&*name, mode), ("passwd", 0o10_0644));

    let read = Open::Read {
        path: "/etc".into(),
    };
    let (stream, opened) = open(&host, &read);
    assert_eq!(opened.unwrap().unwrap().name, "etc");
    let (archive, closed) = receive(stream);
    assert_eq!(closed, Ok(()));

    fs::create_dir(machine.path("copy")).unwrap();
    let (stream, opened) = open(&host, &write("/copy"));
    assert_eq!(opened, Ok(None));
    assert_eq!(send(stream, &archive), Ok(()));
    let text = |path| fs::read_to_string(machine.path(path)).unwrap();
    assert_eq!(text("copy/etc/passwd"), text("etc/passwd"));
    assert_eq!(host.call(Call::Start).unwrap_err().kind, ErrorKind::State);
}

#[test]
fn a_running_containers_files_can_be_had_too() {
    let machine = Machine::new();
    let mut host = Host::new(&machine);
    host.create(spec(&["sleep", "1000"]));
    host.start();
    let (stream, opened) = open(&host, &Open::Export);
    assert_eq!(opened, Ok(None));
    let (archive, closed) = receive(stream);
    assert_eq!(closed, Ok(()));
    let names = String::from_utf8_lossy(&archive).into_owned();
    assert!(names.contains("etc/passwd"));
}

#[test]
fn a_layer_can_be_taken_while_everything_stands_still() {
    let machine = Machine::new();
    fs::create_dir(machine.path("upper")).unwrap();
    fs::write(machine.path("upper/changed"), "x").unwrap();
    let mut host = Host::new(&machine);
    // Each round takes a moment: what stands still writes nothing.
    let script = "while :; do echo x >> /work/log; done";
    host.create(spec(&["sh", "-c", script]));
    host.start();
    for freeze in [true, false, true] {
        let (stream, opened) = open(&host, &Open::Layer { freeze });
        assert_eq!(opened, Ok(None));
        let length = || fs::metadata(machine.path("work/log")).map_or(0, |m| m.len());
        if freeze {
            // The connection holds it, as nothing has been read from it yet.
            let before = length();
            assert_eq!(length(), before);
        }
        let (archive, closed) = receive(stream);
        assert_eq!(closed, Ok(()));
        assert!(archive.windows(7).any(|w| w == b"changed"));
    }
    // Thawed: it can be killed as always.
    host.signal("init", 9).unwrap();
    assert_eq!(host.wait("init").unwrap().code, 137);
}

#[test]
fn what_is_not_there_or_of_the_wrong_kind_is_refused() {
    let machine = Machine::new();
    let mut host = Host::new(&machine);
    assert_eq!(host.call(Call::Mount(ROOT)), Ok(Answer::Done));
    for wanted in [
        Open::Stat {
            path: "/gone".into(),
        },
        Open::Read {
            path: "/gone/x".into(),
        },
        write("/gone"),
    ] {
        let (_, opened) = open(&host, &wanted);
        assert_eq!(
            opened.unwrap_err().kind,
            ErrorKind::NoSuchPath,
            "{wanted:?}"
        );
    }
    let (_, opened) = open(&host, &write("/etc/passwd"));
    assert_eq!(opened.unwrap_err().kind, ErrorKind::WrongKind);
}

#[test]
fn a_damaged_archive_is_told_after_all_of_it_was_sent() {
    let machine = Machine::new();
    let mut host = Host::new(&machine);
    assert_eq!(host.call(Call::Mount(ROOT)), Ok(Answer::Done));
    let (stream, opened) = open(&host, &write("/etc"));
    assert_eq!(opened, Ok(None));
    let closed = send(stream, &vec![0x5a; 4 << 20]);
    assert_eq!(closed.unwrap_err().kind, ErrorKind::BadArchive);
}
