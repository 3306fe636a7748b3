//! Command lines and the requests that are made of them.

use clap::FromArgMatches;
use serde_json::{Value, json};

use super::*;
use crate::args::{self, Cli, OfContainer, Verb};

/// The flags of `create`, which are those of `run` but for the streams.
fn flags(line: &[&str]) -> Flags {
    let words = ["hull", "create"].iter().chain(line);
    let matches = args::command()
        .try_get_matches_from(words)
        .expect("a command line");
    match Cli::from_arg_matches(&matches).expect("its arguments").verb {
        Verb::OfContainer(OfContainer::Create(args)) => args.into_flags(),
        other => panic!("not a create: {other:?}"),
    }
}

fn body(line: &[&str]) -> Value {
    let lookup = |name: &str| (name == "OURS").then(|| "here".to_owned());
    let body = resolve(&flags(line), &lookup).expect("a request");
    serde_json::to_value(body).expect("JSON")
}

/// Checks that `expected` is what `line` adds to a plain request.
fn check(line: &[&str], expected: &Value) {
    let words: Vec<&str> = line.iter().copied().chain(["busybox"]).collect();
    let (plain, mut got) = (body(&["busybox"]), body(&words));
    let mut trim = |path: &str| {
        let base = plain
            .pointer(path)
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        if let Some(object) = got.pointer_mut(path).and_then(Value::as_object_mut) {
            object.retain(|key, value| base.get(key) != Some(value));
        }
    };
    trim("/HostConfig");
    trim("");
    assert_eq!(&got, expected, "{line:?}");
}

#[test]
fn a_plain_request_is_dockers() {
    let expected = json!({
        "Image": "busybox", "Cmd": ["echo", "-n", "--rm"], "Tty": false,
        "AttachStdin": false, "AttachStdout": true, "AttachStderr": true,
        "OpenStdin": false, "StdinOnce": false, "Labels": {},
        "HostConfig": {
            "NetworkMode": "default", "AutoRemove": false, "Privileged": false,
            "ReadonlyRootfs": false, "PortBindings": {}, "Devices": [], "Ulimits": [],
            "Dns": [], "DnsOptions": [], "DnsSearch": [], "BlkioWeightDevice": [],
            "BlkioDeviceReadBps": [], "BlkioDeviceWriteBps": [],
            "BlkioDeviceReadIOps": [], "BlkioDeviceWriteIOps": [],
            "RestartPolicy": { "Name": "no", "MaximumRetryCount": 0 },
        },
    });
    // What follows the image is the container's, whatever it looks like.
    assert_eq!(body(&["busybox", "echo", "-n", "--rm"]), expected);
}

#[test]
fn each_flag_has_its_place_in_the_request() {
    for (line, expected) in [
        (
            &["-i"][..],
            json!({ "AttachStdin": true, "OpenStdin": true, "StdinOnce": true }),
        ),
        (
            &["-it"],
            json!({ "AttachStdin": true, "OpenStdin": true, "StdinOnce": true, "Tty": true }),
        ),
        (&["-ti=false"], json!({ "Tty": true })),
        (
            &["-a", "stdin"],
            json!({ "AttachStdin": true, "AttachStdout": false, "AttachStderr": false }),
        ),
        (&["--attach=STDERR"], json!({ "AttachStdout": false })),
        (
            &["-e", "A=1", "--env=OURS", "-e", "GONE"],
            json!({ "Env": ["A=1", "OURS=here"] }),
        ),
        (
            &["-w", "/tmp", "-u", "5:6", "-h", "web"],
            json!({ "WorkingDir": "/tmp", "User": "5:6", "Hostname": "web" }),
        ),
        (&["--entrypoint", "sh"], json!({ "Entrypoint": ["sh"] })),
        (&["--entrypoint="], json!({ "Entrypoint": [""] })),
        (
            &["-l", "a=1", "--label", "b"],
            json!({ "Labels": { "a": "1", "b": "" } }),
        ),
        (
            &["--stop-signal", "INT", "--stop-timeout", "-1"],
            json!({ "StopSignal": "INT", "StopTimeout": -1 }),
        ),
        (
            &["--expose", "80-81", "--expose=53/udp"],
            json!({ "ExposedPorts": { "80/tcp": {}, "81/tcp": {}, "53/udp": {} } }),
        ),
        (
            &["--no-healthcheck"],
            json!({ "Healthcheck": { "Test": ["NONE"] } }),
        ),
        (
            &[
                "--health-cmd",
                "true",
                "--health-interval",
                "1m30s",
                "--health-retries=3",
            ],
            json!({ "Healthcheck": { "Test": ["CMD-SHELL", "true"], "Interval": 90_000_000_000_i64, "Retries": 3 } }),
        ),
    ] {
        let mut expected = expected;
        expected["HostConfig"] = json!({});
        check(line, &expected);
    }
}

