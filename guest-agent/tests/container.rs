//! A whole agent over socket pairs, with real processes in real namespaces: only the machine is a
//! folder instead of a VM. Needs root and busybox.

mod folder;
mod host;

use std::time::Duration;

use hull_protocol::agent::{
    Answer, Call, ErrorKind, ProcessId, ProvidedFile, Stdio, TerminalSize, User,
};
use hull_protocol::stream::Output;
use serde_json::json;

use folder::Machine;
use host::{Host, Seen, exec, spec};

#[test]
fn a_process_runs_as_pid_1_and_its_streams_and_status_come_back() {
    let machine = Machine::new();
    let mut host = Host::new(&machine);
    host.create(spec(&["sh", "-c", "echo out $$; echo err >&2; exit 42"]));
    assert_eq!(host.call(Call::Start), Ok(Answer::Done));
    let exit = host.wait("init").unwrap();
    assert_eq!((exit.code, exit.oom_killed), (42, false));
    assert_eq!(
        host.output("init"),
        Seen {
            stdout: "out 1\n".into(),
            stderr: "err\n".into()
        }
    );
}

#[test]
fn create_does_not_execute_before_start() {
    let machine = Machine::new();
    let mut host = Host::new(&machine);
    host.create(spec(&["sh", "-c", "touch /ran"]));
    assert!(!machine.path("ran").exists());
    host.start();
    assert_eq!(host.wait("init").unwrap().code, 0);
    assert!(machine.path("ran").exists());
    let again = host.call(Call::Start).unwrap_err();
    assert_eq!(again.kind, ErrorKind::State);
}

#[test]
fn the_container_sees_its_own_world() {
    let machine = Machine::new();
    let mut host = Host::new(&machine);
    let script = "hostname; cat /proc/sys/kernel/domainname; pwd; id -u; umask; \
                  ls /dev | tr '\\n' ' '; echo; stat -c '%a %t:%T' /dev/null; \
                  grep ^0:: /proc/self/cgroup; readlink /dev/fd; echo $HOME; cat /etc/hosts; \
                  touch /sys/x 2>/dev/null || echo sys-ro; df -k /dev/shm | tail -1 | \
                  awk '{print $2}'; wc -c </proc/version; ls /sys/firmware | wc -l; \
                  echo 1 2>/dev/null >/proc/sys/vm/swappiness || echo sysctl-ro";
    let mut create = spec(&["sh", "-c", script]);
    let json = json!({
        "hostname": "c0ffee", "domainname": "example",
        "mounts": [{"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
                    "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=1048576"]}],
        "linux": {"maskedPaths": ["/proc/version", "/sys/firmware", "/nosuch"],
                  "readonlyPaths": ["/proc/sys", "/nosuch"]}
    });
    host::merge(&mut create, &json);
    create.files = vec![ProvidedFile {
        path: "/etc/hosts".into(),
        content: "127.0.0.1 me\n".into(),
        mode: 0o644,
    }];
    host.create(create);
    host.start();
    assert_eq!(host.wait("init").unwrap().code, 0);
    let seen = host.output("init");
    let expected = "c0ffee\nexample\n/work\n0\n0022\n\
                    core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom \
                    zero \n666 1:3\n0::/\n/proc/self/fd\n/root\n127.0.0.1 me\nsys-ro\n1024\n0\n0\n\
                    sysctl-ro\n";
    assert_eq!(seen.stdout, expected, "{}", seen.stderr);
    // The working directory was made; the provided file is not in the layer.
    assert!(machine.path("work").is_dir());
    assert_eq!(std::fs::read(machine.path("etc/hosts")).unwrap(), b"");
}

#[test]
fn a_read_only_root_refuses_writes_and_tmpfs_takes_them() {
    let machine = Machine::new();
    let mut host = Host::new(&machine);
    let script = "touch /x 2>&1; touch /t/y && stat -c %a /t; grep ' / ' /proc/mounts | wc -l";
    let mut create = spec(&["sh", "-c", script]);
    host::merge(
        &mut create,
        &json!({"root": {"path": "x", "readonly": true}, "process": {"cwd": "/"}, "mounts": [
            {"destination": "/t", "type": "tmpfs", "options": ["mode=751", "size=1m"]}]}),
    );
    std::fs::create_dir(machine.path("t")).unwrap();
    host.create(create);
    host.start();
    host.wait("init").unwrap();
    let seen = host.output("init");
    assert_eq!(seen.stdout, "touch: /x: Read-only file system\n751\n1\n");
}

