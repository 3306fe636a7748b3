//! What was answered is kept: by those who commit together, by who is killed, and by a machine
//! that goes down before the files of small blobs are on its disk.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::tests::{NOW, digest, files, fresh, name, open, push, read};
use super::{Repositories, RepositoryError};
use crate::fault::armed::arm;
use crate::layout::Layout;
use crate::unsynced::SMALL;

/// The bytes of one of the blobs that threads push.
fn blob(thread: usize, number: usize) -> Vec<u8> {
    let mut bytes = format!("{thread}/{number} ").into_bytes();
    // Some are large.
    if number % 4 == 3 {
        bytes.resize(SMALL as usize + 1, b'x');
    }
    bytes
}

/// Blobs of which the database holds the bytes.
fn unsynced(db: &Connection) -> BTreeSet<String> {
    let mut statement = db.prepare("SELECT blob FROM unsynced").unwrap();
    let rows = statement.query_map([], |row| row.get::<_, String>(0));
    rows.unwrap()
        .map(|blob| blob.unwrap().replace("sha256:", ""))
        .collect()
}

/// What the disk may have made of files that were not synced.
fn lose(data_root: &Path) {
    let layout = Layout::new(data_root);
    let db = Connection::open(layout.database()).unwrap();
    for (number, hex) in unsynced(&db).into_iter().enumerate() {
        let path = layout.blobs().join(hex);
        match number % 3 {
            // Where a kill came between a deleted file and its commit, there is none.
            0 => drop(fs::remove_file(path)),
            1 => fs::write(path, b"").unwrap(),
            _ => fs::write(path, [0; 4]).unwrap(),
        }
    }
}

#[test]
fn a_small_blob_survives_what_the_disk_loses() {
    let (folder, store, repositories) = fresh();
    let small = [&b"one"[..], b"two", b"three", b""];
    for bytes in small {
        push(&repositories, "a", bytes).unwrap();
    }
    let large = vec![1; SMALL as usize + 1];
    push(&repositories, "a", &large).unwrap();
    assert_eq!(unsynced(&store.inner.reader()).len(), small.len());
    lose(folder.path());
    drop((store, repositories));
    let (store, repositories) = open(folder.path());
    for bytes in small.into_iter().chain([&large[..]]) {
        assert_eq!(read(&repositories, "a", bytes).unwrap(), bytes);
    }
    assert!(unsynced(&store.inner.reader()).is_empty());
    assert_eq!(files(&store).len(), small.len() + 1);
}

#[test]
fn a_file_that_nothing_referred_to_is_not_taken_for_durable() {
    let (_folder, store, repositories) = fresh();
    let path = store.inner.layout.blob(&crate::digest::Digest::of(b"one"));
    fs::write(&path, b"one").unwrap();
    push(&repositories, "a", b"one").unwrap();
    assert_eq!(unsynced(&store.inner.reader()).len(), 1);
    // Now something does.
    push(&repositories, "b", b"one").unwrap();
    assert_eq!(unsynced(&store.inner.reader()).len(), 1);
}

#[test]
fn bytes_go_when_files_are_synced_or_deleted() {
    let (folder, store, repositories) = fresh();
    for number in 0..100 {
        push(&repositories, "a", &blob(0, number * 4)).unwrap();
    }
    assert_eq!(repositories.settle().unwrap(), 100);
    assert!(unsynced(&store.inner.reader()).is_empty());
    for (repository, bytes) in [("a", b"gone"), ("b", b"kept")] {
        push(&repositories, repository, bytes).unwrap();
    }
    repositories
        .delete_blob(&name("a"), &digest(b"gone"))
        .unwrap();
    assert_eq!(unsynced(&store.inner.reader()).len(), 1);
    assert_eq!(repositories.settle().unwrap(), 1);
    assert_eq!(repositories.settle().unwrap(), 0);
    drop((store, repositories));
    let (store, repositories) = open(folder.path());
    assert_eq!(files(&store).len(), 101);
    assert_eq!(read(&repositories, "b", b"kept").unwrap(), b"kept");
}

