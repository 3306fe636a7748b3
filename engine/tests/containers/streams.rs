use hull_engine::Timestamp;
use hull_engine::api::*;

use crate::bench::*;

#[tokio::test]
async fn a_client_attached_before_the_start_misses_nothing() {
    let (_bench, engine) = Bench::new().await;
    let id = create(&engine, shell("echo one; echo two")).await;
    let mut client = engine.attach(id.as_str(), attached(false)).await.unwrap();
    assert!(client.stdin.is_none());
    soon(engine.start(id.as_str())).await.unwrap();
    assert_eq!(read_all(&mut client).await, "one\ntwo\n");
}

#[tokio::test]
async fn what_is_typed_reaches_the_process_and_its_end_ends_it() {
    let (_bench, engine) = Bench::new().await;
    let mut spec = spec(&["/bin/cat"]);
    (spec.config.open_stdin, spec.config.stdin_once) = (true, true);
    let id = create(&engine, spec).await;
    let mut client = engine.attach(id.as_str(), attached(true)).await.unwrap();
    type_in(&client, "typed before the start\n").await;
    soon(engine.start(id.as_str())).await.unwrap();
    assert_eq!(
        read_until(&mut client, "start\n").await,
        "typed before the start\n"
    );
    type_in(&client, "and after").await;
    client.stdin = None;
    assert_eq!(read_all(&mut client).await, "and after");
    assert_eq!(exit_code(&engine, &id).await, 0);
}

#[tokio::test]
async fn a_later_client_sees_the_past_then_the_present() {
    let (_bench, engine) = Bench::new().await;
    let mut spec = shell("echo past; printf prompt; read line; echo got $line");
    (spec.config.open_stdin, spec.config.stdin_once) = (true, true);
    let id = create(&engine, spec).await;
    let mut first = engine.attach(id.as_str(), attached(true)).await.unwrap();
    soon(engine.start(id.as_str())).await.unwrap();
    read_until(&mut first, "prompt").await;
    let replay = AttachOptions {
        replay: Replay::Yes,
        ..attached(false)
    };
    let mut second = engine.attach(id.as_str(), replay).await.unwrap();
    assert_eq!(read_until(&mut second, "prompt").await, "past\nprompt");
    type_in(&first, "it\n").await;
    assert_eq!(read_all(&mut second).await, "got it\n");
    assert_eq!(text(&engine, &id).await, "past\npromptgot it\n");
    let past = AttachOptions {
        stream: false,
        replay: Replay::Yes,
        ..attached(false)
    };
    let mut third = engine.attach(id.as_str(), past).await.unwrap();
    assert_eq!(read_all(&mut third).await, "past\npromptgot it\n");
}

#[tokio::test]
async fn detach_keys_leave_the_container_running() {
    let (_bench, engine) = Bench::new().await;
    let mut spec = spec(&["/bin/cat"]);
    (
        spec.config.open_stdin,
        spec.config.stdin_once,
        spec.config.tty,
    ) = (true, true, true);
    let id = run(&engine, spec).await;
    let mut client = engine.attach(id.as_str(), attached(true)).await.unwrap();
    type_in(&client, "x").await;
    read_until(&mut client, "x").await;
    type_in(&client, "\x10\x11").await;
    read_all(&mut client).await;
    assert!(state(&engine, &id).await.is_running());
    let force = RemoveOptions {
        force: true,
        volumes: false,
    };
    soon(engine.remove(id.as_str(), force)).await.unwrap();
}

#[tokio::test]
async fn a_flood_is_logged_whole_though_nobody_reads_and_though_one_does_not() {
    let (_bench, engine) = Bench::new().await;
    let id = create(
        &engine,
        shell("i=0; while [ $i -lt 40000 ]; do echo line $i; i=$((i+1)); done"),
    )
    .await;
    let stalled = engine.attach(id.as_str(), attached(false)).await.unwrap();
    soon(engine.start(id.as_str())).await.unwrap();
    // Once the stalled client has left, the process goes on to its end.
    drop(stalled);
    assert_eq!(exit_code(&engine, &id).await, 0);
    let lines = logs(&engine, &id, both()).await;
    assert_eq!(lines.len(), 40_000);
    assert_eq!(lines[39_999].1, "line 39999\n");
    let tail = LogOptions {
        tail: Tail::Lines(2),
        ..both()
    };
    assert_eq!(logs(&engine, &id, tail).await.len(), 2);
}

#[tokio::test]
async fn a_slow_client_gets_all_of_it() {
    let (_bench, engine) = Bench::new().await;
    let id = create(&engine, shell("head -c 3000000 /dev/zero | tr '\\0' x")).await;
    let mut client = engine.attach(id.as_str(), attached(false)).await.unwrap();
    soon(engine.start(id.as_str())).await.unwrap();
    let first = soon(client.output.recv()).await.unwrap().bytes.len();
    assert_eq!(first + read_all(&mut client).await.len(), 3_000_000);
}

#[tokio::test]
async fn logs_follow_to_the_end_and_show_times() {
    let (_bench, engine) = Bench::new().await;
    let before = Timestamp::now();
    let mut spec = shell("echo one; read x; echo two");
    (spec.config.open_stdin, spec.config.stdin_once) = (true, true);
    let id = run(&engine, spec).await;
    let client = engine.attach(id.as_str(), attached(true)).await.unwrap();
    let options = LogOptions {
        follow: true,
        timestamps: true,
        ..both()
    };
    let mut stream = engine.logs(id.as_str(), options).await.unwrap();
    let first = soon(stream.lines.recv()).await.unwrap().unwrap();
    assert!(first.bytes.ends_with(b"Z one\n"), "{:?}", first.bytes);
    assert!(first.time >= before);
    drop(client);
    let second = soon(stream.lines.recv()).await.unwrap().unwrap();
    assert!(second.bytes.ends_with(b"Z two\n"));
    assert!(soon(stream.lines.recv()).await.is_none());
    let since = LogOptions {
        since: Some(Timestamp(second.time.0)),
        ..both()
    };
    assert_eq!(logs(&engine, &id, since).await.len(), 1);
}
