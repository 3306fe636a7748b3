use std::time::Duration;

use hull_engine::api::*;
use hull_engine::{ErrorKind, Window};

use crate::bench::*;

/// How an image is removed when nothing more is said.
const PLAIN: hull_engine::RemoveOptions = hull_engine::RemoveOptions {
    force: false,
    prune: true,
};

#[tokio::test]
async fn a_container_runs_logs_exits_and_leaves_nothing() {
    let (bench, engine) = Bench::new().await;
    let mut events = engine.events(Window::default());
    let id = run(
        &engine,
        shell("echo hello; echo oops >&2; echo $FROM_IMAGE; exit 3"),
    )
    .await;
    assert_eq!(exit_code(&engine, &id).await, 3);
    let lines = logs(&engine, &id, both()).await;
    let of = |wanted| {
        let mine = lines.iter().filter(move |(s, _)| *s == wanted);
        mine.map(|(_, l)| l.as_str()).collect::<String>()
    };
    assert_eq!(of(StdStream::Stdout), "hello\nyes\n");
    assert_eq!(of(StdStream::Stderr), "oops\n");
    let state = state(&engine, &id).await;
    assert_eq!(
        (state.status, state.exit_code, state.pid),
        (Status::Exited, 3, 0)
    );
    assert!(state.finished_at >= state.started_at);
    remove(&engine, &id).await;
    bench.assert_no_vm();
    assert!(
        std::fs::read_dir(bench.dir.path().join("data/containers"))
            .unwrap()
            .next()
            .is_none()
    );
    assert_eq!(
        engine.inspect(id.as_str()).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    let mut seen = Vec::new();
    while seen.last().map(String::as_str) != Some("destroy") {
        seen.push(soon(events.next()).await.unwrap().action);
    }
    assert_eq!(seen, ["create", "start", "die", "destroy"]);
    engine.close().await;
}

#[tokio::test]
async fn a_container_starts_again_on_its_own_disk_and_log() {
    let (bench, engine) = Bench::new().await;
    let id = run(&engine, shell("echo once")).await;
    assert_eq!(exit_code(&engine, &id).await, 0);
    soon(engine.start(id.as_str())).await.unwrap();
    let waiting = engine
        .wait(id.as_str(), WaitCondition::NotRunning)
        .await
        .unwrap();
    soon(waiting.outcome()).await.unwrap();
    assert_eq!(text(&engine, &id).await, "once\nonce\n");
    remove(&engine, &id).await;
    bench.assert_no_vm();
}

#[tokio::test]
async fn auto_remove_removes_and_tells_who_waits() {
    let (bench, engine) = Bench::new().await;
    let mut spec = shell("exit 7");
    spec.host_config.auto_remove = true;
    let id = create(&engine, spec).await;
    let waiting = engine
        .wait(id.as_str(), WaitCondition::Removed)
        .await
        .unwrap();
    soon(engine.start(id.as_str())).await.unwrap();
    assert_eq!(soon(waiting.outcome()).await.unwrap().exit_code, 7);
    assert_eq!(
        engine.inspect(id.as_str()).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    bench.assert_no_vm();
}

#[tokio::test]
async fn a_forced_removal_of_what_removes_itself_succeeds() {
    let (bench, engine) = Bench::new().await;
    let mut spec = shell("sleep 1000");
    spec.host_config.auto_remove = true;
    let id = run(&engine, spec).await;
    let force = RemoveOptions {
        force: true,
        ..RemoveOptions::default()
    };
    soon(engine.remove(id.as_str(), force)).await.unwrap();
    let gone = engine.inspect(id.as_str()).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    bench.assert_no_vm();
}

#[tokio::test]
async fn next_exit_waits_for_a_start_to_come() {
    let (_bench, engine) = Bench::new().await;
    let id = create(&engine, shell("exit 5")).await;
    assert_eq!(exit_code(&engine, &id).await, 0, "it does not run");
    let waiting = engine
        .wait(id.as_str(), WaitCondition::NextExit)
        .await
        .unwrap();
    soon(engine.start(id.as_str())).await.unwrap();
    assert_eq!(soon(waiting.outcome()).await.unwrap().exit_code, 5);
}

#[tokio::test]
async fn stop_sends_the_stop_signal_then_kills() {
    let (_bench, engine) = Bench::new().await;
    let heeds = run(
        &engine,
        shell("trap 'echo bye; exit 4' TERM; echo up; while :; do sleep 0.1; done"),
    )
    .await;
    let stubborn = run(
        &engine,
        shell("trap '' TERM; echo up; while :; do sleep 0.1; done"),
    )
    .await;
    for id in [&heeds, &stubborn] {
        let follow = LogOptions {
            follow: true,
            ..both()
        };
        let mut stream = engine.logs(id.as_str(), follow).await.unwrap();
        soon(stream.lines.recv()).await.unwrap().unwrap();
    }
    soon(engine.stop(heeds.as_str(), StopOptions::default()))
        .await
        .unwrap();
    assert_eq!(state(&engine, &heeds).await.exit_code, 4);
    let brief = StopOptions {
        timeout: Some(Duration::from_millis(200)),
        signal: None,
    };
    soon(engine.stop(stubborn.as_str(), brief.clone()))
        .await
        .unwrap();
    assert_eq!(state(&engine, &stubborn).await.exit_code, 137);
    let again = engine.stop(stubborn.as_str(), brief).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::NotModified);
}

#[tokio::test]
async fn states_forbid_what_docker_forbids() {
    let (bench, engine) = Bench::new().await;
    let id = create(&engine, idle("")).await;
    let who = id.as_str();
    assert_eq!(
        message(engine.kill(who, "TERM").await),
        format!("container {who} is not running")
    );
    assert_eq!(
        message(engine.pause(who).await),
        format!("container {who} is not running")
    );
    soon(engine.start(who)).await.unwrap();
    assert_eq!(
        engine.start(who).await.unwrap_err().kind(),
        ErrorKind::NotModified
    );
    let plain = RemoveOptions::default();
    let name = engine.inspect(who).await.unwrap().name;
    assert_eq!(
        message(engine.remove(who, plain).await),
        format!(
            "cannot remove container \"{name}\": container is running: stop the container before removing or force remove"
        )
    );
    engine.pause(who).await.unwrap();
    assert_eq!(state(&engine, &id).await.status, Status::Paused);
    assert_eq!(
        message(engine.pause(who).await),
        format!("container {who} is already paused")
    );
    engine.unpause(who).await.unwrap();
    assert_eq!(
        message(engine.unpause(who).await),
        format!("container {who} is not paused")
    );
    engine.pause(who).await.unwrap();
    soon(engine.kill(who, "")).await.unwrap();
    let state = engine.inspect(who).await.unwrap().state;
    assert_eq!(state.status, Status::Exited, "whoever kills finds it dead");
    assert_eq!(
        exit_code(&engine, &id).await,
        137,
        "a killed container is not held"
    );
    soon(engine.start(who)).await.unwrap();
    soon(engine.remove(
        who,
        RemoveOptions {
            force: true,
            ..plain
        },
    ))
    .await
    .unwrap();
    bench.assert_no_vm();
}

#[tokio::test]
async fn names_ids_and_prefixes_lead_to_a_container() {
    let (_bench, engine) = Bench::new().await;
    let id = engine.create(Some("web"), shell("true")).await.unwrap().id;
    for who in ["web", "/web", id.as_str(), id.short(), &id.as_str()[..5]] {
        assert_eq!(engine.inspect(who).await.unwrap().id, id, "{who}");
    }
    assert_eq!(
        message(engine.create(Some("web"), shell("true")).await),
        format!(
            "Conflict. The container name \"/web\" is already in use by container \"{id}\". You have to remove (or rename) that container to be able to reuse that name."
        )
    );
    engine.rename("web", "site").await.unwrap();
    assert_eq!(
        message(engine.inspect("web").await),
        "No such container: web"
    );
    engine.create(Some("web"), shell("true")).await.unwrap();
    let taken = engine.rename("site", "web").await.unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::Conflict);
    assert_eq!(
        engine.inspect("site").await.unwrap().id,
        id,
        "a failed rename changes nothing"
    );
}

