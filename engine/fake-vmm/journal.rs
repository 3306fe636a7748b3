//! Output kept until it is acknowledged, as the real agent keeps it.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use hull_protocol::stream::{Output, RecordHeader};

/// Small, so that tests fill it.
const CAPACITY: usize = 64 << 10;

#[derive(Default)]
pub(crate) struct Journal {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    records: VecDeque<(RecordHeader, Vec<u8>)>,
    held: usize,
    acked: u64,
    end: u64,
    finished: bool,
    /// The newest reader; earlier ones stop.
    reader: u64,
}

pub(crate) fn now() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    u64::try_from(since.as_nanos()).expect("before 2554")
}

impl Journal {
    /// Adds output, and waits while there is no room.
    pub(crate) fn push(&self, output: Output, bytes: &[u8]) {
        let mut inner = self.inner.lock().unwrap();
        while inner.held > CAPACITY {
            inner = self.changed.wait(inner).unwrap();
        }
        let header = RecordHeader {
            offset: inner.end,
            time: now(),
            length: u32::try_from(bytes.len()).unwrap(),
            output,
        };
        inner.end += bytes.len() as u64;
        inner.held += bytes.len();
        inner.records.push_back((header, bytes.to_vec()));
        self.changed.notify_all();
    }

    pub(crate) fn finish(&self) {
        self.inner.lock().unwrap().finished = true;
        self.changed.notify_all();
    }

    /// A reader from an offset that is kept.
    pub(crate) fn open(&self, from: u64) -> Result<u64, String> {
        let mut inner = self.inner.lock().unwrap();
        if !(inner.acked..=inner.end).contains(&from) {
            return Err(format!(
                "offset {from} is outside of {} to {}",
                inner.acked, inner.end
            ));
        }
        inner.reader += 1;
        self.changed.notify_all();
        Ok(inner.reader)
    }

    pub(crate) fn ack(&self, offset: u64) {
        let mut inner = self.inner.lock().unwrap();
        assert!(
            offset <= inner.end,
            "an acknowledgement of what was not sent"
        );
        inner.acked = inner.acked.max(offset);
        while let Some((header, bytes)) = inner.records.front() {
            if header.offset + bytes.len() as u64 > inner.acked {
                break;
            }
            let length = bytes.len();
            inner.held -= length;
            inner.records.pop_front();
        }
        self.changed.notify_all();
    }

    /// The next record for a reader; `None` once another has taken over.
    pub(crate) fn next(&self, reader: u64, from: u64) -> Option<(RecordHeader, Vec<u8>)> {
        let mut inner = self.inner.lock().unwrap();
        loop {
            if inner.reader != reader {
                return None;
            }
            let found = inner
                .records
                .iter()
                .find(|(h, b)| h.offset + b.len() as u64 > from);
            if let Some((header, bytes)) = found {
                let skip = usize::try_from(from.saturating_sub(header.offset)).unwrap();
                let bytes = bytes[skip..].to_vec();
                let length = u32::try_from(bytes.len()).unwrap();
                return Some((
                    RecordHeader {
                        offset: header.offset + skip as u64,
                        length,
                        ..*header
                    },
                    bytes,
                ));
            }
            if inner.finished {
                let (offset, time) = (inner.end, now());
                return Some((
                    RecordHeader {
                        offset,
                        time,
                        length: 0,
                        output: Output::End,
                    },
                    Vec::new(),
                ));
            }
            inner = self.changed.wait(inner).unwrap();
        }
    }
}
