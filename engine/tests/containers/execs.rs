use hull_engine::api::*;
use hull_engine::{ContainerId, Engine, ErrorKind};

use crate::bench::*;

fn command(script: &str) -> ExecSpec {
    ExecSpec {
        cmd: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
        attach_stdout: true,
        attach_stderr: true,
        ..ExecSpec::default()
    }
}

async fn sleeper(engine: &Engine) -> ContainerId {
    run(engine, idle("")).await
}

async fn ended(engine: &Engine, id: &str) -> ExecInspect {
    eventually(async || {
        let exec = engine.exec_inspect(id).await.unwrap();
        exec.exit_code.is_some().then_some(exec)
    })
    .await
}

#[tokio::test]
async fn an_exec_has_output_input_environment_and_exit_code() {
    let (_bench, engine) = Bench::new().await;
    let id = sleeper(&engine).await;
    let spec = ExecSpec {
        attach_stdin: true,
        env: vec!["MORE=1".into()],
        ..command("echo $FROM_IMAGE $MORE; cat; exit 6")
    };
    let exec = engine.exec_create(id.as_str(), spec).await.unwrap();
    let size = hull_engine::TerminalSize {
        rows: 1,
        columns: 1,
    };
    let early = engine.exec_resize(exec.as_str(), size).await.unwrap_err();
    assert_eq!(early.kind(), ErrorKind::InvalidParameter);
    let started = soon(engine.exec_start(exec.as_str(), ExecStart::default()))
        .await
        .unwrap();
    let ExecStarted::Attached(mut client) = started else {
        panic!("not attached")
    };
    type_in(&client, "typed").await;
    client.stdin = None;
    assert_eq!(read_all(&mut client).await, "yes 1\ntyped");
    let inspect = engine.exec_inspect(exec.as_str()).await.unwrap();
    assert_eq!(
        inspect.exit_code,
        Some(6),
        "known once the output has ended"
    );
    let again = engine
        .exec_start(exec.as_str(), ExecStart::default())
        .await
        .unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Conflict);
    let forgotten = async || {
        let top = engine.top(id.as_str(), "").await.unwrap();
        (top.processes.len() == 1).then_some(())
    };
    eventually(forgotten).await;
}

#[tokio::test]
async fn a_client_that_goes_does_not_end_a_terminals_input() {
    let (_bench, engine) = Bench::new().await;
    let id = sleeper(&engine).await;
    let spec = ExecSpec {
        attach_stdin: true,
        tty: true,
        ..command("cat; exit 6")
    };
    let exec = engine.exec_create(id.as_str(), spec).await.unwrap();
    let started = soon(engine.exec_start(exec.as_str(), ExecStart::default())).await;
    let ExecStarted::Attached(mut client) = started.unwrap() else {
        panic!("not attached")
    };
    type_in(&client, "typed").await;
    read_until(&mut client, "typed").await;
    drop(client);
    // One without a terminal, which is made and ends after that, shows that time has passed.
    let spec = ExecSpec {
        attach_stdin: true,
        ..command("cat; exit 7")
    };
    let other = engine.exec_create(id.as_str(), spec).await.unwrap();
    let started = soon(engine.exec_start(other.as_str(), ExecStart::default())).await;
    drop(started);
    assert_eq!(ended(&engine, other.as_str()).await.exit_code, Some(7));
    assert!(engine.exec_inspect(exec.as_str()).await.unwrap().running);
}

#[tokio::test]
async fn a_detached_exec_is_never_held_back() {
    let (_bench, engine) = Bench::new().await;
    let id = sleeper(&engine).await;
    let exec = engine
        .exec_create(id.as_str(), command("head -c 1000000 /dev/zero; exit 2"))
        .await
        .unwrap();
    let start = ExecStart {
        detach: true,
        size: None,
    };
    assert!(matches!(
        soon(engine.exec_start(exec.as_str(), start)).await.unwrap(),
        ExecStarted::Detached
    ));
    assert_eq!(ended(&engine, exec.as_str()).await.exit_code, Some(2));
}

#[tokio::test]
async fn an_exec_that_cannot_be_says_so() {
    let (_bench, engine) = Bench::new().await;
    let id = sleeper(&engine).await;
    let spec = ExecSpec {
        cmd: vec!["nosuch".into()],
        ..ExecSpec::default()
    };
    let exec = engine.exec_create(id.as_str(), spec).await.unwrap();
    assert_eq!(
        message(engine.exec_start(exec.as_str(), ExecStart::default()).await),
        "OCI runtime exec failed: exec failed: unable to start container process: exec: \"nosuch\": executable file not found in $PATH"
    );
    assert_eq!(
        engine.exec_inspect(exec.as_str()).await.unwrap().exit_code,
        Some(127)
    );
    soon(engine.stop(id.as_str(), StopOptions::default()))
        .await
        .unwrap();
    let late = engine
        .exec_create(id.as_str(), command("true"))
        .await
        .unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Conflict);
}
