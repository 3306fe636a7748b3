//! Files in and out, of containers that run and of those that do not.

use std::io::Read;

use hull_engine::api::*;
use hull_engine::{Engine, EngineError, ErrorKind, FileArchive};

use crate::bench::{Bench, create, eventually, exit_code, idle, run, shell, soon, state};

fn tar_of(name: &str, content: &str) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, name, content.as_bytes())
        .unwrap();
    tar.into_inner().unwrap()
}

async fn whole(mut archive: FileArchive) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(piece) = soon(archive.next()).await.unwrap() {
        bytes.extend_from_slice(&piece);
    }
    bytes
}

fn content(archive: &[u8], name: &str) -> Option<String> {
    let mut tar = tar::Archive::new(archive);
    tar.entries()
        .unwrap()
        .map(Result::unwrap)
        .find_map(|mut e| {
            let path = e.path().unwrap().to_string_lossy().into_owned();
            let found = path.trim_start_matches("./") == name;
            let mut text = String::new();
            e.read_to_string(&mut text).unwrap();
            found.then_some(text)
        })
}

async fn put(engine: &Engine, who: &str, archive: Vec<u8>) -> Result<(), EngineError> {
    let archive = std::io::Cursor::new(archive);
    soon(engine.write_path(who, "/", CopyOptions::default(), archive)).await
}

async fn get(engine: &Engine, who: &str, name: &str) -> Option<String> {
    let (archive, stat) = soon(engine.read_path(who, name)).await.unwrap();
    assert_eq!(stat.name, name.trim_start_matches('/'));
    content(&whole(archive).await, &stat.name)
}

#[tokio::test]
async fn files_go_in_and_out_whether_it_runs_or_not() {
    let (bench, engine) = Bench::new().await;
    let id = create(&engine, idle("")).await;
    let who = id.as_str();
    put(&engine, who, tar_of("a", "created")).await.unwrap();
    assert_eq!(get(&engine, who, "/a").await.as_deref(), Some("created"));
    assert_eq!(state(&engine, &id).await.status, Status::Created);
    soon(engine.start(who)).await.unwrap();
    assert_eq!(get(&engine, who, "/a").await.as_deref(), Some("created"));
    put(&engine, who, tar_of("b", "running")).await.unwrap();
    soon(engine.kill(who, "")).await.unwrap();
    exit_code(&engine, &id).await;
    assert_eq!(get(&engine, who, "/b").await.as_deref(), Some("running"));
    let export = soon(engine.export(who)).await.unwrap();
    assert_eq!(
        content(&whole(export).await, "b").as_deref(),
        Some("running")
    );
    let changes = soon(engine.changes(who)).await.unwrap();
    let mut paths: Vec<_> = changes.into_iter().map(|c| c.path).collect();
    paths.sort();
    assert_eq!(paths, [b"/a".to_vec(), b"/b".to_vec()]);
    soon(engine.remove(who, RemoveOptions::default()))
        .await
        .unwrap();
    bench.assert_no_vm();
}

#[tokio::test]
async fn many_share_the_vm_and_it_goes_by_itself() {
    let (bench, engine) = Bench::new().await;
    let id = create(&engine, shell("true")).await;
    let who = id.as_str();
    put(&engine, who, tar_of("a", "x")).await.unwrap();
    let reads = (0..8).map(|_| get(&engine, who, "/a"));
    for text in futures_util::future::join_all(reads).await {
        assert_eq!(text.as_deref(), Some("x"));
    }
    let gone = async || {
        let mut left = std::fs::read_dir(bench.dir.path().join("run/vms")).unwrap();
        left.next().is_none().then_some(())
    };
    eventually(gone).await;
    assert_eq!(state(&engine, &id).await.status, Status::Created);
}