#[test]
fn who_waits_for_the_same_commit_gets_an_answer_of_his_own() {
    const THREADS: usize = 9;
    let (_folder, store, repositories) = fresh();
    let busy = store.inner.database();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let repositories = &repositories;
                scope.spawn(move || {
                    let repository = name(&format!("r{thread}"));
                    let bytes = blob(thread, 0);
                    let mut upload = repositories.begin_upload(&repository)?;
                    upload.append(&bytes)?;
                    // Each third has no room.
                    let quota = (thread % 3 == 0).then_some(1);
                    repositories.commit(&repository, upload, digest(&bytes), quota)
                })
            })
            .collect();
        // One leads, and waits for the database; the others wait for him.
        let deadline = Instant::now() + Duration::from_secs(60);
        while repositories.batch.queued() < THREADS - 1 {
            assert!(Instant::now() < deadline, "the changes do not gather");
            std::thread::yield_now();
        }
        drop(busy);
        for (thread, worker) in workers.into_iter().enumerate() {
            let bytes = blob(thread, 0);
            match worker.join().unwrap() {
                Err(RepositoryError::Quota(1)) => assert_eq!(thread % 3, 0),
                other => assert_eq!((other.unwrap(), thread % 3 > 0), (bytes.len() as u64, true)),
            }
            let found = read(&repositories, &format!("r{thread}"), &bytes);
            assert_eq!(found.is_ok(), thread % 3 > 0);
        }
    });
    assert_eq!(files(&store).len(), THREADS - THREADS.div_ceil(3));
}

const CRASH: &str = "HULL_REPOSITORIES_TEST_TOGETHER";
const ROUNDS: u64 = 60;
const THREADS: usize = 4;
const BLOBS: usize = 12;

/// Threads push, delete and settle beside each other, and say what they were answered.
fn work(repositories: &Repositories) {
    let say = |word: &str, thread, number| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{word} {thread} {number}").unwrap();
        out.flush().unwrap();
    };
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                let own = format!("r{thread}");
                for number in 0..BLOBS {
                    let bytes = blob(thread, number);
                    push(repositories, &own, &bytes).unwrap();
                    say("pushed", thread, number);
                    if number % 3 == 2 {
                        say("deleting", thread, number);
                        repositories
                            .delete_blob(&name(&own), &digest(&bytes))
                            .unwrap();
                    }
                    if number == BLOBS / 2 {
                        repositories.settle().unwrap();
                    }
                }
            });
        }
    });
}

#[test]
fn a_kill_while_many_push_takes_nothing_that_was_answered() {
    if let Ok(order) = std::env::var(CRASH) {
        let (count, folder) = order.split_once(' ').unwrap();
        let (_store, repositories) = open(Path::new(folder));
        arm(count.parse().unwrap());
        println!();
        work(&repositories);
        return;
    }
    let mut died = 0;
    for round in 0..ROUNDS {
        let (folder, store, repositories) = fresh();
        drop((store, repositories));
        let point = 1 + round * 2;
        let output = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "repositories::durable_tests::a_kill_while_many_push_takes_nothing_that_was_answered",
                "--nocapture",
            ])
            .env(CRASH, format!("{point} {}", folder.path().display()))
            .output()
            .unwrap();
        died += u64::from(!output.status.success());
        let text = String::from_utf8_lossy(&output.stdout);
        let said = |wanted: &str| -> BTreeSet<(usize, usize)> {
            text.lines()
                .filter_map(|line| {
                    let mut words = line.strip_prefix(wanted)?.split(' ').skip(1);
                    let mut number = || words.next()?.parse().ok();
                    Some((number()?, number()?))
                })
                .collect()
        };
        let (pushed, deleting) = (said("pushed"), said("deleting"));
        // The machine may have gone down with the process.
        if round % 2 == 0 {
            lose(folder.path());
        }
        let (store, repositories) = open(folder.path());
        for (thread, number) in pushed.difference(&deleting) {
            let bytes = blob(*thread, *number);
            let found = read(&repositories, &format!("r{thread}"), &bytes);
            assert!(found.unwrap() == bytes, "{point}: {thread}/{number}");
        }
        for record in repositories.records().unwrap() {
            repositories.delete(&record.name).unwrap();
        }
        repositories.sweep(NOW).unwrap();
        assert_eq!(files(&store), Vec::<String>::new(), "after {point}");
        assert!(unsynced(&store.inner.reader()).is_empty());
    }
    assert!(died > ROUNDS / 2, "only {died} died");
}
