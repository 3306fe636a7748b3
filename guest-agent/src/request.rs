//! Requests as the agent reads them: `hull_protocol`'s, with [`crate::spec::Spec`] for the runtime
//! specification. The tests hold the two together.

use hull_protocol::agent::{
    Exec, Limits, ProcessId, ProvidedFile, RootFs, Stdio, TerminalSize, User,
};
use serde::Deserialize;

use crate::spec::Spec;

/// See [`hull_protocol::agent::Request`].
#[derive(Debug, Deserialize)]
pub(crate) struct Request {
    pub(crate) id: u64,
    #[serde(default)]
    pub(crate) deadline_ms: Option<u64>,
    pub(crate) call: Call,
}

/// See [`hull_protocol::agent::Call`].
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Call {
    Hello {
        version: u32,
        time: u64,
        seed: Vec<u8>,
    },
    Create(Box<Create>),
    Mount(RootFs),
    Start,
    Exec(Box<Exec>),
    Signal {
        process: ProcessId,
        signal: i32,
    },
    Resize {
        process: ProcessId,
        size: TerminalSize,
    },
    Wait {
        process: ProcessId,
    },
    Forget {
        process: ProcessId,
    },
    Processes,
    Stats,
    Limit(Limits),
    Shutdown,
}

/// See [`hull_protocol::agent::Create`].
#[derive(Debug, Deserialize)]
pub(crate) struct Create {
    pub(crate) root: RootFs,
    pub(crate) spec: Spec,
    #[serde(default)]
    pub(crate) user: User,
    pub(crate) stdio: Stdio,
    #[serde(default)]
    pub(crate) init: bool,
    #[serde(default)]
    pub(crate) files: Vec<ProvidedFile>,
}

#[cfg(test)]
mod tests {
    use hull_protocol::agent as wire;
    use hull_protocol::frame;

    use super::*;

    /// Fails to compile when the protocol gets a call this module does not have.
    fn same(sent: &wire::Call, read: &Call) -> bool {
        match (sent, read) {
            (
                wire::Call::Hello {
                    version,
                    time,
                    seed,
                },
                Call::Hello {
                    version: v,
                    time: t,
                    seed: s,
                },
            ) => (version, time, seed) == (v, t, s),
            (wire::Call::Create(a), Call::Create(b)) => {
                let wire::Create {
                    root,
                    spec,
                    user,
                    stdio,
                    init,
                    files,
                } = &**a;
                let args = spec.process().as_ref().and_then(|p| p.args().clone());
                let same = (root, user, stdio) == (&b.root, &b.user, &b.stdio);
                same && (init, files) == (&b.init, &b.files)
                    && args == b.spec.process.as_ref().map(|p| p.args.clone())
            }
            (wire::Call::Mount(a), Call::Mount(b)) => a == b,
            (wire::Call::Exec(a), Call::Exec(b)) => a == b,
            (wire::Call::Limit(a), Call::Limit(b)) => a == b,
            (
                wire::Call::Signal { process, signal },
                Call::Signal {
                    process: p,
                    signal: s,
                },
            ) => (process, signal) == (p, s),
            (
                wire::Call::Resize { process, size },
                Call::Resize {
                    process: p,
                    size: s,
                },
            ) => (process, size) == (p, s),
            (wire::Call::Wait { process }, Call::Wait { process: p })
            | (wire::Call::Forget { process }, Call::Forget { process: p }) => process == p,
            (wire::Call::Start, Call::Start)
            | (wire::Call::Processes, Call::Processes)
            | (wire::Call::Stats, Call::Stats)
            | (wire::Call::Shutdown, Call::Shutdown) => true,
            (
                wire::Call::Hello { .. }
                | wire::Call::Create(_)
                | wire::Call::Mount(_)
                | wire::Call::Start
                | wire::Call::Exec(_)
                | wire::Call::Signal { .. }
                | wire::Call::Resize { .. }
                | wire::Call::Wait { .. }
                | wire::Call::Forget { .. }
                | wire::Call::Processes
                | wire::Call::Stats
                | wire::Call::Limit(_)
                | wire::Call::Shutdown,
                _,
            ) => false,
        }
    }

    #[test]
    fn every_golden_request_is_read_as_it_was_meant() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../protocol/testdata");
        let mut requests = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read(entry.unwrap().path()).unwrap();
            let Ok(sent) = serde_json::from_slice::<wire::Request>(&text) else {
                // A reply, or the opening of a stream.
                continue;
            };
            let mut decoder = frame::Decoder::default();
            decoder.push(&frame::encode(&sent).unwrap());
            let read: Request = decoder.take().unwrap().unwrap();
            assert_eq!((sent.id, sent.deadline_ms), (read.id, read.deadline_ms));
            assert!(same(&sent.call, &read.call), "{read:?}");
            requests += 1;
        }
        assert_eq!(requests, 13, "one golden file for each call");
    }
}
