use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::api::{StdStream, Tail};
use crate::log::line::Seam;
use crate::log::{LogReader, Run};
use crate::time::Timestamp;

fn rotation(size: u64, files: u32, compress: bool) -> Rotation {
    Rotation {
        size: Some(size),
        files,
        compress,
    }
}

/// One line that says a number, as it stands in a file that begins at `at`.
fn line(number: usize, at: Option<u64>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let line = Line {
        log: format!("{number}\n"),
        stream: StdStream::Stdout,
        attrs: BTreeMap::new(),
        time: Timestamp(0),
        end: 0,
        from: 0,
        seam: at.map(|at| Seam { at, other: 0 }),
    };
    line.write_to(&mut bytes);
    bytes
}

/// A log in which every line is a file of its own.
fn log(dir: &Path, rotation: Rotation, lines: usize) -> (Arc<Shelf>, u64) {
    let shelf = Shelf::new(dir.join("log"), rotation);
    shelf.mend().unwrap();
    let mut length = 0;
    for number in 0..lines {
        let bytes = line(number, (number > 0).then_some(length));
        match number {
            0 => fs::write(shelf.current(), &bytes).unwrap(),
            _ => drop(shelf.rotate(&bytes).unwrap()),
        }
        length += bytes.len() as u64;
    }
    (Arc::new(shelf), length)
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

async fn numbers(reader: &mut LogReader, length: u64) -> Vec<usize> {
    let mut numbers = Vec::new();
    while let Some(line) = reader.next(length).await.unwrap() {
        numbers.push(line.log.trim_end().parse().unwrap());
    }
    numbers
}

async fn read(shelf: &Arc<Shelf>, length: u64, tail: Tail) -> Vec<usize> {
    let mut reader = LogReader::open(shelf.clone(), length, tail).await.unwrap();
    numbers(&mut reader, length).await
}

#[tokio::test]
async fn the_oldest_file_goes_and_the_rest_is_read_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let (shelf, length) = log(dir.path(), rotation(1, 3, false), 5);
    assert_eq!(names(dir.path()), ["log", "log.1", "log.2"]);
    assert_eq!(shelf.end().unwrap(), length);
    for (tail, expected) in [
        (Tail::All, &[2, 3, 4][..]),
        (Tail::Lines(0), &[]),
        (Tail::Lines(1), &[4]),
        (Tail::Lines(2), &[3, 4]),
        (Tail::Lines(9), &[2, 3, 4]),
    ] {
        assert_eq!(read(&shelf, length, tail).await, expected, "{tail:?}");
    }
}

#[tokio::test]
async fn with_one_file_there_is_always_one() {
    let dir = tempfile::tempdir().unwrap();
    let (shelf, length) = log(dir.path(), rotation(1, 1, false), 5);
    assert_eq!(names(dir.path()), ["log"]);
    assert_eq!(read(&shelf, length, Tail::All).await, [4]);
}

#[tokio::test]
async fn full_files_are_compressed_and_read_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (shelf, length) = log(dir.path(), rotation(1, 4, true), 6);
    shelf.pack().unwrap();
    assert_eq!(
        names(dir.path()),
        ["log", "log.1.gz", "log.2.gz", "log.3.gz"]
    );
    assert_eq!(read(&shelf, length, Tail::All).await, [2, 3, 4, 5]);
    assert_eq!(read(&shelf, length, Tail::Lines(3)).await, [3, 4, 5]);
    let next = line(6, Some(length));
    shelf.rotate(&next).unwrap();
    let length = length + next.len() as u64;
    assert_eq!(names(dir.path()), ["log", "log.1", "log.2.gz", "log.3.gz"]);
    assert_eq!(read(&shelf, length, Tail::All).await, [3, 4, 5, 6]);
}

