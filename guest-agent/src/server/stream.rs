//! A stream connection: output of one process out, or input of one process in.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use hull_protocol::agent::AgentError;
use hull_protocol::frame;
use hull_protocol::stream::{Channel, MAX_STDIN_CHUNK, Open, Opened, Output};

use crate::agent::Agent;
use crate::process::Process;
use crate::process::stdin::Written;
use crate::server::opening;
use crate::{process, thread};

/// Serves a connection until either side is done with it.
pub(crate) fn serve(agent: &Agent, connection: &UnixStream) {
    if let Ok(open) = opening::<Open>(connection) {
        match agent.process(&open.process) {
            Err(refused) => answer(connection, &Err(refused)),
            Ok(process) => match open.channel {
                Channel::Output { from } => output(&process, from, connection),
                Channel::Stdin => input(&process, connection),
            },
        }
    }
    // It may be closed already.
    let _ = connection.shutdown(Shutdown::Both);
}

fn answer(mut connection: &UnixStream, opened: &Opened) {
    // A host that does not listen is found out by the next use of the connection.
    let _ = frame::write(&mut connection, opened);
}

fn output(process: &Arc<Process>, from: u64, mut connection: &UnixStream) {
    let (Ok(kept), Ok(acks)) = (connection.try_clone(), connection.try_clone()) else {
        return;
    };
    let turn = match process.outlet.attach(from, kept) {
        Ok(turn) => turn,
        Err(refused) => return answer(connection, &Err(AgentError::from(refused))),
    };
    answer(connection, &Ok(()));
    let acked = process.clone();
    let reader = thread::spawn("acks", move || read_acks(&acked, turn, &acks));
    let mut offset = from;
    let mut packet = Vec::new();
    while reader.is_ok() {
        let Some(entry) = process.outlet.next(turn, offset) else {
            break;
        };
        packet.clear();
        packet.extend_from_slice(&entry.header.encode());
        packet.extend_from_slice(entry.bytes());
        if connection.write_all(&packet).is_err() {
            break;
        }
        if entry.header.output == Output::End {
            // The host's last acknowledgements may be on their way: it closes.
            process.outlet.rest(turn);
        }
        offset = entry.next();
    }
    process.outlet.detach(turn);
}

fn read_acks(process: &Process, turn: process::outlet::Turn, mut connection: &UnixStream) {
    let mut bytes = [0; 8];
    while connection.read_exact(&mut bytes).is_ok() {
        if process.outlet.ack(turn, u64::from_le_bytes(bytes)).is_err() {
            break;
        }
    }
    process.outlet.detach(turn);
}

fn input(process: &Process, mut connection: &UnixStream) {
    let (stdin, kept) = match (process.stdin(), connection.try_clone()) {
        (Ok(stdin), Ok(kept)) => (stdin, kept),
        (Err(refused), _) => return answer(connection, &Err(refused.into())),
        (_, Err(_)) => return,
    };
    let turn = stdin.attach(kept);
    answer(connection, &Ok(()));
    let mut chunk = Vec::new();
    loop {
        let mut length = [0; 4];
        if connection.read_exact(&mut length).is_err() {
            break;
        }
        let length = u32::from_le_bytes(length);
        if length > MAX_STDIN_CHUNK {
            break;
        }
        if length == 0 {
            stdin.finish(turn);
            continue;
        }
        chunk.resize(length as usize, 0);
        if connection.read_exact(&mut chunk).is_err() || stdin.write(turn, &chunk) == Written::Over
        {
            break;
        }
    }
    stdin.detach(turn);
}
