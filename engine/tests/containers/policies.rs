//! Containers that are started again by themselves.

use std::path::Path;

use hull_engine::api::*;
use hull_engine::{ContainerId, Engine, ErrorKind, Event, EventStream, Window};

use crate::bench::*;

fn with_policy(mut spec: CreateSpec, name: &str, most: i64) -> CreateSpec {
    spec.host_config.restart_policy = RestartPolicy {
        name: name.into(),
        maximum_retry_count: most,
    };
    spec
}

/// Ends with a code, at once while a file is there, else when its machine does.
fn while_there(file: &Path, code: i32) -> CreateSpec {
    idle(&format!(
        "echo run; [ -e {} ] && exit {code};",
        file.display()
    ))
}

async fn count(engine: &Engine, id: &ContainerId) -> u32 {
    engine.inspect(id.as_str()).await.unwrap().restart_count
}

async fn reaches(engine: &Engine, id: &ContainerId, status: Status) {
    eventually(async || (state(engine, id).await.status == status).then_some(())).await;
}

async fn next(events: &mut EventStream, action: &str) -> Event {
    loop {
        let event = soon(events.next()).await.unwrap();
        if event.action == action {
            return event;
        }
    }
}

async fn stop(engine: &Engine, id: &ContainerId) {
    soon(engine.kill(id.as_str(), "KILL")).await.unwrap();
    exit_code(engine, id).await;
}

#[tokio::test]
async fn failures_are_tried_again_until_it_is_enough() {
    let (bench, engine) = Bench::new().await;
    let mut events = engine.events(Window::default());
    let id = run(
        &engine,
        with_policy(shell("echo run; exit 3"), "on-failure", 2),
    )
    .await;
    reaches(&engine, &id, Status::Exited).await;
    assert_eq!(count(&engine, &id).await, 2);
    assert_eq!(state(&engine, &id).await.exit_code, 3);
    assert_eq!(text(&engine, &id).await, "run\nrun\nrun\n");
    remove(&engine, &id).await;
    bench.assert_no_vm();
    let mut seen = Vec::new();
    while seen.last().map(String::as_str) != Some("destroy") {
        let event = soon(events.next()).await.unwrap();
        if event.action == "die" {
            assert_eq!(event.attributes["exitCode"], "3");
            assert!(event.attributes.contains_key("execDuration"));
        }
        seen.push(event.action);
    }
    assert_eq!(
        seen,
        [
            "create", "start", "die", "start", "die", "start", "die", "destroy"
        ]
    );
}

#[tokio::test]
async fn success_is_not_a_failure_and_a_missing_program_not_tried_again() {
    let (_bench, engine) = Bench::new().await;
    let id = run(&engine, with_policy(shell("exit 0"), "on-failure", 0)).await;
    assert_eq!(exit_code(&engine, &id).await, 0);
    assert_eq!(state(&engine, &id).await.status, Status::Exited);
    let id = create(&engine, with_policy(spec(&["nosuchcmd"]), "always", 0)).await;
    soon(engine.start(id.as_str())).await.unwrap_err();
    let state = state(&engine, &id).await;
    assert_eq!((state.status, state.exit_code), (Status::Created, 127));
}

#[tokio::test]
async fn between_two_runs_it_counts_as_running_and_a_stop_is_the_end() {
    let (bench, engine) = Bench::new().await;
    let id = run(&engine, with_policy(shell("exit 1"), "always", 0)).await;
    let who = id.as_str();
    let name = engine.inspect(who).await.unwrap().name;
    // The waits get longer: one of them is long enough for all these questions.
    let answers = loop {
        reaches(&engine, &id, Status::Restarting).await;
        let before = count(&engine, &id).await;
        let rows = engine.list(ListOptions::default()).await.unwrap();
        let answers = (
            rows[0].status.clone(),
            engine.pause(who).await,
            engine.attach(who, attached(false)).await,
            engine.start(who).await,
            engine.remove(who, RemoveOptions::default()).await,
        );
        let waited = state(&engine, &id).await.status == Status::Restarting;
        if waited && count(&engine, &id).await == before {
            break answers;
        }
    };
    let (status, pause, attach, start, remove) = answers;
    assert!(
        status.starts_with("Restarting (1) ") && status.ends_with(" ago"),
        "{status}"
    );
    let waits = "is restarting, wait until the container is running";
    assert_eq!(message(pause), format!("Container {who} {waits}"));
    assert_eq!(message(attach), format!("container {who} {waits}"));
    assert_eq!(start.unwrap_err().kind(), ErrorKind::NotModified);
    assert_eq!(
        message(remove),
        format!(
            "cannot remove container \"{name}\": container is restarting: stop the container before removing or force remove"
        )
    );
    soon(engine.stop(who, StopOptions::default()))
        .await
        .unwrap();
    assert_eq!(state(&engine, &id).await.status, Status::Exited);
    // A start by a user counts anew.
    soon(engine.start(who)).await.unwrap();
    eventually(async || (count(&engine, &id).await == 1).then_some(())).await;
    let force = RemoveOptions {
        force: true,
        volumes: false,
    };
    soon(engine.remove(who, force)).await.unwrap();
    bench.assert_no_vm();
}

