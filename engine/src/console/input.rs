//! What clients type, on its way to the guest.

use std::path::PathBuf;

use bytes::Bytes;
use hull_protocol::agent::ProcessId;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::agent::stream::StdinStream;

/// Input of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    Bytes(Bytes),
    End,
}

/// What the end of a client's input means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AtEnd {
    /// The end of the process's input.
    Close,
    /// Nothing: others may type.
    Keep,
}

impl AtEnd {
    /// As Docker: a terminal's input never ends with a client, who may have detached by keys that it
    /// looks for itself and not have told; other input ends with the only client it is for.
    pub(crate) fn of(terminal: bool, only_client: bool) -> Self {
        if only_client && !terminal {
            Self::Close
        } else {
            Self::Keep
        }
    }
}

/// Looks for the detach keys in what is typed.
#[derive(Clone, Debug)]
pub(crate) struct DetachScan {
    keys: Vec<u8>,
    matched: usize,
}

impl DetachScan {
    pub(crate) fn new(keys: Vec<u8>) -> Self {
        Self { keys, matched: 0 }
    }

    /// What to pass on, and whether the keys have been typed. The keys' beginning is held back
    /// until it is clear that it was not one.
    pub(crate) fn scan(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let mut out = Vec::with_capacity(typed.len());
        for &byte in typed {
            if self.keys.get(self.matched) == Some(&byte) {
                self.matched += 1;
                if self.matched == self.keys.len() {
                    return (out, true);
                }
                continue;
            }
            out.extend_from_slice(&self.keys[..self.matched]);
            self.matched = 0;
            match self.keys.first() == Some(&byte) {
                true => self.matched = 1,
                false => out.push(byte),
            }
        }
        (out, false)
    }
}

/// Passes on what one client types until it stops, leaves or types the detach keys. Only the keys
/// make it cancel `gone`, and then the process keeps its input whatever is meant by its end.
pub(crate) async fn relay(
    mut from: mpsc::Receiver<Bytes>,
    to: mpsc::Sender<Typed>,
    mut detach: Option<DetachScan>,
    at_end: AtEnd,
    gone: CancellationToken,
) {
    loop {
        let typed = tokio::select! {
            typed = from.recv() => typed,
            () = gone.cancelled() => break,
        };
        let Some(typed) = typed else { break };
        let (typed, detached) = match &mut detach {
            Some(scan) => {
                let (typed, detached) = scan.scan(&typed);
                (Bytes::from(typed), detached)
            }
            None => (typed, false),
        };
        let passed = tokio::select! {
            sent = to.send(Typed::Bytes(typed)) => sent.is_ok(),
            () = gone.cancelled() => false,
        };
        if detached {
            gone.cancel();
        }
        if detached {
            return;
        }
        if !passed {
            break;
        }
    }
    if at_end == AtEnd::Close {
        // A process that has ended needs no end of input.
        let _ = to.send(Typed::End).await;
    }
}

/// Feeds a process until its input ends; connects when there is something to feed.
pub(crate) async fn feed(socket: PathBuf, process: ProcessId, typed: &mut mpsc::Receiver<Typed>) {
    let mut stdin: Option<StdinStream> = None;
    while let Some(next) = typed.recv().await {
        if matches!(&next, Typed::Bytes(b) if b.is_empty()) {
            continue;
        }
        let stream = match &mut stdin {
            Some(stream) => stream,
            None => match StdinStream::open(&socket, &process).await {
                Ok(stream) => stdin.insert(stream),
                Err(error) => {
                    tracing::debug!(%error, "no way to a process's stdin");
                    return;
                }
            },
        };
        let sent = match &next {
            Typed::Bytes(bytes) => stream.write(bytes).await,
            Typed::End => stream.finish().await,
        };
        if let Err(error) = sent {
            tracing::debug!(%error, "a process's stdin was lost");
            stdin = None;
        }
        if next == Typed::End {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a process is fed by a client that types and goes.
    async fn fed(at_end: AtEnd) -> Vec<Typed> {
        let (client, from) = mpsc::channel(1);
        let (to, mut fed) = mpsc::channel(4);
        client.send(Bytes::from_static(b"ls")).await.unwrap();
        drop(client);
        relay(from, to, None, at_end, CancellationToken::new()).await;
        let mut all = Vec::new();
        while let Some(typed) = fed.recv().await {
            all.push(typed);
        }
        all
    }

    #[tokio::test]
    async fn a_client_that_goes_ends_the_input_that_is_for_it_alone_and_no_terminals() {
        let typed = Typed::Bytes(Bytes::from_static(b"ls"));
        assert_eq!(
            fed(AtEnd::of(false, true)).await,
            [typed.clone(), Typed::End]
        );
        for kept in [AtEnd::of(true, true), AtEnd::of(false, false)] {
            assert_eq!(fed(kept).await, std::slice::from_ref(&typed));
        }
    }

    #[tokio::test]
    async fn a_client_that_is_cut_off_is_one_that_goes() {
        for (at_end, expected) in [(AtEnd::Close, Some(Typed::End)), (AtEnd::Keep, None)] {
            let (client, from) = mpsc::channel(1);
            let (to, mut fed) = mpsc::channel(4);
            let gone = CancellationToken::new();
            gone.cancel();
            relay(from, to, None, at_end, gone).await;
            assert_eq!(fed.recv().await, expected);
            drop(client);
        }
    }

    #[test]
    fn detach_keys_are_found_across_pieces_and_their_beginning_is_passed_on() {
        let mut scan = DetachScan::new(vec![0x10, 0x11]);
        assert_eq!(scan.scan(b"ab"), (b"ab".to_vec(), false));
        assert_eq!(scan.scan(&[0x10]), (vec![], false));
        assert_eq!(scan.scan(b"x"), (vec![0x10, b'x'], false));
        assert_eq!(scan.scan(&[0x10, 0x10]), (vec![0x10], false));
        assert_eq!(scan.scan(&[0x11, b'z']), (vec![], true));
    }
}
