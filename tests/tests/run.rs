//! `hull run` and what comes with it.

use hull_tests::Daemon;

#[test]
fn hello_world_comes_from_pid_1_of_another_kernel() {
    let hull = Daemon::with_busybox();
    hull.hull(["run", "--rm", "busybox", "echo", "hello world"])
        .expect(0, "hello world\n");
    let release = hull.hull(["run", "--rm", "busybox", "uname", "-r"]);
    let host = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    assert_ne!(release.ok(), host);
    hull.hull(["run", "--rm", "busybox", "sh", "-c", "echo $$"])
        .expect(0, "1\n");
    assert_eq!(hull.hull(["ps", "-aq"]).ok(), "", "--rm removed them");
}

#[test]
fn exit_codes_pass() {
    let hull = Daemon::with_busybox();
    let code = |arguments: &[&str]| {
        let all = ["run", "--rm", "busybox"].iter().chain(arguments);
        hull.hull(all.copied()).code
    };
    assert_eq!(code(&["true"]), 0);
    assert_eq!(code(&["sh", "-c", "exit 42"]), 42);
    assert_eq!(
        code(&["sh", "-c", "kill -9 $$; sleep 1; exit 3"]),
        3,
        "PID 1 ignores its own kill"
    );
    let missing = hull.hull(["run", "--rm", "busybox", "nosuch"]);
    missing.fails(127, "executable file not found in $PATH");
    let folder = hull.hull(["run", "--rm", "busybox", "/etc"]);
    folder.fails(126, "permission denied");
    hull.hull(["run", "--nosuch", "busybox"])
        .fails(125, "unknown flag: --nosuch");
}

#[test]
fn stdout_and_stderr_stay_apart_and_stdin_passes() {
    let hull = Daemon::with_busybox();
    let both = hull.hull([
        "run",
        "--rm",
        "busybox",
        "sh",
        "-c",
        "echo out; echo err >&2",
    ]);
    assert_eq!(
        (both.stdout.as_str(), both.stderr.as_str()),
        ("out\n", "err\n")
    );
    let cat = hull.hull_with(["run", "--rm", "-i", "busybox", "cat"], b"through a VM\n");
    cat.expect(0, "through a VM\n");
    let deaf = hull.hull_with(["run", "--rm", "busybox", "cat"], b"not attached\n");
    deaf.expect(0, "");
    let big = vec![b'x'; 300_000];
    let count = hull.hull_with(["run", "--rm", "-i", "busybox", "wc", "-c"], &big);
    count.expect(0, "300000\n");
}

#[test]
fn environment_folder_user_name_and_entrypoint() {
    let hull = Daemon::with_busybox();
    let run = |arguments: &[&str]| {
        let all = ["run", "--rm"].iter().chain(arguments);
        hull.hull(all.copied()).ok().to_owned()
    };
    let env = run(&["-e", "COLOUR=blue", "busybox", "env"]);
    assert!(env.lines().any(|l| l == "COLOUR=blue"), "{env}");
    assert!(env.lines().any(|l| l.starts_with("PATH=")), "{env}");
    assert!(env.lines().any(|l| l == "HOME=/root"), "{env}");
    assert_eq!(run(&["-w", "/tmp", "busybox", "pwd"]), "/tmp");
    assert_eq!(run(&["-u", "nobody", "busybox", "whoami"]), "nobody");
    assert_eq!(
        run(&["-u", "1234:56", "busybox", "sh", "-c", "id -u; id -g"]),
        "1234\n56"
    );
    assert_eq!(run(&["--hostname", "boat", "busybox", "hostname"]), "boat");
    assert_eq!(
        run(&["--entrypoint", "echo", "busybox", "entered"]),
        "entered"
    );
    let named = hull.hull(["run", "--name", "dinghy", "busybox", "true"]);
    assert_eq!(named.code, 0, "{named}");
    let again = hull.hull(["run", "--name", "dinghy", "busybox", "true"]);
    again.fails(
        125,
        "The container name \"/dinghy\" is already in use by container",
    );
}