#[tokio::test]
async fn who_waits_or_is_attached_sees_the_end_of_the_run() {
    let (_bench, engine) = Bench::new().await;
    let mut spec = with_policy(shell("read x; echo $x; exit 7"), "always", 0);
    spec.config.open_stdin = true;
    let id = run(&engine, spec).await;
    let mut client = engine.attach(id.as_str(), attached(true)).await.unwrap();
    let mut waits = Vec::new();
    for condition in [WaitCondition::NotRunning, WaitCondition::NextExit] {
        waits.push(engine.wait(id.as_str(), condition).await.unwrap());
    }
    type_in(&client, "word\n").await;
    assert_eq!(read_all(&mut client).await, "word\n");
    for waiting in waits {
        assert_eq!(soon(waiting.outcome()).await.unwrap().exit_code, 7);
    }
    eventually(async || (count(&engine, &id).await == 1).then_some(())).await;
    reaches(&engine, &id, Status::Running).await;
    stop(&engine, &id).await;
    assert_eq!(state(&engine, &id).await.status, Status::Exited);
}

#[tokio::test]
async fn a_signal_that_is_not_the_stop_signal_ends_no_policy_where_there_is_one() {
    let (_bench, engine) = Bench::new().await;
    let mut spec = with_policy(idle("trap 'exit 5' USR1; echo up;"), "always", 0);
    spec.config.cmd = shell("trap 'exit 5' USR1; echo up; while :; do sleep 0.05; done")
        .config
        .cmd;
    spec.config.stop_signal = Some("INT".into());
    let id = run(&engine, spec).await;
    eventually(async || (!text(&engine, &id).await.is_empty()).then_some(())).await;
    soon(engine.kill(id.as_str(), "USR1")).await.unwrap();
    eventually(async || (count(&engine, &id).await == 1).then_some(())).await;
    reaches(&engine, &id, Status::Running).await;
    stop(&engine, &id).await;
    assert_eq!(state(&engine, &id).await.status, Status::Exited);
}

#[tokio::test]
async fn the_next_engine_starts_what_its_policy_wants() {
    let (bench, engine) = Bench::new().await;
    let mut ids = Vec::new();
    for policy in ["always", "unless-stopped", "on-failure", "no"] {
        let id = run(&engine, with_policy(idle(""), policy, 0)).await;
        stop(&engine, &id).await;
        ids.push(id);
    }
    engine.close().await;
    drop(engine);
    let engine = bench.open().await;
    reaches(&engine, &ids[0], Status::Running).await;
    assert_eq!(count(&engine, &ids[0]).await, 0);
    for id in &ids[1..] {
        assert_eq!(state(&engine, id).await.status, Status::Exited);
    }
}

#[tokio::test]
async fn a_policy_goes_on_after_an_end_that_no_engine_saw() {
    let (bench, engine) = Bench::new().await;
    let mut ids = Vec::new();
    for (policy, most) in [("always", 0), ("unless-stopped", 0), ("on-failure", 1)] {
        ids.push(run(&engine, with_policy(idle(""), policy, most)).await);
    }
    let none = run(&engine, idle("")).await;
    ids.push(none.clone());
    let mut pids = Vec::new();
    for id in &ids {
        pids.push(i32::try_from(state(&engine, id).await.pid).unwrap());
    }
    engine.close().await;
    drop(engine);
    for pid in pids {
        // SAFETY: the pid is of a VM that this test started.
        unsafe { libc::kill(pid, libc::SIGKILL) };
    }
    let engine = bench.open().await;
    for id in &ids[..3] {
        // The engine may have found a VM that was still dying.
        eventually(async || (count(&engine, id).await == 1).then_some(())).await;
        reaches(&engine, id, Status::Running).await;
    }
    assert_eq!(exit_code(&engine, &none).await, 137);
    // What was counted before counts on.
    let limited = &ids[2];
    let pid = i32::try_from(state(&engine, limited).await.pid).unwrap();
    // SAFETY: as above.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    reaches(&engine, limited, Status::Exited).await;
    assert_eq!(count(&engine, limited).await, 1);
}

