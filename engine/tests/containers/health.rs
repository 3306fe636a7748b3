//! Health checks: run by exec, bounded by deadlines, held with the container.

use std::path::Path;
use std::time::Duration;

use hull_engine::api::*;
use hull_engine::{ContainerId, Engine, EventStream, Window};

use crate::bench::*;

/// Fails while a file is there.
fn unless(file: &Path) -> String {
    format!("echo looked; [ ! -e {} ]", file.display())
}

fn checked(script: &str, change: impl FnOnce(&mut Healthcheck)) -> CreateSpec {
    let mut spec = idle("");
    let mut check = Healthcheck {
        test: Some(vec!["CMD-SHELL".into(), script.into()]),
        interval: i64::try_from(Duration::from_millis(20).as_nanos()).unwrap(),
        retries: 2,
        ..Healthcheck::default()
    };
    change(&mut check);
    spec.config.healthcheck = Some(check);
    spec
}

async fn health(engine: &Engine, id: &ContainerId) -> Health {
    let health = state(engine, id).await.health.expect("its health");
    Health::clone(&health)
}

async fn becomes(events: &mut EventStream, status: &str) {
    let wanted = format!("health_status: {status}");
    while soon(events.next()).await.unwrap().action != wanted {}
}

async fn status_line(engine: &Engine) -> String {
    let rows = engine.list(ListOptions::default()).await.unwrap();
    rows[0].status.clone()
}

async fn listed(engine: &Engine, health: &str) -> usize {
    let mut filters = Filters::default();
    let values = filters.0.entry("health".to_owned()).or_default();
    values.insert(health.to_owned());
    let options = ListOptions {
        filters,
        ..ListOptions::default()
    };
    engine.list(options).await.unwrap().len()
}

#[tokio::test]
async fn checks_pass_fail_and_are_told() {
    let (bench, engine) = Bench::new().await;
    let ill = bench.dir.path().join("ill");
    let mut events = engine.events(Window::default());
    let id = run(&engine, checked(&unless(&ill), |_| ())).await;
    becomes(&mut events, "healthy").await;
    let line = status_line(&engine).await;
    assert!(
        line.starts_with("Up ") && line.ends_with(" (healthy)"),
        "{line}"
    );
    assert_eq!(listed(&engine, "healthy").await, 1);
    assert_eq!(listed(&engine, "none").await, 0);
    std::fs::write(&ill, b"").unwrap();
    becomes(&mut events, "unhealthy").await;
    let found = health(&engine, &id).await;
    assert_eq!(found.status, HealthStatus::Unhealthy);
    assert!(
        found.failing_streak >= 2 && found.log.len() <= 5,
        "{found:?}"
    );
    let last = found.log.last().unwrap();
    assert_eq!((last.exit_code, last.output.as_str()), (1, "looked\n"));
    assert!(last.start <= last.end);
    std::fs::remove_file(&ill).unwrap();
    becomes(&mut events, "healthy").await;
    soon(engine.kill(id.as_str(), "")).await.unwrap();
    exit_code(&engine, &id).await;
    assert_eq!(
        health(&engine, &id).await.status,
        HealthStatus::Unhealthy,
        "nobody checks any more"
    );
    assert!(
        engine
            .inspect(id.as_str())
            .await
            .unwrap()
            .exec_ids
            .is_empty()
    );
}

#[tokio::test]
async fn a_check_that_hangs_is_killed_and_has_failed() {
    let (_bench, engine) = Bench::new().await;
    let mut events = engine.events(Window::default());
    let id = run(
        &engine,
        checked("echo so far; exec sleep 1000", |check| {
            check.timeout = i64::try_from(Duration::from_millis(100).as_nanos()).unwrap();
            check.retries = 1;
        }),
    )
    .await;
    becomes(&mut events, "unhealthy").await;
    let found = health(&engine, &id).await;
    assert_eq!(found.log[0].exit_code, -1);
    assert!(
        found.log[0]
            .output
            .starts_with("Health check exceeded timeout (100ms)"),
        "{found:?}"
    );
}

#[tokio::test]
async fn what_a_check_says_is_bounded_and_what_cannot_run_has_failed() {
    let (_bench, engine) = Bench::new().await;
    let mut events = engine.events(Window::default());
    let loud = run(
        &engine,
        checked("head -c 1000000 /dev/zero | tr '\\0' x", |_| ()),
    )
    .await;
    becomes(&mut events, "healthy").await;
    let found = health(&engine, &loud).await;
    assert_eq!(found.log[0].output, format!("{}...", "x".repeat(4096)));
    soon(engine.kill(loud.as_str(), "")).await.unwrap();
    let none = run(
        &engine,
        checked("", |check| {
            check.test = Some(vec!["CMD".into(), "nosuchcmd".into()]);
        }),
    )
    .await;
    becomes(&mut events, "unhealthy").await;
    let found = health(&engine, &none).await;
    assert_eq!(found.log[0].exit_code, -1);
    assert!(found.log[0].output.contains("nosuchcmd"), "{found:?}");
}

#[tokio::test]
async fn a_pause_holds_the_checks_and_the_next_engine_goes_on() {
    let (bench, mut engine) = Bench::new().await;
    let mut events = engine.events(Window::default());
    let looks = bench.dir.path().join("looks");
    let script = format!("echo >> {}", looks.display());
    let id = run(&engine, checked(&script, |_| ())).await;
    let count = || std::fs::metadata(&looks).map_or(0, |m| m.len());
    becomes(&mut events, "healthy").await;
    soon(engine.pause(id.as_str())).await.unwrap();
    let log = health(&engine, &id).await.log;
    let line = status_line(&engine).await;
    assert!(line.ends_with(" (Paused)"), "{line}");
    soon(engine.unpause(id.as_str())).await.unwrap();
    let before = log.last().cloned();
    eventually(async || (health(&engine, &id).await.log.last().cloned() != before).then_some(()))
        .await;
    engine.close().await;
    drop(engine);
    let seen = count();
    engine = bench.open().await;
    let mut events = engine.events(Window::default());
    becomes(&mut events, "healthy").await;
    assert!(count() > seen);
    let row = status_line(&engine).await;
    assert!(row.ends_with(" (healthy)"), "{row}");
}