#[test]
fn a_profile_forbids_calls_and_a_filesystem_in_memory_is_as_asked() {
    let hull = Daemon::with_busybox();
    let folder = tempfile::tempdir().unwrap();
    let profile = folder.path().join("no-folders.json");
    let text = r#"{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        { "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 30 },
        { "names": ["chmod", "fchmodat"], "action": "SCMP_ACT_ERRNO",
          "excludes": { "caps": ["CAP_CHOWN"] } } ] }"#;
    std::fs::write(&profile, text).unwrap();
    let security = format!("seccomp={}", profile.display());
    let mount = "type=tmpfs,target=/cache,tmpfs-size=1m,tmpfs-mode=0710";
    let script = "mkdir /x; chmod 700 /root && grep Seccomp: /proc/self/status; stat -c %a /cache; \
                  head -c 2000000 /dev/zero > /cache/big; wc -c < /cache/big";
    let mut words = vec!["run", "--rm", "--security-opt", &security, "--mount", mount];
    words.extend(["busybox", "sh", "-c", script]);
    let out = hull.hull(words);
    assert_eq!(out.stdout, "Seccomp:\t2\n710\n1048576\n", "{out}");
    assert!(out.stderr.contains("Read-only file system"), "{out}");
}

#[test]
fn a_file_written_in_one_container_is_not_in_the_next() {
    let hull = Daemon::with_busybox();
    let write = "echo mine > /etc/note && cat /etc/note";
    hull.hull(["run", "--rm", "busybox", "sh", "-c", write])
        .expect(0, "mine\n");
    let read = hull.hull(["run", "--rm", "busybox", "cat", "/etc/note"]);
    assert_eq!(read.code, 1, "{read}");
}

#[test]
fn a_detached_container_can_be_looked_at_stopped_and_removed() {
    let hull = Daemon::with_busybox();
    let script = "trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.1; done";
    let id = hull.hull(["run", "-d", "--name", "raft", "busybox", "sh", "-c", script]);
    let id = id.ok().to_owned();
    assert_eq!(id.len(), 64);
    hull_tests::eventually("it is up", || hull.hull(["logs", "raft"]).stdout == "up\n");
    let table = hull.hull(["ps"]);
    assert!(
        table.ok().contains("raft") && table.stdout.contains(&id[..12]),
        "{table}"
    );
    let inside = hull.hull(["exec", "raft", "sh", "-c", "hostname; exit 5"]);
    inside.expect(5, &format!("{}\n", &id[..12]));
    hull.hull(["exec", "raft", "nosuch"])
        .fails(127, "executable file not found in $PATH");
    hull.hull(["rm", "raft"])
        .fails(1, "cannot remove container");
    assert_eq!(hull.hull(["stop", "raft"]).ok(), "raft");
    let state = hull.hull([
        "inspect",
        "-f",
        "{{.State.Status}} {{.State.ExitCode}}",
        "raft",
    ]);
    assert_eq!(state.ok(), "exited 7");
    assert_eq!(hull.hull(["logs", "raft"]).ok(), "up\nbye");
    assert_eq!(hull.hull(["start", "raft"]).ok(), "raft");
    assert_eq!(hull.hull(["kill", "raft"]).ok(), "raft");
    assert_eq!(hull.hull(["wait", "raft"]).ok(), "137");
    assert_eq!(hull.hull(["rm", "-f", "raft"]).ok(), "raft");
}

#[test]
fn logs_can_be_followed_to_the_end() {
    let hull = Daemon::with_busybox();
    let script = "for i in 1 2 3 4 5; do echo $i; sleep 0.2; done";
    hull.hull([
        "run", "-d", "--name", "clock", "busybox", "sh", "-c", script,
    ])
    .ok();
    hull.hull(["logs", "-f", "clock"])
        .expect(0, "1\n2\n3\n4\n5\n");
    hull.hull(["logs", "--tail", "2", "clock"])
        .expect(0, "4\n5\n");
}