#[tokio::test]
async fn who_follows_goes_from_file_to_file_and_skips_what_went() {
    let dir = tempfile::tempdir().unwrap();
    let (shelf, mut length) = log(dir.path(), rotation(1, 2, false), 1);
    let mut quick = LogReader::open(shelf.clone(), length, Tail::All)
        .await
        .unwrap();
    let mut slow = LogReader::open(shelf.clone(), length, Tail::All)
        .await
        .unwrap();
    let mut new = LogReader::open(shelf.clone(), length, Tail::Lines(0))
        .await
        .unwrap();
    assert_eq!(numbers(&mut slow, length).await, [0]);
    let mut seen = numbers(&mut quick, length).await;
    for number in 1..6 {
        let bytes = line(number, Some(length));
        shelf.rotate(&bytes).unwrap();
        length += bytes.len() as u64;
        seen.extend(numbers(&mut quick, length).await);
    }
    assert_eq!(seen, [0, 1, 2, 3, 4, 5]);
    assert_eq!(numbers(&mut slow, length).await, [4, 5]);
    assert_eq!(numbers(&mut new, length).await, [4, 5]);
}

#[test]
fn what_was_left_half_done_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    let (shelf, length) = log(dir.path(), rotation(1, 3, true), 3);
    let next = line(3, Some(length));
    // Before any name has changed: what the guest has not been told of comes again.
    fs::write(dir.path().join("log.next"), &next).unwrap();
    fs::write(dir.path().join("log.packing"), b"part of it").unwrap();
    shelf.mend().unwrap();
    assert_eq!(names(dir.path()), ["log", "log.1", "log.2"]);
    // When the last name was to change.
    fs::remove_file(dir.path().join("log.2")).unwrap();
    fs::rename(dir.path().join("log.1"), dir.path().join("log.2")).unwrap();
    fs::rename(dir.path().join("log"), dir.path().join("log.1")).unwrap();
    fs::write(dir.path().join("log.next"), &next).unwrap();
    shelf.mend().unwrap();
    assert_eq!(names(dir.path()), ["log", "log.1", "log.2"]);
    assert_eq!(shelf.end().unwrap(), length + next.len() as u64);
    // Compressed, but not yet removed.
    shelf.pack().unwrap();
    fs::write(dir.path().join("log.1"), b"the same").unwrap();
    assert_eq!(shelf.start().unwrap(), length);
    assert_eq!(names(dir.path()), ["log", "log.1.gz", "log.2.gz"]);
}

#[test]
fn a_log_whose_current_file_was_taken_away_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    for compress in [false, true] {
        let (shelf, length) = log(dir.path(), rotation(1, 3, compress), 3);
        if compress {
            shelf.pack().unwrap();
        }
        let last = fs::metadata(shelf.current()).unwrap().len();
        fs::remove_file(shelf.current()).unwrap();
        assert_eq!(shelf.end().unwrap(), length - last);
    }
}

#[test]
fn attributes_go_into_every_line() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = Arc::new(Shelf::new(dir.path().join("log"), Rotation::JSON_FILE));
    let attributes = BTreeMap::from([("app".to_owned(), "web".to_owned())]);
    let mut writer = crate::log::Log::Files(shelf.clone())
        .write(Run::New, attributes.clone())
        .unwrap();
    let record = crate::agent::stream::Record {
        offset: 0,
        time: 0,
        output: hull_protocol::stream::Output::Stdout,
        bytes: bytes::Bytes::from_static(b"x\n"),
    };
    writer.append(&[record]).1.unwrap();
    let text = fs::read(shelf.current()).unwrap();
    assert_eq!(Line::parse(&text).unwrap().attrs, attributes);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whatever else is in the folder, and whatever stands in files of such names.
    #[test]
    fn strange_files_do_no_harm(content in proptest::collection::vec(any::<u8>(), 0..200), suffix in "[.0-9a-z]{0,6}") {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(format!("log{suffix}")), content).unwrap();
        let shelf = Shelf::new(dir.path().join("log"), rotation(1, 3, true));
        shelf.mend().unwrap();
        let end = shelf.end().unwrap();
        prop_assert!(end < 1 << 20);
        shelf.rotate(&line(1, Some(end))).unwrap();
        shelf.pack().unwrap();
    }
}