#[tokio::test]
async fn an_update_changes_the_policy_and_is_kept() {
    let (bench, engine) = Bench::new().await;
    let flag = bench.dir.path().join("flag");
    std::fs::write(&flag, b"").unwrap();
    let id = run(&engine, with_policy(while_there(&flag, 1), "always", 0)).await;
    let who = id.as_str();
    reaches(&engine, &id, Status::Restarting).await;
    let mut events = engine.events(Window::default());
    let policy = |name: &str| HostConfig {
        restart_policy: RestartPolicy {
            name: name.into(),
            maximum_retry_count: 0,
        },
        ..HostConfig::default()
    };
    soon(engine.update(who, policy("no"))).await.unwrap();
    next(&mut events, "update").await;
    reaches(&engine, &id, Status::Exited).await;
    engine.close().await;
    drop(engine);
    let engine = bench.open().await;
    let shown = engine.inspect(who).await.unwrap().host_config;
    assert_eq!(shown.restart_policy.name, "no");
    assert_eq!(
        message(engine.update(who, policy("often")).await),
        "invalid restart policy: unknown policy 'often'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
    );
    let mut removes_itself = idle("");
    removes_itself.host_config.auto_remove = true;
    let id = run(&engine, removes_itself).await;
    assert_eq!(
        message(engine.update(id.as_str(), policy("always")).await),
        format!(
            "Cannot update container {id}: Restart policy cannot be updated because AutoRemove is enabled for the container"
        )
    );
}

#[tokio::test]
async fn an_update_of_limits_holds_at_once_or_says_why_not() {
    let (_bench, engine) = Bench::new().await;
    let id = create(&engine, idle("")).await;
    let who = id.as_str();
    let memory = HostConfig {
        memory: 128 << 20,
        ..HostConfig::default()
    };
    soon(engine.update(who, memory)).await.unwrap();
    soon(engine.start(who)).await.unwrap();
    let more = HostConfig {
        memory: 256 << 20,
        ..HostConfig::default()
    };
    let refused = message(engine.update(who, more).await);
    assert!(
        refused.ends_with("has room for 134217728 bytes of memory: stop the container first"),
        "{refused}"
    );
    let less = HostConfig {
        memory: 64 << 20,
        pids_limit: Some(9),
        ..HostConfig::default()
    };
    soon(engine.update(who, less)).await.unwrap();
    // The fake guest uses all that it may.
    let usage = engine.stats(who).await.unwrap().usage.unwrap();
    assert_eq!((usage.memory.usage, usage.pids), (64 << 20, 9));
    let back = HostConfig {
        memory: 128 << 20,
        ..HostConfig::default()
    };
    soon(engine.update(who, back.clone())).await.unwrap();
    let usage = engine.stats(who).await.unwrap().usage.unwrap();
    assert_eq!((usage.memory.usage, usage.pids), (128 << 20, 9));
    soon(engine.pause(who)).await.unwrap();
    let held = HostConfig {
        memory: 64 << 20,
        ..HostConfig::default()
    };
    let refused = message(engine.update(who, held).await);
    assert!(
        refused.ends_with("unpause the container before update"),
        "{refused}"
    );
    soon(engine.unpause(who)).await.unwrap();
    let cpus = HostConfig {
        nano_cpus: 500_000_000,
        ..HostConfig::default()
    };
    soon(engine.update(who, cpus)).await.unwrap();
    let many = HostConfig {
        nano_cpus: 2_000_000_000,
        ..HostConfig::default()
    };
    let refused = message(engine.update(who, many).await);
    assert!(refused.contains("has 1 CPUs"), "{refused}");
    let shown = engine.inspect(who).await.unwrap().host_config;
    assert_eq!((shown.memory, shown.nano_cpus), (128 << 20, 500_000_000));
    let tiny = HostConfig {
        memory: 1 << 20,
        ..HostConfig::default()
    };
    assert_eq!(
        message(engine.update(who, tiny).await),
        "Minimum memory limit allowed is 6MB"
    );
}

#[tokio::test]
async fn a_restart_keeps_what_would_remove_itself() {
    let (_bench, engine) = Bench::new().await;
    let mut spec = idle("");
    spec.host_config.auto_remove = true;
    let id = run(&engine, spec).await;
    let brief = StopOptions {
        timeout: None,
        signal: Some("KILL".into()),
    };
    soon(engine.restart(id.as_str(), brief)).await.unwrap();
    assert_eq!(state(&engine, &id).await.status, Status::Running);
    let removed = engine
        .wait(id.as_str(), WaitCondition::Removed)
        .await
        .unwrap();
    soon(engine.kill(id.as_str(), "")).await.unwrap();
    soon(removed.outcome()).await.unwrap();
}
