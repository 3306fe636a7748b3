//! Libraries that speak Docker's API, against our socket: docker-py, testcontainers, bollard.

use std::process::{Command, Stdio};

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::models::{ContainerCreateBody, ContainerStateStatusEnum, EventMessageTypeEnum};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, DownloadFromContainerOptionsBuilder, EventsOptionsBuilder,
    InspectContainerOptions, KillContainerOptions, LogsOptionsBuilder,
    RemoveContainerOptionsBuilder, StartContainerOptions, UploadToContainerOptionsBuilder,
    WaitContainerOptions,
};
use futures_util::StreamExt;
use hull_tests::Daemon;

/// Runs one of the programs in `tests/clients`, whose libraries `cargo xtask e2e` has put beside
/// what is built.
fn python(script: &str) {
    let hull = Daemon::with_busybox();
    let here = env!("CARGO_MANIFEST_DIR");
    let child = Command::new("/usr/bin/python3")
        .arg(format!("{here}/clients/{script}"))
        .env("PYTHONPATH", format!("{here}/../target/python-clients"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("DOCKER_HOST", hull.host())
        .env("DOCKER_CONFIG", hull.folder().join("docker-config"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&child.stdout),
        String::from_utf8_lossy(&child.stderr),
    );
    assert!(
        child.status.success() && out.ends_with("done\n"),
        "{script}: {}\n{out}{err}",
        child.status
    );
}

#[test]
fn docker_py_works() {
    python("docker_py.py");
}

#[test]
fn testcontainers_works() {
    python("with_testcontainers.py");
}

#[test]
fn bollard_works() {
    let hull = Daemon::with_busybox();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(with_bollard(&hull.host()));
}

async fn with_bollard(host: &str) {
    let path = host.strip_prefix("unix://").unwrap();
    let docker = Docker::connect_with_unix(path, 300, bollard::API_DEFAULT_VERSION).unwrap();
    let docker = docker.negotiate_version().await.unwrap();
    assert_eq!(docker.ping().await.unwrap(), "OK");

    let script = "echo out; echo err >&2; exec sleep 1000";
    let body = ContainerCreateBody {
        image: Some("busybox".into()),
        cmd: Some(["sh", "-c", script].map(String::from).into()),
        ..ContainerCreateBody::default()
    };
    let named = CreateContainerOptionsBuilder::new().name("barge").build();
    let id = docker.create_container(Some(named), body).await.unwrap().id;
    docker
        .start_container("barge", None::<StartContainerOptions>)
        .await
        .unwrap();
    let state = docker
        .inspect_container("barge", None::<InspectContainerOptions>)
        .await
        .unwrap()
        .state;
    let status = state.and_then(|state| state.status);
    assert_eq!(status, Some(ContainerStateStatusEnum::RUNNING));

    let exec = CreateExecOptions {
        cmd: Some(vec!["sh", "-c", "cat /etc/hostname; exit 4"]),
        attach_stdout: Some(true),
        ..CreateExecOptions::default()
    };
    let exec = docker.create_exec("barge", exec).await.unwrap().id;
    let StartExecResults::Attached { output, .. } = docker.start_exec(&exec, None).await.unwrap()
    else {
        panic!("it is detached");
    };
    let said: Vec<String> = output.map(|part| part.unwrap().to_string()).collect().await;
    assert_eq!(said.concat().trim_end(), &id[..12]);
    let code = docker.inspect_exec(&exec).await.unwrap().exit_code;
    assert_eq!(code, Some(4));

    archives(&docker).await;

    docker
        .kill_container("barge", None::<KillContainerOptions>)
        .await
        .unwrap();
    let waited = docker
        .wait_container("barge", None::<WaitContainerOptions>)
        .next()
        .await
        .unwrap();
    // The library makes an error of every code but 0.
    let Err(bollard::errors::Error::DockerContainerWaitError { code, .. }) = waited else {
        panic!("{waited:?}");
    };
    assert_eq!(code, 137);
    let all = LogsOptionsBuilder::new().stdout(true).stderr(true).build();
    let logs: Vec<_> = docker.logs("barge", Some(all)).collect().await;
    let logs: Vec<LogOutput> = logs.into_iter().map(Result::unwrap).collect();
    let out = LogOutput::StdOut {
        message: "out\n".into(),
    };
    let err = LogOutput::StdErr {
        message: "err\n".into(),
    };
    assert!(
        logs.len() == 2 && logs.contains(&out) && logs.contains(&err),
        "{logs:?}"
    );

    let forced = RemoveContainerOptionsBuilder::new().force(true).build();
    docker
        .remove_container("barge", Some(forced))
        .await
        .unwrap();
    let past = EventsOptionsBuilder::new().since("0").until(&now()).build();
    let happened: Vec<String> = docker
        .events(Some(past))
        .map(Result::unwrap)
        .filter(|event| std::future::ready(event.typ == Some(EventMessageTypeEnum::CONTAINER)))
        .filter_map(|event| std::future::ready(event.action))
        .collect()
        .await;
    for action in ["create", "start", "die", "destroy"] {
        assert!(
            happened.iter().any(|a| a == action),
            "{action}: {happened:?}"
        );
    }
}

/// A file goes in and comes out.
async fn archives(docker: &Docker) {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(6);
    header.set_mode(0o644);
    tar.append_data(&mut header, "note", &b"by tar"[..])
        .unwrap();
    let bytes = tar.into_inner().unwrap();
    let into = UploadToContainerOptionsBuilder::new().path("/tmp").build();
    let body = bollard::body_full(bytes.into());
    docker
        .upload_to_container("barge", Some(into), body)
        .await
        .unwrap();
    let from = DownloadFromContainerOptionsBuilder::new()
        .path("/tmp/note")
        .build();
    let parts: Vec<_> = docker
        .download_from_container("barge", Some(from))
        .collect()
        .await;
    let bytes: Vec<u8> = parts.into_iter().flat_map(|part| part.unwrap()).collect();
    let mut archive = tar::Archive::new(&bytes[..]);
    let mut entry = archive.entries().unwrap().next().unwrap().unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut entry, &mut text).unwrap();
    assert_eq!(text, "by tar");
}

/// Seconds of Unix time, one later: all that has happened is before.
fn now() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    (now.unwrap().as_secs() + 1).to_string()
}
