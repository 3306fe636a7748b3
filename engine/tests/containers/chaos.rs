//! Engines that are killed outright, again and again, while containers run, end, start again and
//! are checked: nothing is lost, doubled or forgotten.

use std::io::Read;
use std::process::{Child, Command, Stdio};

use hull_engine::Engine;
use hull_engine::api::*;

use crate::bench::*;

/// How often an engine is killed.
const ROUNDS: u64 = 8;
/// How much the log grows meanwhile: a part of what comes in all.
const BYTES_A_ROUND: u64 = 100 << 10;

/// An engine in a process of its own, which opens the data root and does nothing else.
struct Victim(Child);

impl Victim {
    fn start(bench: &Bench) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_hull-lone-engine"))
            .arg(bench.dir.path())
            .arg(env!("CARGO_BIN_EXE_hull-fake-vmm"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // It says so once it has found its containers.
        let mut byte = [0];
        child
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut byte)
            .unwrap();
        Self(child)
    }

    /// SIGKILL: no code of its own runs any more.
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn policy(mut spec: CreateSpec, name: &str, most: i64) -> CreateSpec {
    spec.host_config.restart_policy = RestartPolicy {
        name: name.into(),
        maximum_retry_count: most,
    };
    spec
}

async fn status(engine: &Engine, who: &str) -> Status {
    engine.inspect(who).await.unwrap().state.status
}

async fn reaches(engine: &Engine, who: &str, wanted: Status) {
    eventually(async || (status(engine, who).await == wanted).then_some(())).await;
}

#[tokio::test]
async fn engines_are_killed_and_containers_live_their_lives() {
    let (bench, engine) = Bench::new().await;
    let start = async |name: &str, spec: CreateSpec| {
        engine.create(Some(name), spec).await.unwrap();
        soon(engine.start(name)).await.unwrap();
    };
    let lines = 20_000;
    let script = format!("i=0; while [ $i -lt {lines} ]; do echo $i; i=$((i+1)); done; exit 5");
    start("talks", shell(&script)).await;
    // As much, in files of which none is big.
    let mut turns = shell(&script);
    turns.host_config.log_config.config =
        [("max-size", "20k"), ("max-file", "1000"), ("compress", "1")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into();
    start("turns", turns).await;
    start("crashes", policy(shell("echo run; exit 1"), "always", 0)).await;
    start("gives-up", policy(shell("exit 2"), "on-failure", 3)).await;
    start("stays", policy(idle(""), "unless-stopped", 0)).await;
    let mut removes_itself = shell("exit 0");
    removes_itself.host_config.auto_remove = true;
    start("vanishes", removes_itself).await;
    let mut healthy = idle("");
    healthy.config.healthcheck = Some(Healthcheck {
        test: Some(vec!["CMD".into(), "true".into()]),
        interval: 20_000_000,
        ..Healthcheck::default()
    });
    start("checked", healthy).await;
    start("stopped", policy(idle(""), "unless-stopped", 0)).await;
    soon(engine.kill("stopped", "KILL")).await.unwrap();
    let log = engine.inspect("talks").await.unwrap().log_path.unwrap();
    engine.close().await;
    drop(engine);

    let log_length = || std::fs::metadata(&log).map_or(0, |m| m.len());
    let mut counted = 0;
    for round in 0..ROUNDS {
        let victim = Victim::start(&bench);
        // Killed in the middle of its work, at another place each time.
        eventually(async || (log_length() >= round * BYTES_A_ROUND).then_some(())).await;
        victim.kill();
        if round == ROUNDS / 2 {
            let engine = bench.open().await;
            let count = engine.inspect("crashes").await.unwrap().restart_count;
            assert!(count >= counted, "{count} after {counted}");
            counted = count;
            let pid = engine.inspect("stays").await.unwrap().state.pid;
            engine.close().await;
            // SAFETY: the pid is of a VM that this test started.
            unsafe { libc::kill(i32::try_from(pid).unwrap(), libc::SIGKILL) };
        }
    }

    let engine = bench.open().await;
    reaches(&engine, "talks", Status::Exited).await;
    reaches(&engine, "turns", Status::Exited).await;
    let turns = engine.inspect("turns").await.unwrap();
    let talks = engine.inspect("talks").await.unwrap();
    assert_eq!((talks.state.exit_code, talks.state.error.as_str()), (5, ""));
    let wanted: String = (0..lines).map(|i| format!("{i}\n")).collect();
    assert_eq!(text(&engine, &talks.id).await, wanted);
    assert_eq!(text(&engine, &turns.id).await, wanted);
    eventually(async || {
        let now = engine.inspect("crashes").await.unwrap();
        (now.restart_count > counted + 2).then_some(())
    })
    .await;
    reaches(&engine, "gives-up", Status::Exited).await;
    let gives_up = engine.inspect("gives-up").await.unwrap();
    assert_eq!((gives_up.restart_count, gives_up.state.exit_code), (3, 2));
    eventually(async || {
        let stays = engine.inspect("stays").await.unwrap();
        (stays.restart_count == 1 && stays.state.status == Status::Running).then_some(())
    })
    .await;
    assert_eq!(status(&engine, "stopped").await, Status::Exited);
    eventually(async || engine.inspect("vanishes").await.err()).await;
    eventually(async || {
        let state = engine.inspect("checked").await.unwrap().state;
        let health = state.health.expect("its health").status;
        (health == HealthStatus::Healthy).then_some(())
    })
    .await;
    let force = RemoveOptions {
        force: true,
        volumes: false,
    };
    for who in [
        "talks", "turns", "crashes", "gives-up", "stays", "stopped", "checked",
    ] {
        soon(engine.remove(who, force)).await.unwrap();
    }
    bench.assert_no_vm();
}