#[test]
fn users_and_capabilities_are_those_asked_for() {
    let machine = Machine::new();
    let mut host = Host::new(&machine);
    let script = "id; grep -E 'Cap(Prm|Eff|Bnd|Amb)|NoNewPrivs' /proc/self/status; \
                  echo x >/dev/stdout; ulimit -n";
    let mut create = spec(&["sh", "-c", script]);
    host::merge(
        &mut create,
        &json!({"process": {"noNewPrivileges": true,
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}],
        "capabilities": {
            "bounding": ["CAP_CHOWN", "CAP_KILL"], "effective": ["CAP_CHOWN", "CAP_KILL"],
            "permitted": ["CAP_CHOWN", "CAP_KILL"]}}}),
    );
    create.user = User {
        name: "alice".into(),
        groups: vec!["55".into()],
    };
    host.create(create);
    host.start();
    assert_eq!(host.wait("init").unwrap().code, 0);
    let caps = "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n\
                CapBnd:\t0000000000000021\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\n";
    let seen = host.output("init");
    let expected =
        format!("uid=1000(alice) gid=1000(alice) groups=4(adm),55,1000(alice)\n{caps}x\n100\n");
    assert_eq!(seen.stdout, expected, "{}", seen.stderr);
}

#[test]
fn what_cannot_run_is_refused_in_dockers_words() {
    use ErrorKind::{ProgramDenied, ProgramNotFound};
    let cases = [
        (
            "foo",
            ProgramNotFound,
            "exec: \"foo\": executable file not found in $PATH",
        ),
        (
            "/bin/foo",
            ProgramNotFound,
            "exec: \"/bin/foo\": stat /bin/foo: no such file or directory",
        ),
        (
            "/etc/passwd",
            ProgramDenied,
            "exec: \"/etc/passwd\": permission denied",
        ),
        (
            "/etc",
            ProgramDenied,
            "exec: \"/etc\": is a directory: permission denied",
        ),
    ];
    let machine = Machine::new();
    let mut host = Host::new(&machine);
    for (program, kind, message) in cases {
        let error = host.try_create(spec(&[program])).unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (kind, message));
    }
    let mut create = spec(&["true"]);
    create.user.name = "nosuch".into();
    let error = host.try_create(create).unwrap_err();
    assert_eq!(error.kind, ErrorKind::NoSuchUser);
    assert_eq!(
        error.message,
        "unable to find user nosuch: no matching entries in passwd file"
    );
    let mut create = spec(&["true"]);
    host::merge(&mut create, &json!({"process": {"cwd": "/etc/passwd"}}));
    let error = host.try_create(create).unwrap_err();
    assert_eq!(error.kind, ErrorKind::WorkingDirectory);
    assert_eq!(
        error.message,
        "Cannot mkdir: /etc/passwd is not a directory"
    );

    // After all those failures a container can still be made.
    host.create(spec(&["true"]));
    host.start();
    assert_eq!(host.wait("init").unwrap().code, 0);
}

#[test]
fn a_program_whose_interpreter_is_missing_tells_its_own_stderr() {
    let machine = Machine::new();
    machine.program("hello.sh", "#!/no/such/shell\n");
    let mut host = Host::new(&machine);
    host.create(spec(&["/hello.sh"]));
    host.start();
    assert_eq!(host.wait("init").unwrap().code, 255);
    let seen = host.output("init");
    assert_eq!(seen.stderr, "exec /hello.sh: no such file or directory\n");
}

#[test]
fn stdin_reaches_the_process_and_its_end_is_explicit() {
    let machine = Machine::new();
    let mut host = Host::new(&machine);
    let mut create = spec(&["sh", "-c", "cat; echo over"]);
    create.stdio.stdin = true;
    host.create(create);
    host.start();
    let first = host.open_stdin("init");
    first.send(b"one ");
    let mut reader = host.open_output("init", 0).unwrap();
    assert_eq!(reader.record().unwrap().1, b"one ");
    // A connection that just closes leaves the input open.
    drop(first);
    let second = host.open_stdin("init");
    let big = vec![b'x'; 300_000];
    let seen = std::thread::scope(|scope| {
        let seen = scope.spawn(|| host.output("init"));
        second.send(&big);
        second.end();
        seen.join().unwrap()
    });
    assert_eq!(host.wait("init").unwrap().code, 0);
    assert_eq!(seen.stdout.len(), 4 + big.len() + 5);
    assert!(seen.stdout.starts_with("one xxx") && seen.stdout.ends_with("xover\n"));
}

#[test]
fn without_stdin_the_process_reads_nothing() {
    let machine = Machine::new();
    let mut host = Host::new(&machine);
    host.create(spec(&["sh", "-c", "cat; readlink /proc/self/fd/0"]));
    host.start();
    assert_eq!(host.output("init").stdout, "/dev/null\n");
    let refused = host.try_open_stdin("init").map(drop).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::State);
}

