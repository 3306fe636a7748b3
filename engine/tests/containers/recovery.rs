//! An engine goes away at any moment, and the next one goes on.

use hull_engine::api::*;
use hull_engine::{Engine, ErrorKind};

use crate::bench::*;

/// Ends an engine where it stands: tasks stop at their next wait, nothing is tidied.
async fn leave(engine: Engine) {
    engine.close().await;
}

#[tokio::test]
async fn running_containers_are_found_again() {
    let (bench, engine) = Bench::new().await;
    let mut spec = shell("echo before; read x; echo after $x; exit 9");
    spec.config.open_stdin = true;
    let id = run(&engine, spec).await;
    let mut client = engine.attach(id.as_str(), attached(false)).await.unwrap();
    let _ = tokio::time::timeout(std::time::Duration::from_millis(1), client.output.recv()).await;
    let started = state(&engine, &id).await;
    leave(engine).await;
    let engine = bench.open().await;
    let found = state(&engine, &id).await;
    assert_eq!(
        (found.status, found.pid, found.started_at),
        (Status::Running, started.pid, started.started_at)
    );
    let client = engine.attach(id.as_str(), attached(true)).await.unwrap();
    type_in(&client, "typed\n").await;
    assert_eq!(exit_code(&engine, &id).await, 9);
    assert_eq!(text(&engine, &id).await, "before\nafter typed\n");
    remove(&engine, &id).await;
    bench.assert_no_vm();
}

#[tokio::test]
async fn no_byte_of_output_is_lost_or_doubled_however_often_the_engine_goes() {
    let (bench, mut engine) = Bench::new().await;
    let script = "i=0; while [ $i -lt 20000 ]; do echo out $i; [ $((i % 100)) = 0 ] && printf part >&2; i=$((i+1)); done";
    let id = run(&engine, shell(script)).await;
    for _ in 0..6 {
        let follow = LogOptions {
            follow: true,
            tail: Tail::Lines(0),
            ..both()
        };
        let mut stream = engine.logs(id.as_str(), follow).await.unwrap();
        // Somewhere in the middle, wherever that is.
        for _ in 0..500 {
            if soon(stream.lines.recv()).await.is_none() {
                break;
            }
        }
        drop(stream);
        leave(engine).await;
        engine = bench.open().await;
    }
    assert_eq!(exit_code(&engine, &id).await, 0);
    let lines = logs(&engine, &id, both()).await;
    let of = |wanted: StdStream| -> String {
        lines
            .iter()
            .filter(|(s, _)| *s == wanted)
            .map(|(_, l)| l.as_str())
            .collect()
    };
    let wanted: String = (0..20_000).map(|i| format!("out {i}\n")).collect();
    assert_eq!(of(StdStream::Stdout), wanted);
    assert_eq!(of(StdStream::Stderr), "part".repeat(200));
}

#[tokio::test]
async fn what_ended_meanwhile_is_recorded() {
    let (bench, engine) = Bench::new().await;
    let ends = run(&engine, shell("read x; exit 3")).await;
    let dies = run(&engine, idle("")).await;
    let pid = i32::try_from(state(&engine, &dies).await.pid).unwrap();
    leave(engine).await;
    // SAFETY: the pid is of the VM that this test started.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    let engine = bench.open().await;
    // Stdin was /dev/null, so it ended with nobody looking; its agent kept the status.
    let code = exit_code(&engine, &ends).await;
    assert_eq!(code, 3);
    assert_eq!(exit_code(&engine, &dies).await, 137);
    let state = state(&engine, &dies).await;
    assert_eq!(state.status, Status::Exited);
    remove(&engine, &ends).await;
    remove(&engine, &dies).await;
    bench.assert_no_vm();
}

/// Each engine is closed about when the process ends: before, while and after that is recorded.
#[tokio::test]
async fn an_end_is_known_whenever_the_engine_goes() {
    let (bench, mut engine) = Bench::new().await;
    for round in 0..30 {
        let id = run(&engine, shell("exit 7")).await;
        for _ in 0..round {
            tokio::task::yield_now().await;
        }
        leave(engine).await;
        engine = bench.open().await;
        assert_eq!(exit_code(&engine, &id).await, 7, "round {round}");
        assert_eq!(state(&engine, &id).await.error, "", "round {round}");
        remove(&engine, &id).await;
    }
    bench.assert_no_vm();
}

