//! Whatever arrives on a connection, the agent goes on serving the others.

mod folder;
mod host;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use hull_agent::Port;
use hull_protocol::agent::{Answer, Call, ErrorKind, ProcessId, Request};
use hull_protocol::frame;
use hull_protocol::stream::{Channel, MAX_STDIN_CHUNK, Open};
use proptest::prelude::*;

use folder::Machine;
use host::{Host, spec};

/// Sends bytes, says that there are no more, and takes all that comes back.
fn throw(host: &Host, port: Port, bytes: &[u8]) -> Vec<u8> {
    let mut connection = host.connect(port);
    // The agent may close before it has read everything.
    let _ = connection.write_all(bytes);
    let _ = connection.shutdown(Shutdown::Write);
    let mut back = Vec::new();
    let _ = connection.read_to_end(&mut back);
    back
}

/// Bytes that look like frames: the length fits, the JSON is nearly right.
fn nearly_frames() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just("hello".to_owned()),
        Just("create".to_owned()),
        Just("wait".to_owned()),
        Just("shutdown_".to_owned()),
        "[a-z]{0,8}"
    ];
    let body = prop_oneof![
        word.clone()
            .prop_map(|w| format!("{{\"id\":1,\"call\":\"{w}\"}}")),
        word.clone()
            .prop_map(|w| format!("{{\"id\":1,\"call\":{{\"{w}\":{{}}}}}}")),
        word.prop_map(|w| format!("{{\"process\":\"{w}\",\"channel\":\"stdin\"}}")),
        "\\PC{0,40}",
    ];
    proptest::collection::vec(body, 0..4).prop_map(|bodies| {
        let mut wire = Vec::new();
        for body in bodies {
            wire.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
            wire.extend(body.as_bytes());
        }
        wire
    })
}

#[test]
fn random_bytes_end_their_connection_and_nothing_else() {
    let machine = Machine::new();
    let mut host = Host::new(&machine);
    let bytes = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..64),
        nearly_frames()
    ];
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(48));
    let outcome = runner.run(&bytes, |bytes| {
        throw(&host, Port::Control, &bytes);
        throw(&host, Port::Stream, &bytes);
        Ok(())
    });
    outcome.unwrap();
    host.create(spec(&["echo", "still here"]));
    host.start();
    assert_eq!(host.output("init").stdout, "still here\n");
}

#[test]
fn an_oversize_frame_closes_the_connection_unread() {
    let machine = Machine::new();
    let host = Host::new(&machine);
    for port in [Port::Control, Port::Stream] {
        assert_eq!(throw(&host, port, &u32::MAX.to_le_bytes()), b"");
    }
}

#[test]
fn garbage_behind_an_open_stream_leaves_the_process_alone() {
    let machine = Machine::new();
    let mut host = Host::new(&machine);
    let mut create = spec(&["sh", "-c", "read line; echo got $line"]);
    create.stdio.stdin = true;
    host.create(create);
    host.start();
    let open = |channel| {
        frame::encode(&Open {
            process: ProcessId::init(),
            channel,
        })
        .unwrap()
    };
    // A chunk over the limit, half a chunk, an acknowledgement of what was never written.
    let mut big = open(Channel::Stdin);
    big.extend((MAX_STDIN_CHUNK + 1).to_le_bytes());
    throw(&host, Port::Stream, &big);
    let mut half = open(Channel::Stdin);
    half.extend([5, 0, 0, 0, b'x']);
    throw(&host, Port::Stream, &half);
    let mut acks = open(Channel::Output { from: 0 });
    acks.extend(u64::MAX.to_le_bytes());
    throw(&host, Port::Stream, &acks);

    host.open_stdin("init").send(b"this\n");
    assert_eq!(host.output("init").stdout, "got this\n");
}

#[test]
fn a_flood_of_requests_is_answered_with_a_typed_refusal() {
    let machine = Machine::new();
    let mut host = Host::new(&machine);
    host.create(spec(&["sleep", "1000"]));
    host.start();
    let mut connection: UnixStream = host.connect(Port::Control);
    let hello = Call::Hello {
        version: hull_protocol::VERSION,
        time: 0,
        seed: Vec::new(),
    };
    let mut wire = Vec::new();
    for (id, call) in std::iter::once(hello)
        .chain((0..65).map(|_| Call::Wait {
            process: ProcessId::init(),
        }))
        .enumerate()
    {
        let request = Request {
            id: id as u64,
            deadline_ms: None,
            call,
        };
        wire.extend(frame::encode(&request).unwrap());
    }
    connection.write_all(&wire).unwrap();
    let greeted: hull_protocol::agent::Reply = frame::read(&mut connection).unwrap();
    assert!(matches!(greeted.result, Ok(Answer::Hello { .. })));
    let refused: hull_protocol::agent::Reply = frame::read(&mut connection).unwrap();
    assert_eq!(refused.result.unwrap_err().kind, ErrorKind::State);
    host.signal("init", libc::SIGKILL).unwrap();
    for _ in 0..64 {
        let reply: hull_protocol::agent::Reply = frame::read(&mut connection).unwrap();
        assert!(matches!(reply.result, Ok(Answer::Exited(e)) if e.code == 137));
    }
}
