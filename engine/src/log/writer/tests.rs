use std::path::Path;

use super::*;
use crate::log::settings::Rotation;
use bytes::Bytes;
use proptest::prelude::*;

fn open(path: &Path, base: u64) -> FileWriter {
    open_with(path, base, Rotation::JSON_FILE)
}

fn open_with(path: &Path, base: u64, rotation: Rotation) -> FileWriter {
    let shelf = Shelf::new(path.to_owned(), rotation);
    shelf.mend().unwrap();
    FileWriter::open(Arc::new(shelf), base, Attributes::new()).unwrap()
}

fn record(offset: u64, output: Output, bytes: &[u8]) -> Record {
    Record {
        offset,
        time: 1_000_000_000,
        output,
        bytes: Bytes::copy_from_slice(bytes),
    }
}

/// All lines of all files.
fn lines(path: &Path) -> Vec<Line> {
    let shelf = Shelf::new(path.to_owned(), Rotation::JSON_FILE);
    let mut lines = Vec::new();
    for part in shelf.open_from(0).unwrap() {
        let mut text = Vec::new();
        let mut file = part.into_plain(shelf.dir()).unwrap();
        std::io::Read::read_to_end(&mut file, &mut text).unwrap();
        let all = text.split_inclusive(|b| *b == b'\n');
        lines.extend(all.map(|l| Line::parse(l).unwrap()));
    }
    lines
}

/// What a reader of one stream sees.
fn text(path: &Path, stream: StdStream) -> String {
    lines(path)
        .into_iter()
        .filter(|l| l.stream == stream)
        .map(|l| l.log)
        .collect()
}

#[test]
fn a_line_is_what_docker_writes_and_its_offsets() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut writer = open(&path, 0);
    writer
        .append(&[record(0, Output::Stdout, b"hello\nwor")])
        .1
        .unwrap();
    let written = std::fs::read_to_string(&path).unwrap();
    assert_eq!(
        written,
        "{\"log\":\"hello\\n\",\"stream\":\"stdout\",\"time\":\"1970-01-01T00:00:01Z\",\"end\":6,\"from\":6}\n"
    );
    assert_eq!(
        writer.resume_at(),
        6,
        "what is held back is not acknowledged"
    );
    assert_eq!(writer.held()[0].1, b"wor");
    writer.append(&[record(9, Output::End, b"")]).1.unwrap();
    assert_eq!(text(&path, StdStream::Stdout), "hello\nwor");
    assert_eq!(writer.resume_at(), 9);
}

#[test]
fn a_long_line_is_cut_at_16_kib_between_characters() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut writer = open(&path, 0);
    let long = "é".repeat(10_000) + "x\n";
    let odd = format!("a{long}");
    writer
        .append(&[record(0, Output::Stdout, odd.as_bytes())])
        .1
        .unwrap();
    let lines = lines(&path);
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0].log.len(), LONGEST - 1);
    assert_eq!(lines[0].log.clone() + &lines[1].log, odd);
}

#[test]
fn a_prompt_does_not_keep_the_journal_full() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = open(&dir.path().join("log"), 0);
    writer
        .append(&[record(0, Output::Stdout, b"> ")])
        .1
        .unwrap();
    let mut offset = 2;
    for _ in 0..2000 {
        writer
            .append(&[record(offset, Output::Stderr, b"x\n")])
            .1
            .unwrap();
        offset += 2;
        assert!(offset - writer.resume_at() < 4096, "at {offset}");
    }
}

#[test]
fn a_torn_line_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut writer = open(&path, 0);
    writer
        .append(&[record(0, Output::Stdout, b"one\ntwo\n")])
        .1
        .unwrap();
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
    let mut writer = open(&path, 0);
    assert_eq!(writer.resume_at(), 4);
    writer
        .append(&[record(4, Output::Stdout, b"two\n")])
        .1
        .unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), whole);
}

#[test]
fn a_new_run_begins_at_offset_zero_after_the_old_ones_lines() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut writer = open(&path, 0);
    writer
        .append(&[record(0, Output::Stdout, b"first run\n")])
        .1
        .unwrap();
    let base = writer.length();
    let mut writer = open(&path, base);
    assert_eq!(writer.resume_at(), 0);
    writer
        .append(&[record(0, Output::Stdout, b"second\n")])
        .1
        .unwrap();
    assert_eq!(text(&path, StdStream::Stdout), "first run\nsecond\n");
}

