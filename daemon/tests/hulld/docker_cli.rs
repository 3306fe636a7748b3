//! The real docker command line against `hulld`. What needs no running container, and no KVM.

use crate::harness::{Daemon, Run};

fn refused(run: &Run, code: i32, message: &str) {
    assert_eq!(
        (run.code, run.stderr.trim_end()),
        (code, message),
        "{run:?}"
    );
}

#[test]
fn version_and_info_name_the_server() {
    let daemon = Daemon::start();
    let format = "{{.Server.APIVersion}} {{.Server.MinAPIVersion}} {{.Server.Os}}";
    let version = daemon.docker(&["version", "--format", format]).ok();
    assert_eq!(version, "1.51 1.24 linux\n");
    let info = daemon.docker(&[
        "info",
        "--format",
        "{{.OSType}} {{.Containers}} {{.DockerRootDir}}",
    ]);
    assert_eq!(
        info.ok(),
        format!("linux 0 {}\n", daemon.dir().join("data").display())
    );
}

#[test]
fn what_does_not_exist_is_said_in_docker_s_words() {
    let daemon = Daemon::start();
    let inspect = daemon.docker(&["inspect", "nosuch"]);
    assert_eq!(inspect.stdout, "[]\n");
    refused(&inspect, 1, "Error: No such object: nosuch");
    let no_container = "Error response from daemon: No such container: nosuch";
    for verb in ["start", "stop", "rm", "logs", "top", "attach"] {
        let run = daemon.docker(&[verb, "nosuch"]);
        assert!(
            run.code == 1 && run.stderr.starts_with(no_container),
            "{verb}: {run:?}"
        );
    }
    let rmi = daemon.docker(&["rmi", "nosuch"]);
    refused(
        &rmi,
        1,
        "Error response from daemon: No such image: nosuch:latest",
    );
}

#[test]
fn empty_lists_are_tables_without_rows() {
    let daemon = Daemon::start();
    for (args, rows) in [
        (&["ps", "-aq"][..], 0),
        (&["images", "-q"], 0),
        (&["volume", "ls", "-q"], 0),
        (&["network", "ls", "-q"], 2),
    ] {
        assert_eq!(daemon.docker(args).ok().lines().count(), rows, "{args:?}");
    }
}

#[test]
fn what_is_not_there_yet_says_so() {
    let daemon = Daemon::start();
    for args in [&["network", "create", "x"][..], &["volume", "create", "x"]] {
        let run = daemon.docker(args);
        assert_eq!(run.code, 1, "{run:?}");
        assert!(
            run.stderr
                .starts_with("Error response from daemon: not supported by Hull yet: "),
            "{run:?}"
        );
    }
}

#[test]
fn policies_checks_and_limits_are_kept_shown_and_updated() {
    let daemon = Daemon::start();
    daemon.docker_with(&["import", "-", "a:1"], &[0; 1024]).ok();
    let flags = [
        "--restart=on-failure:3",
        "--health-cmd=curl x",
        "--health-interval=5s",
        "--health-retries=4",
    ];
    let create = [&["create", "--name", "cutter"], &flags[..], &["a:1", "run"]].concat();
    daemon.docker(&create).ok();
    let shown = |format: &str| daemon.docker(&["inspect", "-f", format, "cutter"]).ok();
    assert_eq!(
        shown("{{json .HostConfig.RestartPolicy}}"),
        "{\"Name\":\"on-failure\",\"MaximumRetryCount\":3}\n"
    );
    assert_eq!(
        shown("{{json .Config.Healthcheck}}"),
        "{\"Test\":[\"CMD-SHELL\",\"curl x\"],\"Interval\":5000000000,\"Retries\":4}\n"
    );
    let update = [
        "update",
        "--restart=always",
        "--memory=64m",
        "--memory-swap=64m",
        "cutter",
    ];
    assert_eq!(daemon.docker(&update).ok(), "cutter\n");
    assert_eq!(
        shown("{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.Memory}}"),
        "always 67108864\n"
    );
    let none = daemon.docker(&[
        "ps",
        "-a",
        "--filter",
        "health=none",
        "--format",
        "{{.Names}}",
    ]);
    assert_eq!(none.ok(), "cutter\n");
    let missing = daemon.docker(&["update", "--restart=no", "nosuch"]);
    refused(
        &missing,
        1,
        "Error response from daemon: No such container: nosuch",
    );
}