#[test]
fn each_host_flag_has_its_place_in_the_request() {
    for (line, expected) in [
        (&["--rm"][..], json!({ "AutoRemove": true })),
        (&["--rm=false"], json!({})),
        (&["--rm", "--rm=0"], json!({})),
        (
            &["--restart", "on-failure:3"],
            json!({ "RestartPolicy": { "Name": "on-failure", "MaximumRetryCount": 3 } }),
        ),
        (&["--init"], json!({ "Init": true })),
        (&["--init=false"], json!({ "Init": false })),
        (
            &["--privileged", "--read-only"],
            json!({ "Privileged": true, "ReadonlyRootfs": true }),
        ),
        (&["--network", "none"], json!({ "NetworkMode": "none" })),
        (
            &["--net=default", "--network=none"],
            json!({ "NetworkMode": "none" }),
        ),
        (
            &["--cap-add", "NET_ADMIN", "--cap-drop=ALL"],
            json!({ "CapAdd": ["NET_ADMIN"], "CapDrop": ["ALL"] }),
        ),
        (
            &["--security-opt", "no-new-privileges"],
            json!({ "SecurityOpt": ["no-new-privileges"] }),
        ),
        (
            &["--security-opt", "systempaths=unconfined"],
            json!({ "MaskedPaths": [], "ReadonlyPaths": [] }),
        ),
        (
            &["-m", "32m", "--memory-swap", "-1"],
            json!({ "Memory": 33_554_432, "MemorySwap": -1 }),
        ),
        (
            &["--cpus", "0.5", "-c", "512"],
            json!({ "NanoCpus": 500_000_000, "CpuShares": 512 }),
        ),
        (&["--pids-limit", "-1"], json!({ "PidsLimit": -1 })),
        (
            &["--tmpfs", "/t", "--tmpfs=/u:size=1m,ro"],
            json!({ "Tmpfs": { "/t": "", "/u": "size=1m,ro" } }),
        ),
        (
            &["--ulimit", "nofile=1:2"],
            json!({ "Ulimits": [{ "Name": "nofile", "Soft": 1, "Hard": 2 }] }),
        ),
        (
            &["--add-host", "db:10.0.0.1"],
            json!({ "ExtraHosts": ["db:10.0.0.1"] }),
        ),
        (
            &["--group-add", "5", "--group-add=wheel"],
            json!({ "GroupAdd": ["5", "wheel"] }),
        ),
        (&["--sysctl", "a.b=1"], json!({ "Sysctls": { "a.b": "1" } })),
        (&["--shm-size", "64m"], json!({ "ShmSize": 67_108_864 })),
        (
            &["--log-driver", "local", "--log-opt", "a=b"],
            json!({ "LogConfig": { "Type": "local", "Config": { "a": "b" } } }),
        ),
        (
            &["--storage-opt", "size=1G"],
            json!({ "StorageOpt": { "size": "1G" } }),
        ),
        (&["--cidfile", "/x"], json!({ "ContainerIDFile": "/x" })),
        (
            &["--dns", "1.1.1.1", "--dns-search=x"],
            json!({ "Dns": ["1.1.1.1"], "DnsSearch": ["x"] }),
        ),
        (
            &["--oom-kill-disable", "--oom-score-adj", "-5"],
            json!({ "OomKillDisable": true, "OomScoreAdj": -5 }),
        ),
        (
            &["--cgroupns", "private"],
            json!({ "CgroupnsMode": "private" }),
        ),
    ] {
        check(line, &json!({ "HostConfig": expected }));
    }
}

#[test]
fn contradictions_and_what_cannot_be_done_are_refused() {
    let refused = |line: &[&str]| {
        let words: Vec<&str> = line.iter().copied().chain(["busybox"]).collect();
        resolve(&flags(&words), &|_| None)
            .expect_err("refused")
            .to_string()
    };
    for (line, expected) in [
        (
            &["--rm", "--restart=always"][..],
            "conflicting options: cannot specify both --restart and --rm",
        ),
        (
            &["--restart", "x"],
            "invalid restart policy: unknown policy 'x'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
        ),
        (
            &["--no-healthcheck", "--health-cmd=x"],
            "--no-healthcheck conflicts with --health-* options",
        ),
        (&["--log-opt", "x"], "invalid logging opts format: x"),
        (
            &["--security-opt", "foo"],
            "Invalid --security-opt: \"foo\"",
        ),
        (
            &["--network", "mine"],
            "--network is not supported by Hull yet: containers have the default network or none",
        ),
        (
            &["--env-file", "/nosuch"],
            "open /nosuch: no such file or directory",
        ),
    ] {
        assert_eq!(refused(line), expected, "{line:?}");
    }
    let error = pull(&flags(&["--pull", "x", "busybox"]))
        .expect_err("refused")
        .to_string();
    assert_eq!(
        error,
        "invalid pull option: 'x': must be one of \"always\", \"missing\" or \"never\""
    );
}