fn output() -> impl Strategy<Value = Vec<(bool, String)>> {
    proptest::collection::vec((any::<bool>(), "[a-z\\n]{1,12}"), 1..40)
}

fn rotation() -> impl Strategy<Value = Rotation> {
    let sizes = proptest::option::of(1u64..1200);
    (sizes, 1u32..5, any::<bool>()).prop_map(|(size, files, compress)| Rotation {
        size,
        files,
        compress,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    /// A guest that keeps all that is not acknowledged, and engines that die between any two
    /// writes, once with a torn line: the log has every byte once, or, of a log that lets its
    /// oldest files go, every byte since some line.
    #[test]
    fn no_byte_is_lost_or_doubled_by_dying(
        output in output(),
        deaths in proptest::collection::vec(any::<bool>(), 40),
        torn in 0usize..40,
        rotation in rotation(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut offset = 0;
        let mut journal = Vec::new();
        for (stderr, text) in &output {
            let kind = if *stderr { Output::Stderr } else { Output::Stdout };
            journal.push(record(offset, kind, text.as_bytes()));
            offset += text.len() as u64;
        }
        journal.push(record(offset, Output::End, b""));
        let mut acked = 0;
        // An earlier run's lines, in the same files.
        let mut writer = open_with(&path, 0, rotation);
        writer.append(&[record(0, Output::Stdout, b"before\n")]).1.unwrap();
        let base = writer.length();
        let mut writer = open_with(&path, base, rotation);
        let mut at = 0;
        let mut deaths = deaths.into_iter();
        while at < journal.len() {
            writer.append(std::slice::from_ref(&journal[at])).1.unwrap();
            acked = acked.max(writer.resume_at());
            if let Some(shelf) = writer.take_full() {
                shelf.pack().unwrap();
            }
            at += 1;
            if deaths.next() == Some(true) {
                if at == torn {
                    use std::io::Write;
                    let mut file = File::options().append(true).open(&path).unwrap();
                    file.write_all(b"{\"log\":\"torn").unwrap();
                }
                writer = open_with(&path, base, rotation);
                let from = writer.resume_at();
                prop_assert!(from >= acked, "{from} was given back, {acked}");
                at = journal.partition_point(|r| r.end() <= from && r.output != Output::End);
            }
        }
        let all = rotation.size.is_none();
        for (stream, flag) in [(StdStream::Stdout, false), (StdStream::Stderr, true)] {
            let mut wanted: String = output.iter().filter(|(e, _)| *e == flag).map(|(_, t)| t.as_str()).collect();
            if !flag {
                wanted.insert_str(0, "before\n");
            }
            let got = text(&path, stream);
            prop_assert!(wanted.ends_with(&got), "{got:?} of {wanted:?}");
            prop_assert!(!all || got == wanted, "{got:?} is not all of {wanted:?}");
        }
        let files = std::fs::read_dir(dir.path()).unwrap().count();
        prop_assert!(files <= rotation.files.try_into().unwrap(), "{files} files");
    }
}

#[test]
fn a_held_line_is_let_go_also_behind_what_an_earlier_engine_stored() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let records = [
        record(0, Output::Stderr, b"part"),
        record(4, Output::Stdout, "line\n".repeat(13_000).as_bytes()),
    ];
    let mut writer = open(&path, 0);
    writer.append(&records).1.unwrap();
    assert_eq!(writer.resume_at(), 0, "less than the journal may hold");
    // The guest waits with a full journal: nothing new comes behind these.
    let mut again = open(&path, 0);
    again.append(&records).1.unwrap();
    let more = record(
        65_004,
        Output::Stdout,
        b"more than fits\n".repeat(40).as_slice(),
    );
    again.append(&[more]).1.unwrap();
    assert!(again.resume_at() > 0, "the held line was written");
    assert_eq!(text(&path, StdStream::Stderr), "part");
    assert_eq!(
        text(&path, StdStream::Stdout).matches("line\n").count(),
        13_000
    );
}