#[test]
fn what_a_container_gets_unasked_is_told() {
    let daemon = Daemon::start();
    let import = ["import", "-c", "EXPOSE 80 53/udp", "-", "a:1"];
    daemon.docker_with(&import, &[0; 1024]).ok();
    let create = ["create", "--name", "it", "--expose", "81", "a:1", "run"];
    daemon.docker(&create).ok();
    for (format, expected) in [
        (
            "{{json .Config.ExposedPorts}} {{json .NetworkSettings.Ports}}",
            r#"{"53/udp":{},"80/tcp":{},"81/tcp":{}} {}"#,
        ),
        (
            "{{with .HostConfig}}{{.IpcMode}} {{.CgroupnsMode}} {{.Runtime}}{{end}}",
            "private private hull",
        ),
        (
            "{{with .HostConfig}}{{index .MaskedPaths 0}} {{index .ReadonlyPaths 0}}{{end}}",
            "/proc/asound /proc/bus",
        ),
        (
            "{{eq .GraphDriver.Data.ID .Id}} {{len .GraphDriver.Data}}{{.GraphDriver.Data.MergedDir}}",
            "true 5",
        ),
        ("{{.NetworkSettings.Networks.bridge.NetworkID}}", ""),
    ] {
        let shown = daemon.docker(&["inspect", "-f", format, "it"]).ok();
        assert_eq!(shown, format!("{expected}\n"), "{format}");
    }
}

#[test]
fn logs_are_kept_as_a_driver_can() {
    let daemon = Daemon::start_with(&["--log-driver", "local", "--log-opt", "max-file=2"]);
    daemon.docker_with(&["import", "-", "a:1"], &[0; 1024]).ok();
    let driver = daemon.docker(&["info", "-f", "{{.LoggingDriver}}"]).ok();
    assert_eq!(driver, "local\n");
    let create = |name: &str, flags: &[&str]| {
        let all = [&["create", "--name", name], flags, &["a:1", "run"]].concat();
        daemon.docker(&all)
    };
    create("usual", &[]).ok();
    create("own", &["--log-driver=json-file", "--log-opt=max-size=1m"]).ok();
    create("silent", &["--log-driver=none"]).ok();
    let shown = |name: &str| {
        // There is no log before the first start.
        let format = "{{json .HostConfig.LogConfig}}{{.LogPath}}";
        daemon.docker(&["inspect", "-f", format, name]).ok()
    };
    assert_eq!(
        shown("usual"),
        "{\"Type\":\"local\",\"Config\":{\"max-file\":\"2\"}}\n"
    );
    assert_eq!(
        shown("own"),
        "{\"Type\":\"json-file\",\"Config\":{\"max-size\":\"1m\"}}\n"
    );
    assert_eq!(shown("silent"), "{\"Type\":\"none\",\"Config\":{}}\n");
    assert_eq!(daemon.docker(&["logs", "own"]).ok(), "");
    let refusals = [
        (
            daemon.docker(&["logs", "silent"]),
            "configured logging driver does not support reading",
        ),
        (
            create("x", &["--log-driver=bogus"]),
            "logger: no log driver named 'bogus' is registered",
        ),
        (
            create("x", &["--log-opt=nosuch=1"]),
            "unknown log opt 'nosuch' for log driver local",
        ),
    ];
    for (run, message) in refusals {
        let message = format!("Error response from daemon: {message}");
        refused(&run, 1, &message);
    }
}