#[test]
fn a_full_journal_blocks_the_process_until_the_host_has_stored() {
    let machine = Machine::new();
    let mut host = Host::new(&machine);
    let script = "dd if=/dev/zero bs=64k count=64 2>/dev/null | tr '\\0' a; touch /done";
    host.create(spec(&["sh", "-c", script]));
    host.start();
    // The reader takes all it is given and acknowledges nothing: the journal fills.
    let mut reader = host.open_output("init", 0).unwrap();
    let mut got = 0;
    while got < 250 << 10 {
        got += reader.record().unwrap().1.len() as u64;
    }
    assert!(!machine.path("done").exists());
    // A second reader takes over where the first had stored to, and the first is cut off.
    let mut second = host.open_output("init", got).unwrap();
    while reader.record().is_some() {}
    let mut offset = got;
    loop {
        let (header, bytes) = second.record().unwrap();
        assert_eq!(header.offset, offset);
        if header.output == Output::End {
            break;
        }
        assert!(bytes.iter().all(|b| *b == b'a'));
        offset += bytes.len() as u64;
        second.ack(offset);
    }
    assert_eq!(offset, 4 << 20);
    assert_eq!(host.wait("init").unwrap().code, 0);
    assert!(machine.path("done").exists());
    // What was acknowledged is gone.
    let error = host.open_output("init", 0).map(drop).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
}

#[test]
fn a_terminal_is_the_containers_own_and_can_be_resized() {
    let machine = Machine::new();
    let mut host = Host::new(&machine);
    let script = "tty; stty size; ls /dev/pts; ls -l /dev/console | cut -c1; read a; stty size; \
                  echo got $a; echo e >&2";
    let mut create = spec(&["sh", "-c", script]);
    create.stdio = Stdio {
        stdin: true,
        terminal: Some(TerminalSize {
            rows: 24,
            columns: 80,
        }),
    };
    host.create(create);
    host.start();
    let size = TerminalSize {
        rows: 50,
        columns: 132,
    };
    let process = ProcessId::init();
    let mut reader = host.open_output("init", 0).unwrap();
    let mut text = String::new();
    while !text.contains("c\r\n") {
        text += &String::from_utf8(reader.record().unwrap().1).unwrap();
    }
    assert_eq!(text, "/dev/pts/0\r\n24 80\r\n0     ptmx\r\nc\r\n");
    assert_eq!(host.call(Call::Resize { process, size }), Ok(Answer::Done));
    host.open_stdin("init").send(b"hi\n");
    assert_eq!(host.wait("init").unwrap().code, 0);
    let rest = host.output_from("init", text.len() as u64);
    assert_eq!(rest.stdout, "hi\r\n50 132\r\ngot hi\r\ne\r\n");
    assert_eq!(rest.stderr, "");
}

#[test]
fn pid_1_ignores_sigterm_and_not_sigkill() {
    let machine = Machine::new();
    let mut host = Host::new(&machine);
    host.create(spec(&["sleep", "1000"]));
    host.start();
    host.signal("init", libc::SIGTERM).unwrap();
    let still = host.call_within(
        Call::Wait {
            process: ProcessId::init(),
        },
        Duration::from_millis(100),
    );
    assert_eq!(still.unwrap_err().kind, ErrorKind::Deadline);
    host.signal("init", libc::SIGKILL).unwrap();
    assert_eq!(host.wait("init").unwrap().code, 137);
    let gone = host.signal("init", libc::SIGKILL).unwrap_err();
    assert_eq!(gone.kind, ErrorKind::NoSuchProcess);
    assert_eq!(
        host.signal("init", 65).unwrap_err().kind,
        ErrorKind::Invalid
    );
}

#[test]
fn an_init_passes_signals_on_and_ends_as_its_child() {
    let machine = Machine::new();
    let mut host = Host::new(&machine);
    let script = "trap 'exit 7' TERM; echo $$; (sleep 0.01 &); while :; do sleep 0.01; done";
    let mut create = spec(&["sh", "-c", script]);
    create.init = true;
    host.create(create);
    host.start();
    let mut reader = host.open_output("init", 0).unwrap();
    assert_eq!(reader.record().unwrap().1, b"2\n");
    host.signal("init", libc::SIGTERM).unwrap();
    assert_eq!(host.wait("init").unwrap().code, 7);

    let machine = Machine::new();
    let mut host = Host::new(&machine);
    let mut create = spec(&["sleep", "1000"]);
    create.init = true;
    host.create(create);
    host.start();
    host.signal("init", libc::SIGTERM).unwrap();
    assert_eq!(host.wait("init").unwrap().code, 143);
}

