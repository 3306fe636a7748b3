//! Golden frames: the wire form of every message is written down in `testdata/`, so a change of
//! it is a change of a reviewed file. `UPDATE_GOLDEN=1` rewrites them.

use super::*;
use crate::frame;

fn check<T>(name: &str, message: &T)
where
    T: Serialize + serde::de::DeserializeOwned + PartialEq + fmt::Debug,
{
    let path = format!("{}/testdata/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let wire = frame::encode(message).unwrap();
    let mut text = String::from_utf8(wire[4..].to_vec()).unwrap();
    text.push('\n');
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, golden, "{name}");

    let mut decoder = frame::Decoder::default();
    decoder.push(&wire);
    assert_eq!(decoder.take::<T>().unwrap().as_ref(), Some(message));
}

/// A small specification. Capabilities are a set without an order, so a golden holds one of each.
fn spec() -> Spec {
    serde_json::from_value(serde_json::json!({
        "ociVersion": "1.2.0",
        "root": { "path": "rootfs", "readonly": true },
        "hostname": "c0ffee",
        "process": {
            "terminal": true,
            "user": { "uid": 0, "gid": 0 },
            "args": ["echo", "hello"],
            "env": ["PATH=/bin"],
            "cwd": "/",
            "capabilities": { "bounding": ["CAP_CHOWN"] },
            "rlimits": [{ "type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024 }],
            "noNewPrivileges": true
        }
    }))
    .unwrap()
}

fn request(call: Call) -> Request {
    Request {
        id: 7,
        deadline_ms: Some(5000),
        call,
    }
}

fn reply(answer: Answer) -> Reply {
    Reply {
        id: 7,
        result: Ok(answer),
    }
}

#[test]
fn requests() {
    check(
        "hello",
        &request(Call::Hello {
            version: 1,
            time: 1,
            seed: vec![0, 255],
        }),
    );
    check(
        "create",
        &request(Call::Create(Box::new(Create {
            root: RootFs {
                layers: 2,
                scratch: Some("/dev/vda".into()),
            },
            spec: spec(),
            user: User {
                name: "www-data".into(),
                groups: vec!["adm".into()],
            },
            stdio: Stdio {
                stdin: true,
                terminal: Some(TerminalSize {
                    rows: 24,
                    columns: 80,
                }),
            },
            init: false,
            files: vec![ProvidedFile {
                path: "/etc/hostname".into(),
                content: "c0ffee\n".into(),
                mode: 0o644,
            }],
        }))),
    );
    check(
        "mount",
        &request(Call::Mount(RootFs {
            layers: 3,
            scratch: Some("/dev/vda".into()),
        })),
    );
    check(
        "start",
        &Request {
            id: 1,
            deadline_ms: None,
            call: Call::Start,
        },
    );
    check(
        "exec",
        &request(Call::Exec(Box::new(Exec {
            process: ProcessId("e1".into()),
            args: vec!["sh".into(), "-c".into(), "exit 3".into()],
            env: vec!["PATH=/bin".into()],
            cwd: "/".into(),
            user: User::default(),
            stdio: Stdio::default(),
            privileged: false,
        }))),
    );
    check(
        "signal",
        &request(Call::Signal {
            process: ProcessId::init(),
            signal: 15,
        }),
    );
    check(
        "resize",
        &request(Call::Resize {
            process: ProcessId::init(),
            size: TerminalSize {
                rows: 1,
                columns: 2,
            },
        }),
    );
    check(
        "wait",
        &request(Call::Wait {
            process: ProcessId::init(),
        }),
    );
    check(
        "forget",
        &request(Call::Forget {
            process: ProcessId("e1".into()),
        }),
    );
    check("processes", &request(Call::Processes));
    check("stats", &request(Call::Stats));
    check(
        "limit",
        &request(Call::Limit(Limits {
            memory: Some(64 << 20),
            pids: Some(-1),
        })),
    );
    check("shutdown", &request(Call::Shutdown));
}

#[test]
fn replies() {
    check("done", &reply(Answer::Done));
    check(
        "hello-reply",
        &reply(Answer::Hello {
            version: 1,
            kernel: "6.12.0".into(),
        }),
    );
    check("created", &reply(Answer::Created { pid: 42 }));
    check(
        "exited",
        &reply(Answer::Exited(Exit {
            code: 137,
            oom_killed: true,
            time: 9,
        })),
    );
    let entry = ProcessEntry {
        pid: 1,
        parent: 0,
        group: 1,
        session: 1,
        uid: 0,
        cpu_ms: 12,
        started: 3,
        tty: "?".into(),
        state: "S".into(),
        priority: 20,
        nice: 0,
        threads: 1,
        virtual_kb: 4400,
        resident_kb: 800,
        name: "sleep".into(),
        command: "sleep 1".into(),
    };
    check(
        "process-list",
        &reply(Answer::Processes { list: vec![entry] }),
    );
    let stats = Stats {
        cpu: CpuStats {
            usage_us: 5,
            user_us: 3,
            system_us: 2,
        },
        memory: MemoryStats {
            usage: 4096,
            stat: [("anon".to_owned(), 4096)].into(),
        },
        pids: PidsStats { current: 1 },
        io: vec![IoStats {
            major: 254,
            minor: 0,
            read_bytes: 512,
            write_bytes: 0,
            reads: 1,
            writes: 0,
        }],
    };
    check("stats-reply", &reply(Answer::Stats(Box::new(stats))));
    let error = AgentError {
        kind: ErrorKind::ProgramNotFound,
        message: "exec: \"x\"".into(),
    };
    check(
        "error",
        &Reply {
            id: 7,
            result: Err(error),
        },
    );
}

#[test]
fn files() {
    use crate::files::{Closed, Open, Opened, PathStat, Replace};
    let path = "/etc".to_owned();
    check("files-stat", &Open::Stat { path: path.clone() });
    check("files-read", &Open::Read { path: path.clone() });
    check(
        "files-write",
        &Open::Write {
            path,
            replace: Replace::LikeWithLike,
            owner: Some("www-data".into()),
        },
    );
    check("files-export", &Open::Export);
    check("files-changes", &Open::Changes);
    check("files-layer", &Open::Layer { freeze: true });
    let opened: Opened = Ok(Some(PathStat {
        name: "etc".into(),
        size: 4096,
        mode: 0o40755,
        mtime: -1,
        link_target: String::new(),
    }));
    check("files-opened", &opened);
    let closed: Closed = Err(AgentError {
        kind: ErrorKind::NoSuchPath,
        message: "no such file or directory: /x".into(),
    });
    check("files-closed", &closed);
}

#[test]
fn streams() {
    use crate::stream::{Channel, Open, Opened};
    check(
        "open-stdin",
        &Open {
            process: ProcessId::init(),
            channel: Channel::Stdin,
        },
    );
    check(
        "open-output",
        &Open {
            process: ProcessId::init(),
            channel: Channel::Output { from: 5 },
        },
    );
    let opened: Opened = Ok(());
    check("opened", &opened);
}
