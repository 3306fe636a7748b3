use hull_engine::api::*;
use hull_engine::{Engine, ErrorKind};

use crate::bench::*;

#[tokio::test]
async fn a_missing_program_is_127_in_dockers_words() {
    let (bench, engine) = Bench::new().await;
    let id = create(&engine, spec(&["nosuchcmd"])).await;
    assert_eq!(
        message(soon(engine.start(id.as_str())).await),
        "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: exec: \"nosuchcmd\": executable file not found in $PATH"
    );
    let state = state(&engine, &id).await;
    assert_eq!((state.status, state.exit_code), (Status::Created, 127));
    assert!(state.error.contains("nosuchcmd"));
    bench.assert_no_vm();
    let id = create(&engine, spec(&["/etc/passwd"])).await;
    let error = soon(engine.start(id.as_str())).await.unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("exec: \"/etc/passwd\": permission denied"),
        "{error}"
    );
    assert_eq!(error.kind(), ErrorKind::InvalidParameter);
}

#[tokio::test]
async fn who_waits_for_a_start_that_fails_is_told_the_code_and_removal_happens() {
    let (_bench, engine) = Bench::new().await;
    let mut spec = spec(&["nosuchcmd"]);
    spec.host_config.auto_remove = true;
    let id = create(&engine, spec).await;
    let wait = async |condition| engine.wait(id.as_str(), condition).await.unwrap();
    let exit = wait(WaitCondition::NextExit).await;
    let removed = wait(WaitCondition::Removed).await;
    soon(engine.start(id.as_str())).await.unwrap_err();
    for waiting in [exit, removed] {
        let outcome = soon(waiting.outcome()).await.unwrap();
        assert_eq!((outcome.exit_code, outcome.error), (127, None));
    }
}

#[tokio::test]
async fn a_guest_that_panics_at_the_start_fails_the_start() {
    let (bench, engine) = Bench::new().await;
    for (program, text) in [
        ("fake-panic", "the guest's kernel panicked: kernel panic"),
        ("fake-vanish", "killed"),
    ] {
        let id = create(&engine, spec(&[program])).await;
        let error = message(soon(engine.start(id.as_str())).await);
        assert!(error.contains(text), "{error}");
        bench.assert_no_vm();
    }
}

#[tokio::test]
async fn a_vm_that_dies_ends_the_container_with_a_reason() {
    let (bench, engine) = Bench::new().await;
    let id = run(&engine, idle("echo up;")).await;
    let follow = LogOptions {
        follow: true,
        ..both()
    };
    let mut stream = engine.logs(id.as_str(), follow).await.unwrap();
    soon(stream.lines.recv()).await.unwrap().unwrap();
    let pid = i32::try_from(state(&engine, &id).await.pid).unwrap();
    // SAFETY: the pid is of the VM that this test started.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    assert_eq!(exit_code(&engine, &id).await, 137);
    assert_eq!(
        state(&engine, &id).await.error,
        "the VM's process was killed"
    );
    assert!(
        soon(stream.lines.recv()).await.is_none(),
        "followers get the end"
    );
    remove(&engine, &id).await;
    bench.assert_no_vm();
}

/// An engine whose options are spoilt: the start must fail and leave nothing.
async fn fails(spoil: impl FnOnce(&mut Options), text: &str, kind: ErrorKind) {
    let (bench, engine) = Bench::new().await;
    let id = create(&engine, shell("true")).await;
    engine.close().await;
    drop(engine);
    let mut options = bench.options();
    spoil(&mut options);
    let engine = Engine::open(options).await.unwrap();
    let error = soon(engine.start(id.as_str())).await.unwrap_err();
    assert!(error.to_string().contains(text), "{error}");
    assert_eq!(error.kind(), kind, "{error}");
    assert_eq!(state(&engine, &id).await.exit_code, 128);
    bench.assert_no_vm();
    engine.close().await;
    drop(engine);
    // With all in order again it starts: no user id and no file was lost.
    let mut options = bench.options();
    options.defaults.uid_count = 1;
    let engine = Engine::open(options).await.unwrap();
    soon(engine.start(id.as_str())).await.unwrap();
    assert_eq!(exit_code(&engine, &id).await, 0);
}

#[tokio::test]
async fn no_kvm() {
    let missing = |o: &mut Options| o.kvm = o.data_root.join("nosuch");
    fails(missing, "every container needs", ErrorKind::Unavailable).await;
}

#[tokio::test]
async fn no_kernel() {
    fails(
        |o| o.kernel = o.data_root.join("nosuch"),
        "cannot open",
        ErrorKind::System,
    )
    .await;
}

#[tokio::test]
async fn no_vmm() {
    fails(
        |o| o.vmm = o.data_root.join("nosuch"),
        "cannot run",
        ErrorKind::System,
    )
    .await;
}

#[tokio::test]
async fn a_vmm_that_says_nothing() {
    fails(
        |o| o.vmm = "/bin/false".into(),
        "before it was up",
        ErrorKind::System,
    )
    .await;
}

#[tokio::test]
async fn no_user_id_left() {
    fails(|o| o.defaults.uid_count = 0, "user ids", ErrorKind::System).await;
}

#[tokio::test]
async fn no_cgroups() {
    let elsewhere = |o: &mut Options| o.cgroup_root = Some(o.data_root.join("cgroup"));
    fails(elsewhere, "no cgroup v2", ErrorKind::Unavailable).await;
}

#[tokio::test]
async fn requests_that_cannot_be_are_refused() {
    let (bench, engine) = Bench::new().await;
    let refused = async |change: fn(&mut CreateSpec)| {
        let mut spec = shell("true");
        change(&mut spec);
        message(engine.create(None, spec).await)
    };
    assert_eq!(
        refused(|s| s.config.image = "nosuch".into()).await,
        "No such image: nosuch:latest"
    );
    assert_eq!(
        refused(|s| s.config.cmd = None).await,
        "no command specified"
    );
    assert_eq!(
        refused(|s| s.host_config.memory = 1 << 20).await,
        "Minimum memory limit allowed is 6MB"
    );
    assert_eq!(
        refused(|s| s.config.stop_signal = Some("NOSUCH".into())).await,
        "invalid signal: NOSUCH"
    );
    assert!(
        std::fs::read_dir(bench.dir.path().join("data/containers"))
            .unwrap()
            .next()
            .is_none()
    );
    let bad = engine.create(Some("a/b"), shell("true")).await.unwrap_err();
    assert_eq!(bad.kind(), ErrorKind::InvalidParameter);
}

#[tokio::test]
async fn a_start_is_given_up_when_the_container_is_removed() {
    let (bench, engine) = Bench::new().await;
    let id = create(&engine, shell("true")).await;
    engine.close().await;
    drop(engine);
    let mut options = bench.options();
    // Announces nothing and does not end: a VMM that hangs.
    let hanging = bench.dir.path().join("hanging");
    std::fs::write(&hanging, "#!/bin/sh\nexec sleep 1000\n").unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&hanging, std::fs::Permissions::from_mode(0o700)).unwrap();
    options.vmm = hanging;
    let engine = Engine::open(options).await.unwrap();
    let (starter, who) = (engine.clone(), id.clone());
    let start = tokio::spawn(async move { starter.start(who.as_str()).await });
    let force = RemoveOptions {
        force: true,
        volumes: false,
    };
    let vms = bench.dir.path().join("run/vms");
    eventually(async || vms.read_dir().unwrap().next())
        .await
        .unwrap();
    soon(engine.remove(id.as_str(), force)).await.unwrap();
    assert!(soon(start).await.unwrap().is_err());
    bench.assert_no_vm();
}
