//! The output of one process, kept until the host has stored it.
//!
//! ```text
//!        acked            sent by the current reader        end
//!          │                          │                      │
//!  ────────┼──────────────────────────┼──────────────────────┤
//!  dropped │        kept, may be read again                  │ next record goes here
//! ```
//!
//! This is the pure part: a bounded queue of records with offsets. Who waits for whom is in
//! [`crate::process::outlet`].

use std::collections::VecDeque;
use std::sync::Arc;

use hull_protocol::stream::{Output, RecordHeader};

/// How much a journal holds, counting [`RECORD_COST`] for each record besides its bytes.
pub(crate) const CAPACITY: usize = 256 << 10;
/// The most bytes taken from a process at once. A journal with room takes one such read whole.
pub(crate) const READ: usize = 16 << 10;
/// What a record weighs besides its bytes, so that single bytes cannot fill memory.
const RECORD_COST: usize = 64;

/// Records that the host has not stored yet.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    records: VecDeque<Record>,
    weight: usize,
    acked: u64,
    end: u64,
    ended: Option<u64>,
}

#[derive(Debug)]
struct Record {
    offset: u64,
    time: u64,
    output: Output,
    bytes: Arc<[u8]>,
}

/// A record, or what is left of one, to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) header: RecordHeader,
    bytes: Arc<[u8]>,
    skip: usize,
}

impl Entry {
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(self.skip..).unwrap_or_default()
    }

    /// The offset after this record.
    pub(crate) fn next(&self) -> u64 {
        self.header.offset + u64::from(self.header.length)
    }
}

/// An offset that this journal does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("offset {offset} is outside of what is kept, {acked} to {end}")]
pub(crate) struct OutOfRange {
    offset: u64,
    acked: u64,
    end: u64,
}

impl Journal {
    /// Whether another read of the process's output may be added.
    pub(crate) fn has_room(&self) -> bool {
        self.weight < CAPACITY
    }

    /// Adds what the process wrote at `time`. Empty output is no record.
    pub(crate) fn push(&mut self, output: Output, time: u64, bytes: &[u8]) {
        for bytes in bytes.chunks(RecordHeader::MAX_LENGTH as usize) {
            self.weight += bytes.len() + RECORD_COST;
            self.records.push_back(Record {
                offset: self.end,
                time,
                output,
                bytes: bytes.into(),
            });
            self.end += bytes.len() as u64;
        }
    }

    /// Says that nothing more comes. Only the first call counts.
    pub(crate) fn finish(&mut self, time: u64) {
        self.ended.get_or_insert(time);
    }

    /// The host has everything before `offset`; older offsets change nothing.
    pub(crate) fn ack(&mut self, offset: u64) -> Result<(), OutOfRange> {
        if offset > self.end {
            return Err(self.out_of_range(offset));
        }
        self.acked = self.acked.max(offset);
        while let Some(first) = self.records.front() {
            if first.offset + first.bytes.len() as u64 > self.acked {
                break;
            }
            self.weight -= first.bytes.len() + RECORD_COST;
            self.records.pop_front();
        }
        Ok(())
    }

    /// Checks that reading can go on from `offset`.
    pub(crate) fn check(&self, offset: u64) -> Result<(), OutOfRange> {
        if (self.acked..=self.end).contains(&offset) {
            Ok(())
        } else {
            Err(self.out_of_range(offset))
        }
    }

    /// What comes at `offset`: the rest of a record, the end, or nothing yet.
    pub(crate) fn read(&self, offset: u64) -> Option<Entry> {
        let at = self
            .records
            .partition_point(|r| r.offset + r.bytes.len() as u64 <= offset);
        let Some(record) = self.records.get(at) else {
            return self.ended.map(|time| Entry {
                header: RecordHeader {
                    offset: self.end,
                    time,
                    length: 0,
                    output: Output::End,
                },
                bytes: Arc::default(),
                skip: 0,
            });
        };
        // Acknowledged bytes inside the first record are not sent again.
        let offset = offset.max(record.offset);
        let skip = usize::try_from(offset - record.offset).unwrap_or(record.bytes.len());
        let left = record.bytes.len().saturating_sub(skip);
        Some(Entry {
            header: RecordHeader {
                offset,
                time: record.time,
                // Records are made no longer than MAX_LENGTH.
                length: u32::try_from(left).unwrap_or(RecordHeader::MAX_LENGTH),
                output: record.output,
            },
            bytes: record.bytes.clone(),
            skip,
        })
    }

