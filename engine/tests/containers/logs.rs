use std::collections::BTreeMap;
use std::path::Path;

use hull_engine::ErrorKind;
use hull_engine::api::*;

use crate::bench::*;

fn logged(mut spec: CreateSpec, driver: &str, options: &[(&str, &str)]) -> CreateSpec {
    spec.host_config.log_config = LogConfig {
        r#type: driver.to_owned(),
        config: options
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
    };
    spec
}

fn files(log: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(log.parent().unwrap()).unwrap();
    let mut names: Vec<_> = entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("-json.log"))
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_log_is_followed_across_its_files_and_the_oldest_go() {
    let (_bench, engine) = Bench::new().await;
    let options = [("max-size", "10k"), ("max-file", "3"), ("compress", "true")];
    let script = "read x; i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done";
    let mut spec = logged(shell(script), "json-file", &options);
    (spec.config.open_stdin, spec.config.stdin_once) = (true, true);
    let id = run(&engine, spec).await;
    let follow = LogOptions {
        follow: true,
        ..both()
    };
    let mut stream = engine.logs(id.as_str(), follow).await.unwrap();
    let client = engine.attach(id.as_str(), attached(true)).await.unwrap();
    drop(client);
    let mut last = None;
    while let Some(line) = soon(stream.lines.recv()).await {
        let line = line.unwrap();
        let text = std::str::from_utf8(&line.bytes).unwrap();
        let number: usize = text
            .trim_end()
            .strip_prefix("line ")
            .unwrap()
            .parse()
            .unwrap();
        // Who is slower than the files turn misses some, and gets none twice.
        assert!(
            last.is_none_or(|last| number > last),
            "{number} after {last:?}"
        );
        last = Some(number);
    }
    assert_eq!(last, Some(2999));
    let lines = logs(&engine, &id, both()).await;
    let first = 3000 - lines.len();
    assert!(
        first > 0 && lines.len() > 100,
        "{} lines are left",
        lines.len()
    );
    for (at, (_, line)) in lines.iter().enumerate() {
        assert_eq!(*line, format!("line {}\n", first + at));
    }
    let tail = LogOptions {
        tail: Tail::Lines(150),
        ..both()
    };
    let tail = logs(&engine, &id, tail).await;
    assert_eq!((tail.len(), tail[0].1.as_str()), (150, "line 2850\n"));
    let log = engine.inspect(id.as_str()).await.unwrap().log_path.unwrap();
    let name = |suffix: &str| format!("{id}-json.log{suffix}");
    assert_eq!(files(&log), [name(""), name(".1.gz"), name(".2.gz")]);
}

#[tokio::test]
async fn the_driver_none_keeps_nothing_and_shows_clients_all_the_same() {
    let (bench, engine) = Bench::new().await;
    let mut spec = logged(shell("echo one; read x; echo two $x; read x"), "none", &[]);
    spec.config.open_stdin = true;
    let id = create(&engine, spec).await;
    let mut client = engine.attach(id.as_str(), attached(true)).await.unwrap();
    soon(engine.start(id.as_str())).await.unwrap();
    assert_eq!(read_until(&mut client, "one\n").await, "one\n");
    let error = engine.logs(id.as_str(), both()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "configured logging driver does not support reading"
    );
    assert_eq!(error.kind(), ErrorKind::NotImplemented);
    let inspect = engine.inspect(id.as_str()).await.unwrap();
    assert_eq!(
        (
            inspect.log_path,
            inspect.host_config.log_config.r#type.as_str()
        ),
        (None, "none")
    );
    // The next engine goes on where this one was.
    engine.close().await;
    drop(engine);
    let engine = bench.open().await;
    let mut client = engine.attach(id.as_str(), attached(true)).await.unwrap();
    type_in(&client, "x\n").await;
    assert_eq!(read_until(&mut client, "\n").await, "two x\n");
    type_in(&client, "x\n").await;
    assert_eq!(exit_code(&engine, &id).await, 0);
    // Another run begins at the beginning.
    let mut client = engine.attach(id.as_str(), attached(true)).await.unwrap();
    soon(engine.start(id.as_str())).await.unwrap();
    assert_eq!(read_until(&mut client, "\n").await, "one\n");
    let force = RemoveOptions {
        force: true,
        ..RemoveOptions::default()
    };
    soon(engine.remove(id.as_str(), force)).await.unwrap();
}

#[tokio::test]
async fn details_are_what_the_driver_was_told_to_add() {
    let (_bench, engine) = Bench::new().await;
    let options = [
        ("labels", "app,kind"),
        ("env", "TIER"),
        ("tag", "{{.Name}}"),
    ];
    let mut spec = logged(shell("echo x"), "json-file", &options);
    spec.config.labels = BTreeMap::from([("app".to_owned(), "a b".to_owned())]);
    spec.config.env = Some(vec!["TIER=1".to_owned()]);
    let id = engine.create(Some("web"), spec).await.unwrap().id;
    soon(engine.start("web")).await.unwrap();
    assert_eq!(exit_code(&engine, &id).await, 0);
    let details = LogOptions {
        details: true,
        ..both()
    };
    assert_eq!(
        logs(&engine, &id, details).await,
        [(
            StdStream::Stdout,
            "TIER=1,app=a+b,kind=test,tag=web x\n".to_owned()
        )]
    );
    assert_eq!(text(&engine, &id).await, "x\n");
}

#[tokio::test]
async fn defaults_are_the_engines_and_what_cannot_be_is_refused_when_it_is_made() {
    let (bench, engine) = Bench::new().await;
    engine.close().await;
    drop(engine);
    let mut options = bench.options();
    options.defaults.log = LogConfig {
        r#type: "local".into(),
        config: BTreeMap::from([("max-file".into(), "2".into())]),
    };
    let engine = hull_engine::Engine::open(options).await.unwrap();
    let id = create(&engine, shell("echo x")).await;
    let inspect = engine.inspect(id.as_str()).await.unwrap();
    let shown = inspect.host_config.log_config;
    assert_eq!(
        (shown.r#type.as_str(), shown.config["max-file"].as_str()),
        ("local", "2")
    );
    assert_eq!(inspect.log_path, None, "nobody is told where it is");
    soon(engine.start(id.as_str())).await.unwrap();
    assert_eq!(exit_code(&engine, &id).await, 0);
    assert_eq!(text(&engine, &id).await, "x\n");
    for (driver, options, text) in [
        (
            "syslog",
            &[][..],
            "logger: no log driver named 'syslog' is registered",
        ),
        (
            "json-file",
            &[("max", "1")],
            "unknown log opt 'max' for json-file log driver",
        ),
        (
            "json-file",
            &[("tag", "{{.X}}")],
            "failed to initialize logging driver: tag \"{{.X}}\"",
        ),
    ] {
        let spec = logged(shell("echo x"), driver, options);
        let error = engine.create(Some("refused"), spec).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidParameter);
        assert!(error.to_string().starts_with(text), "{error}");
    }
    engine
        .create(Some("refused"), shell("echo x"))
        .await
        .expect("the name is free");
}
