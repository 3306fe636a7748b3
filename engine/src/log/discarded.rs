//! Output that nobody keeps. How far it was read is stored all the same: the guest drops what is
//! acknowledged, so the next engine has to know where to go on.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use super::Run;
use crate::agent::stream::Record;

/// An offset in the guest's output, and the file that holds it.
#[derive(Debug)]
pub(crate) struct Discarded {
    file: File,
    handled: u64,
}

impl Discarded {
    pub(super) fn open(path: &Path, run: Run) -> io::Result<Self> {
        let mut options = File::options();
        let file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(run == Run::New)
            .mode(0o600)
            .open(path)?;
        let mut bytes = [0; 8];
        let handled = match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => u64::from_le_bytes(bytes),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => 0,
            Err(e) => return Err(e),
        };
        Ok(Self { file, handled })
    }

    pub(super) fn handled(&self) -> u64 {
        self.handled
    }

    pub(super) fn append(&mut self, records: &[Record]) -> (Vec<Record>, io::Result<()>) {
        let mut fresh = Vec::new();
        for record in records {
            let known = self.handled.saturating_sub(record.offset);
            let known = usize::try_from(known)
                .unwrap_or(usize::MAX)
                .min(record.bytes.len());
            let bytes = record.bytes.slice(known..);
            if !bytes.is_empty() {
                fresh.push(Record {
                    offset: record.offset.saturating_add(known as u64),
                    bytes,
                    ..record.clone()
                });
            }
            self.handled = self.handled.max(record.end());
        }
        (
            fresh,
            self.file.write_all_at(&self.handled.to_le_bytes(), 0),
        )
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hull_protocol::stream::Output;

    use super::*;

    #[test]
    fn the_next_engine_knows_how_far_it_was_read_and_the_next_run_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("position");
        let record = |offset, bytes: &'static [u8]| Record {
            offset,
            time: 0,
            output: Output::Stdout,
            bytes: Bytes::from_static(bytes),
        };
        let mut first = Discarded::open(&path, Run::New).unwrap();
        let (fresh, stored) = first.append(&[record(0, b"abc")]);
        stored.unwrap();
        assert_eq!((fresh.len(), first.handled()), (1, 3));
        let mut second = Discarded::open(&path, Run::From(0)).unwrap();
        let (fresh, stored) = second.append(&[record(1, b"bcd"), record(2, b"c")]);
        stored.unwrap();
        assert_eq!(fresh, [record(3, b"d")]);
        assert_eq!(second.handled(), 4);
        assert_eq!(Discarded::open(&path, Run::New).unwrap().handled(), 0);
    }
}