#[tokio::test]
async fn auto_removal_happens_late_rather_than_never() {
    let (bench, engine) = Bench::new().await;
    let mut spec = idle("");
    spec.host_config.auto_remove = true;
    let id = run(&engine, spec).await;
    let pid = i32::try_from(state(&engine, &id).await.pid).unwrap();
    leave(engine).await;
    // SAFETY: as above.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    let engine = bench.open().await;
    if let Ok(waiting) = engine.wait(id.as_str(), WaitCondition::Removed).await {
        soon(waiting.outcome()).await.unwrap();
    }
    assert_eq!(
        engine.inspect(id.as_str()).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    bench.assert_no_vm();
}

/// As an engine leaves it that died in between.
fn leave_as_removing(bench: &Bench, id: &hull_engine::ContainerId) {
    let database = rusqlite::Connection::open(bench.dir.path().join("data/engine.db")).unwrap();
    let changed = database.execute(
        "UPDATE container SET status = 'removing' WHERE id = ?1",
        [id.as_str()],
    );
    assert_eq!(changed.unwrap(), 1);
}

#[tokio::test]
async fn what_was_being_removed_is_removed_whether_it_has_a_vm_or_not() {
    let (bench, engine) = Bench::new().await;
    let with = run(&engine, idle("")).await;
    let without = create(&engine, shell("exit 0")).await;
    leave(engine).await;
    for id in [&with, &without] {
        leave_as_removing(&bench, id);
    }
    let engine = bench.open().await;
    for id in [&with, &without] {
        eventually(async || engine.inspect(id.as_str()).await.err()).await;
        assert!(
            !bench
                .dir
                .path()
                .join("data/containers")
                .join(id.as_str())
                .exists()
        );
    }
    bench.assert_no_vm();
}

#[tokio::test]
async fn an_engine_that_opens_starts_its_containers_in_their_order_and_not_all_at_once() {
    let (bench, engine) = Bench::new().await;
    let mut ids = Vec::new();
    for _ in 0..6 {
        let mut spec = idle("");
        spec.host_config.restart_policy.name = "always".into();
        ids.push(run(&engine, spec).await);
    }
    // Stopped by hand: started all the same when the next engine opens.
    for id in &ids {
        soon(engine.kill(id.as_str(), "KILL")).await.unwrap();
    }
    let vms = bench.dir.path().join("run/vms");
    eventually(async || {
        std::fs::read_dir(&vms)
            .unwrap()
            .next()
            .is_none()
            .then_some(())
    })
    .await;
    leave(engine).await;
    let mut options = bench.options();
    options.defaults.starts_at_once = 1;
    let engine = Engine::open(options).await.unwrap();
    let mut starts = Vec::new();
    for id in &ids {
        starts.push(
            eventually(async || {
                let state = state(&engine, id).await;
                (state.status == Status::Running).then_some(state.started_at.unwrap())
            })
            .await,
        );
    }
    assert!(starts.is_sorted(), "{starts:?}");
    let force = RemoveOptions {
        force: true,
        volumes: false,
    };
    for id in &ids {
        soon(engine.remove(id.as_str(), force)).await.unwrap();
    }
    bench.assert_no_vm();
}

#[tokio::test]
async fn an_exec_goes_on_and_is_read_away() {
    let (bench, engine) = Bench::new().await;
    let id = run(&engine, idle("")).await;
    let marker = bench.dir.path().join("done");
    let script = format!(
        "read x < /dev/null; head -c 3000000 /dev/zero; touch {}",
        marker.display()
    );
    let spec = ExecSpec {
        cmd: vec!["/bin/sh".into(), "-c".into(), script],
        attach_stdout: true,
        ..ExecSpec::default()
    };
    let exec = engine.exec_create(id.as_str(), spec).await.unwrap();
    // Attached and not read: the exec is held back when the engine goes.
    let started = soon(engine.exec_start(exec.as_str(), ExecStart::default()))
        .await
        .unwrap();
    assert!(!marker.exists());
    leave(engine).await;
    drop(started);
    let engine = bench.open().await;
    eventually(async || marker.exists().then_some(())).await;
    let force = RemoveOptions {
        force: true,
        volumes: false,
    };
    soon(engine.remove(id.as_str(), force)).await.unwrap();
}

#[tokio::test]
async fn a_data_root_has_one_engine() {
    let (bench, engine) = Bench::new().await;
    let second = Engine::open(bench.options()).await.unwrap_err();
    assert_eq!(second.kind(), ErrorKind::Unavailable);
    drop(engine);
}

#[tokio::test]
async fn leftovers_of_a_killed_engine_are_swept() {
    let (bench, engine) = Bench::new().await;
    leave(engine).await;
    let run = bench.dir.path().join("run/vms/0123");
    let data = bench.dir.path().join("data/containers/0123");
    for dir in [&run, &data] {
        std::fs::create_dir(dir).unwrap();
        std::fs::write(dir.join("file"), b"x").unwrap();
    }
    let _engine = bench.open().await;
    assert!(!run.exists() && !data.exists());
}