#[tokio::test]
async fn lists_filter_and_order() {
    let (_bench, engine) = Bench::new().await;
    engine.create(Some("first"), shell("true")).await.unwrap();
    let second = engine
        .create(Some("second"), shell("exit 2"))
        .await
        .unwrap()
        .id;
    soon(engine.start("second")).await.unwrap();
    exit_code(&engine, &second).await;
    engine.create(Some("third"), idle("")).await.unwrap();
    soon(engine.start("third")).await.unwrap();
    let names = async |options: ListOptions| {
        let rows = engine.list(options).await.unwrap();
        rows.into_iter()
            .map(|r| r.name.to_string())
            .collect::<Vec<_>>()
    };
    let filtered = |name: &str, value: &str| {
        let mut filters = Filters::default();
        filters
            .0
            .entry(name.to_owned())
            .or_default()
            .insert(value.to_owned());
        ListOptions {
            all: true,
            filters,
            ..ListOptions::default()
        }
    };
    assert_eq!(names(ListOptions::default()).await, ["third"]);
    let all = ListOptions {
        all: true,
        ..ListOptions::default()
    };
    assert_eq!(names(all.clone()).await, ["third", "second", "first"]);
    assert_eq!(names(filtered("name", "fir")).await, ["first"]);
    assert_eq!(names(filtered("exited", "2")).await, ["second"]);
    assert_eq!(names(filtered("status", "created")).await, ["first"]);
    assert!(names(filtered("before", "first")).await.is_empty());
    assert_eq!(names(filtered("label", "kind=test")).await.len(), 3);
    assert_eq!(names(filtered("ancestor", "img")).await.len(), 3);
    assert_eq!(
        message(engine.list(filtered("bogus", "x")).await),
        "invalid filter 'bogus'"
    );
    let row = &engine.list(all).await.unwrap()[1];
    assert!(row.status.starts_with("Exited (2) "), "{}", row.status);
    assert_eq!(row.image, "img");
    let pruned = soon(engine.prune(Filters::default())).await.unwrap();
    assert_eq!(pruned.containers.len(), 2);
    let force = RemoveOptions {
        force: true,
        volumes: false,
    };
    soon(engine.remove("third", force)).await.unwrap();
}

#[tokio::test]
async fn an_image_in_use_is_not_removed() {
    let (_bench, engine) = Bench::new().await;
    let id = create(&engine, shell("true")).await;
    let refused = engine.images().remove("img", PLAIN).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert_eq!(engine.images().list().await.unwrap()[0].containers, 1);
    remove(&engine, &id).await;
    assert!(
        !engine
            .images()
            .remove("img", PLAIN)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        message(engine.create(None, shell("true")).await),
        "No such image: img:latest"
    );
}