#[tokio::test]
async fn a_start_waits_for_readers_and_a_removal_does_not() {
    let (bench, engine) = Bench::new().await;
    let id = create(&engine, idle("")).await;
    let who = id.as_str();
    put(&engine, who, tar_of("a", &"x".repeat(4 << 20)))
        .await
        .unwrap();
    let (mut reading, _) = soon(engine.read_path(who, "/a")).await.unwrap();
    soon(reading.next()).await.unwrap();
    let starting = engine.start(who);
    let rest = async { whole(reading).await.len() };
    let (started, length) = soon(futures_util::future::join(starting, rest)).await;
    started.unwrap();
    assert!(length > 3 << 20);
    soon(engine.kill(who, "")).await.unwrap();
    exit_code(&engine, &id).await;

    let (mut reading, _) = soon(engine.read_path(who, "/a")).await.unwrap();
    let forced = RemoveOptions {
        force: true,
        ..RemoveOptions::default()
    };
    soon(engine.remove(who, forced)).await.unwrap();
    bench.assert_no_vm();
    loop {
        match soon(reading.next()).await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a whole archive of what was removed"),
            Err(_) => break,
        }
    }
}

#[tokio::test]
async fn what_is_not_there_or_damaged_says_so() {
    let (_bench, engine) = Bench::new().await;
    let id = create(&engine, shell("true")).await;
    let who = &id.as_str()[..12];
    let missing = soon(engine.stat_path(who, "/nosuch")).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    let text = format!("Could not find the file /nosuch in container {who}");
    assert_eq!(missing.to_string(), text);
    let damaged = put(&engine, who, vec![b'z'; 5000]).await.unwrap_err();
    assert_eq!(damaged.kind(), ErrorKind::InvalidParameter);
    let unknown = soon(engine.changes("nosuch")).await.unwrap_err();
    assert_eq!(unknown.to_string(), "No such container: nosuch");
}

#[tokio::test]
async fn a_compressed_archive_is_unpacked_too() {
    let (_bench, engine) = Bench::new().await;
    let id = create(&engine, shell("true")).await;
    let mut gzip = std::process::Command::new("gzip")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut gzip.stdin.take().unwrap(), &tar_of("a", "zipped")).unwrap();
    let archive = gzip.wait_with_output().unwrap().stdout;
    put(&engine, id.as_str(), archive).await.unwrap();
    assert_eq!(
        get(&engine, id.as_str(), "/a").await.as_deref(),
        Some("zipped")
    );
}

#[tokio::test]
async fn a_commit_makes_an_image_that_runs() {
    let (_bench, engine) = Bench::new().await;
    let mut spec = idle("");
    spec.config.env = Some(vec!["MINE=1".into()]);
    let id = run(&engine, spec).await;
    put(&engine, id.as_str(), tar_of("added", "x"))
        .await
        .unwrap();
    let options = CommitOptions {
        reference: "made:v1".into(),
        author: "me".into(),
        comment: "why".into(),
        changes: vec!["CMD [\"echo\",\"hi\"]".into()],
        pause: true,
    };
    let made = soon(engine.commit(id.as_str(), options)).await.unwrap();
    let image = engine.images().inspect("made:v1").await.unwrap();
    assert_eq!(image.summary.id, made);
    assert_eq!((&*image.author, &*image.comment), ("me", "why"));
    assert_eq!(image.diff_ids.len(), 2);
    let config = &image.configuration["config"];
    assert_eq!(config["Cmd"], serde_json::json!(["echo", "hi"]));
    let env = config["Env"].as_array().unwrap();
    assert!(env.contains(&"MINE=1".into()) && env.contains(&"FROM_IMAGE=yes".into()));
    assert!(config.get("Hostname").is_none());
    let mut again = shell("true");
    again.config.image = "made:v1".into();
    let second = run(&engine, again).await;
    assert_eq!(exit_code(&engine, &second).await, 0);
}

#[tokio::test]
async fn files_wanted_of_a_container_that_an_engine_left_in_the_middle() {
    let (bench, engine) = Bench::new().await;
    let id = create(&engine, shell("true")).await;
    let who = id.as_str();
    put(&engine, who, tar_of("a", "x")).await.unwrap();
    let (reading, _) = soon(engine.read_path(who, "/a")).await.unwrap();
    engine.close().await;
    drop(reading);
    drop(engine);
    let engine = bench.open().await;
    let rested = async || {
        let left = std::fs::read_dir(bench.dir.path().join("run/vms")).unwrap();
        (left.count() == 0).then_some(())
    };
    eventually(rested).await;
    assert_eq!(state(&engine, &id).await.status, Status::Created);
    assert_eq!(get(&engine, who, "/a").await.as_deref(), Some("x"));
}