    fn out_of_range(&self, offset: u64) -> OutOfRange {
        OutOfRange {
            offset,
            acked: self.acked,
            end: self.end,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn drain(journal: &Journal, mut from: u64) -> Vec<u8> {
        let mut out = Vec::new();
        while let Some(entry) = journal.read(from) {
            if entry.header.output == Output::End {
                break;
            }
            assert_eq!(entry.header.offset, from);
            out.extend_from_slice(entry.bytes());
            from = entry.next();
        }
        out
    }

    #[test]
    fn the_end_comes_after_the_last_byte_and_again_for_each_reader() {
        let mut journal = Journal::default();
        journal.push(Output::Stdout, 1, b"ab");
        assert_eq!(journal.read(2), None);
        journal.finish(9);
        journal.finish(10);
        for _ in 0..2 {
            let entry = journal.read(2).unwrap();
            assert_eq!(entry.header.output, Output::End);
            assert_eq!((entry.header.offset, entry.header.time), (2, 9));
        }
    }

    #[test]
    fn reading_goes_on_inside_a_record() {
        let mut journal = Journal::default();
        journal.push(Output::Stderr, 7, b"hello");
        let entry = journal.read(3).unwrap();
        assert_eq!(entry.bytes(), b"lo");
        assert_eq!(entry.header.length, 2);
        assert_eq!(entry.header.output, Output::Stderr);
    }

    #[test]
    fn what_was_acknowledged_or_never_written_cannot_be_read() {
        let mut journal = Journal::default();
        journal.push(Output::Stdout, 0, b"abcd");
        journal.ack(2).unwrap();
        assert!(journal.check(1).is_err());
        assert!(journal.check(2).is_ok());
        assert!(journal.check(4).is_ok());
        assert!(journal.check(5).is_err());
        assert!(journal.ack(5).is_err());
    }

    #[test]
    fn single_bytes_fill_it_long_before_memory() {
        let mut journal = Journal::default();
        let mut records = 0;
        while journal.has_room() {
            journal.push(Output::Stdout, 0, b"x");
            records += 1;
        }
        assert!(records <= CAPACITY / RECORD_COST);
        journal.ack(1).unwrap();
        assert!(journal.has_room());
    }

    #[derive(Debug, Clone)]
    enum Step {
        Push(Vec<u8>),
        Ack(u64),
        Read(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..40).prop_map(Step::Push),
            (0u64..200).prop_map(Step::Ack),
            (0u64..200).prop_map(Step::Read),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        /// Against a plain vector of everything written.
        #[test]
        fn every_byte_from_a_kept_offset_is_read_once(steps in proptest::collection::vec(step(), 0..30)) {
            let mut journal = Journal::default();
            let mut all = Vec::new();
            let mut acked = 0u64;
            for step in steps {
                match step {
                    Step::Push(bytes) => {
                        journal.push(Output::Stdout, 0, &bytes);
                        all.extend_from_slice(&bytes);
                    }
                    Step::Ack(offset) => {
                        let result = journal.ack(offset);
                        prop_assert_eq!(result.is_ok(), offset <= all.len() as u64);
                        if result.is_ok() { acked = acked.max(offset); }
                    }
                    Step::Read(offset) => {
                        let ok = journal.check(offset).is_ok();
                        prop_assert_eq!(ok, offset >= acked && offset <= all.len() as u64);
                        if ok {
                            prop_assert_eq!(&drain(&journal, offset)[..], &all[offset as usize..]);
                        }
                    }
                }
            }
        }
    }
}
