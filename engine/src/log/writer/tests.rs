use super::*;
use bytes::Bytes;
use proptest::prelude::*;

fn record(offset: u64, output: Output, bytes: &[u8]) -> Record {
    Record {
        offset,
        time: 1_000_000_000,
        output,
        bytes: Bytes::copy_from_slice(bytes),
    }
}

fn lines(path: &Path) -> Vec<Line> {
    let text = std::fs::read(path).unwrap();
    text.split_inclusive(|b| *b == b'\n')
        .map(|l| Line::parse(l).unwrap())
        .collect()
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
    let mut writer = LogWriter::open(&path, 0).unwrap();
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
    let mut writer = LogWriter::open(&path, 0).unwrap();
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
    let mut writer = LogWriter::open(&dir.path().join("log"), 0).unwrap();
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
    let mut writer = LogWriter::open(&path, 0).unwrap();
    writer
        .append(&[record(0, Output::Stdout, b"one\ntwo\n")])
        .1
        .unwrap();
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
    let mut writer = LogWriter::open(&path, 0).unwrap();
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
    let mut writer = LogWriter::open(&path, 0).unwrap();
    writer
        .append(&[record(0, Output::Stdout, b"first run\n")])
        .1
        .unwrap();
    let base = writer.length();
    let mut writer = LogWriter::open(&path, base).unwrap();
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// A guest that keeps all that is not acknowledged, and engines that die between any two
    /// writes, once with a torn line: the log has every byte once.
    #[test]
    fn no_byte_is_lost_or_doubled_by_dying(
        output in output(), deaths in proptest::collection::vec(any::<bool>(), 40), torn in 0usize..40,
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
        let mut writer = LogWriter::open(&path, 0).unwrap();
        let mut at = 0;
        let mut deaths = deaths.into_iter();
        while at < journal.len() {
            writer.append(std::slice::from_ref(&journal[at])).1.unwrap();
            acked = acked.max(writer.resume_at());
            at += 1;
            if deaths.next() == Some(true) {
                if at == torn {
                    let len = std::fs::metadata(&path).unwrap().len();
                    let file = File::options().write(true).open(&path).unwrap();
                    use std::io::{Seek, Write};
                    let mut file = file;
                    file.seek(std::io::SeekFrom::End(0)).unwrap();
                    file.write_all(b"{\"log\":\"torn").unwrap();
                    prop_assert!(len <= file.metadata().unwrap().len());
                }
                writer = LogWriter::open(&path, 0).unwrap();
                let from = writer.resume_at();
                prop_assert!(from >= acked || acked == 0 || from == acked, "{from} was given back, {acked}");
                at = journal.partition_point(|r| r.end() <= from && r.output != Output::End);
            }
        }
        for (stream, flag) in [(StdStream::Stdout, false), (StdStream::Stderr, true)] {
            let wanted: String = output.iter().filter(|(e, _)| *e == flag).map(|(_, t)| t.as_str()).collect();
            prop_assert_eq!(text(&path, stream), wanted);
        }
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
    let mut writer = LogWriter::open(&path, 0).unwrap();
    writer.append(&records).1.unwrap();
    assert_eq!(writer.resume_at(), 0, "less than the journal may hold");
    // The guest waits with a full journal: nothing new comes behind these.
    let mut again = LogWriter::open(&path, 0).unwrap();
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