#[test]
fn containers_are_found_by_dockers_filters() {
    let daemon = Daemon::start();
    daemon.docker_with(&["import", "-", "a:1"], &[0; 1024]).ok();
    let create = |name: &str, flags: &[&str]| {
        let all = [&["create", "--name", name], flags, &["a:1", "run"]].concat();
        daemon.docker(&all).ok();
    };
    create("web1", &["--label=app=web", "--expose=80"]);
    create(
        "web2",
        &["--label=app=web", "--label=keep", "--network=none"],
    );
    let names = |filters: &[&str]| {
        let flags = filters.iter().flat_map(|filter| ["-f", filter]);
        let all: Vec<_> = ["ps", "-a", "--format", "{{.Names}}"]
            .into_iter()
            .chain(flags)
            .collect();
        daemon.docker(&all)
    };
    for (filters, expected) in [
        (&["name=^web[0-9]$"][..], "web2\nweb1\n"),
        (&["name=web1", "name=web2", "label=keep"], "web2\n"),
        (&["network=none"], "web2\n"),
        (&["network=6e6f6e65"], "web2\n"),
        (&["expose=80/tcp"], "web1\n"),
        (&["publish=80"], ""),
        (&["volume=x"], ""),
        (&["since=web1"], "web2\n"),
        (&["before=web2"], "web1\n"),
        (&["ancestor=a:1", "status=created"], "web2\nweb1\n"),
        (&["ancestor=nosuch"], ""),
    ] {
        assert_eq!(names(filters).ok(), expected, "{filters:?}");
    }
    let bogus = "Error response from daemon: invalid filter 'bogus'";
    refused(&names(&["bogus=1"]), 1, bogus);
    let unknown = "Error response from daemon: No such container: nosuch";
    refused(&names(&["since=nosuch"]), 1, unknown);
    let prune = |filter: &str| daemon.docker(&["container", "prune", "-f", "--filter", filter]);
    assert!(prune("until=24h").ok().contains("reclaimed space: 0B"));
    assert_eq!(names(&[]).ok(), "web2\nweb1\n");
    prune("label!=keep").ok();
    assert_eq!(names(&[]).ok(), "web2\n");
}

#[test]
fn a_damaged_archive_is_refused_and_leaves_nothing() {
    let daemon = Daemon::start();
    let garbage = vec![0x5a; 1 << 20];
    for args in [&["load"][..], &["import", "-", "bad:1"]] {
        let run = daemon.docker_with(args, &garbage);
        assert!(run.code == 1 && !run.stderr.is_empty(), "{run:?}");
        assert_eq!(daemon.docker(&["images", "-aq"]).ok(), "");
    }
}

#[test]
fn past_events_are_replayed_and_the_window_closes() {
    let daemon = Daemon::start();
    let empty_tar = [0; 1024];
    let imported = daemon.docker_with(&["import", "-", "a:1"], &empty_tar).ok();
    daemon.docker(&["tag", "a:1", "a:2"]).ok();
    let events = |args: &[&str]| {
        let format = [
            "--format",
            "{{.Type}} {{.Action}} {{.Actor.Attributes.name}}",
        ];
        let all = [&["events"], args, &format].concat();
        daemon.docker(&all).ok()
    };
    // Docker counts in whole seconds: up to the end of this one.
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() + 1;
    let until = now.to_string();
    let all = events(&["--since", "10m", "--until", &until]);
    assert_eq!(all, "image import a:1\nimage tag a:2\n", "{imported}");
    let tagged = events(&["--until", &until, "--filter", "event=tag"]);
    assert_eq!(tagged, "image tag a:2\n");
    let long_ago = events(&["--since", "20m", "--until", "10m"]);
    assert_eq!(long_ago, "");
    let backwards = daemon.docker(&["events", "--since", "2000", "--until", "1000"]);
    let said = "Error response from daemon: `since` time (2000) cannot be after \
                `until` time (1000)";
    refused(&backwards, 1, said);
}