#[test]
fn execs_join_the_container_and_die_with_it() {
    let machine = Machine::new();
    let mut host = Host::new(&machine);
    let mut create = spec(&["sleep", "1000"]);
    host::merge(&mut create, &json!({"hostname": "joined"}));
    host.create(create);
    let early = host.exec(exec("early", &["true"])).unwrap_err();
    assert_eq!(early.kind, ErrorKind::State);
    host.start();

    host.exec(exec(
        "a",
        &[
            "sh",
            "-c",
            "hostname; pwd; echo $HOME; cat /proc/1/comm; exit 3",
        ],
    ))
    .unwrap();
    assert_eq!(host.wait("a").unwrap().code, 3);
    assert_eq!(host.output("a").stdout, "joined\n/\n/root\nsleep\n");

    let mut as_alice = exec("alice", &["sh", "-c", "id -un; stty size"]);
    as_alice.user.name = "alice".into();
    as_alice.stdio.terminal = Some(TerminalSize {
        rows: 5,
        columns: 6,
    });
    host.exec(as_alice).unwrap();
    host.wait("alice").unwrap();
    assert_eq!(host.output("alice").stdout, "alice\r\n5 6\r\n");

    let twice = host.exec(exec("a", &["true"])).unwrap_err();
    assert_eq!(twice.kind, ErrorKind::Invalid);
    let missing = host.exec(exec("b", &["/bin/nosuch"])).unwrap_err();
    assert_eq!(missing.kind, ErrorKind::ProgramNotFound);
    let mut lost = exec("c", &["true"]);
    lost.cwd = "/nosuch".into();
    let lost = host.exec(lost).unwrap_err();
    assert_eq!(lost.kind, ErrorKind::WorkingDirectory);
    assert_eq!(
        lost.message,
        "chdir to cwd (\"/nosuch\") set in config.json failed: no such file or directory"
    );

    host.exec(exec("long", &["sleep", "1000"])).unwrap();
    let Ok(Answer::Processes { list }) = host.call(Call::Processes) else {
        panic!("no list");
    };
    let seen: Vec<_> = list
        .iter()
        .map(|p| (p.pid, p.parent, p.command.as_str()))
        .collect();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0], (1, 0, "sleep 1000"));
    assert_eq!((seen[1].1, seen[1].2), (0, "sleep 1000"));
    let Ok(Answer::Stats(stats)) = host.call(Call::Stats) else {
        panic!("no figures");
    };
    assert!(stats.cpu.usage_us > 0, "{stats:?}");

    host.signal("init", libc::SIGKILL).unwrap();
    assert_eq!(host.wait("long").unwrap().code, 137);
    assert_eq!(host.wait("init").unwrap().code, 137);
    let late = host.exec(exec("late", &["true"])).unwrap_err();
    assert_eq!(late.kind, ErrorKind::State);

    let process = ProcessId("a".into());
    assert_eq!(host.call(Call::Forget { process }), Ok(Answer::Done));
    assert_eq!(host.wait("a").unwrap_err().kind, ErrorKind::NoSuchProcess);
}

#[test]
fn an_execs_background_child_does_not_hold_up_its_end_for_ever() {
    let machine = Machine::new();
    let mut host = Host::new(&machine);
    host.create(spec(&["sleep", "1000"]));
    host.start();
    host.exec(exec("bg", &["sh", "-c", "echo hi; sleep 1000 &"]))
        .unwrap();
    assert_eq!(host.wait("bg").unwrap().code, 0);
    assert_eq!(host.output("bg").stdout, "hi\n");
}

#[test]
fn output_of_grandchildren_ends_with_pid_1() {
    let machine = Machine::new();
    let mut host = Host::new(&machine);
    host.create(spec(&["sh", "-c", "(sleep 1000; echo never) & echo first"]));
    host.start();
    assert_eq!(host.output("init").stdout, "first\n");
    assert_eq!(host.wait("init").unwrap().code, 0);
}

#[test]
fn shutdown_kills_what_runs_answers_and_powers_off() {
    let machine = Machine::new();
    let mut host = Host::new(&machine);
    host.create(spec(&["sh", "-c", "while :; do echo y; done"]));
    host.start();
    assert_eq!(host.call(Call::Shutdown), Ok(Answer::Done));
    machine.wait_for_power_off();
    assert_eq!(machine.flushed(), 1);
}

#[test]
fn requests_out_of_order_are_refused() {
    let machine = Machine::new();
    let mut host = Host::silent(&machine);
    let early = host.call(Call::Processes).unwrap_err();
    assert_eq!(early.kind, ErrorKind::Version);
    let wrong = host.call(Call::Hello {
        version: 999,
        time: 0,
        seed: vec![],
    });
    assert_eq!(wrong.unwrap_err().kind, ErrorKind::Version);
    host.hello();
    assert_eq!(host.call(Call::Start).unwrap_err().kind, ErrorKind::State);
    assert_eq!(
        host.wait("init").unwrap_err().kind,
        ErrorKind::NoSuchProcess
    );
    host.create(spec(&["true"]));
    let twice = host.try_create(spec(&["true"])).unwrap_err();
    assert_eq!(twice.kind, ErrorKind::State);
}
