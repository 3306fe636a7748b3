use hull_engine::api::*;
use hull_engine::{ContainerId, Engine};

use crate::bench::*;

async fn usage(engine: &Engine, id: &ContainerId) -> Option<Usage> {
    soon(engine.stats(id.as_str())).await.unwrap().usage
}

#[tokio::test]
async fn a_running_container_has_figures_and_a_stopped_one_has_none() {
    let (_bench, engine) = Bench::new().await;
    let id = create(&engine, idle("")).await;
    assert_eq!(usage(&engine, &id).await, None);
    soon(engine.start(id.as_str())).await.unwrap();
    let running = usage(&engine, &id).await.unwrap();
    // What the fake guest says, and what the host knows.
    assert_eq!(running.cpu.total, 2_000_000_000);
    assert_eq!((running.memory.usage, running.pids), (1 << 20, 1));
    assert_eq!(running.memory.limit, 512 << 20);
    assert!(running.cpu.system > 0 && running.cpu.online > 0);
    soon(engine.pause(id.as_str())).await.unwrap();
    let paused = usage(&engine, &id).await.unwrap();
    assert_eq!(paused.memory, running.memory);
    let force = RemoveOptions {
        force: true,
        ..RemoveOptions::default()
    };
    soon(engine.remove(id.as_str(), force)).await.unwrap();
    assert!(engine.stats(id.as_str()).await.is_err());
}

#[tokio::test]
async fn figures_come_until_the_container_is_gone() {
    let (_bench, engine) = Bench::new().await;
    let id = run(&engine, idle("")).await;
    let mut stream = engine.watch_stats(id.as_str()).unwrap();
    let first = soon(stream.next()).await.unwrap().usage.unwrap();
    let second = soon(stream.next()).await.unwrap().usage.unwrap();
    assert!(second.read > first.read);
    soon(engine.kill(id.as_str(), "KILL")).await.unwrap();
    exit_code(&engine, &id).await;
    assert_eq!(soon(stream.next()).await.unwrap().usage, None);
    remove(&engine, &id).await;
    let end = async { while stream.next().await.is_some() {} };
    soon(end).await;
}
