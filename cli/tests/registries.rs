//! `pull`, `push`, `login`, `logout` and `search`: what they ask the daemon, what they say, and what
//! they keep.

mod fake;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use fake::Daemon;

const LOGGED_IN: &str = r#"{"IdentityToken":"","Status":"Login Succeeded"}"#;

#[derive(Debug, PartialEq, Eq)]
struct Run {
    stdout: String,
    stderr: String,
    code: Option<i32>,
}

fn hull(daemon: &Daemon, arguments: &[&str], input: &str) -> Run {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hull"))
        .args(arguments)
        .env("HULL_HOST", daemon.host())
        .env("DOCKER_CONFIG", daemon.directory().join("config"))
        .env("PATH", daemon.directory())
        .env_remove("DOCKER_DEFAULT_PLATFORM")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("hull runs");
    let mut stdin = child.stdin.take().expect("stdin");
    // Who does not read its input may end before it is written.
    drop(stdin.write_all(input.as_bytes()));
    drop(stdin);
    let output = child.wait_with_output().expect("hull ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Run {
        stdout: text(output.stdout),
        stderr: text(output.stderr),
        code: output.status.code(),
    }
}

#[track_caller]
fn said(run: &Run, stdout: &str) {
    let expected = Run {
        stdout: stdout.to_owned(),
        stderr: String::new(),
        code: Some(0),
    };
    assert_eq!(*run, expected);
}

#[track_caller]
fn refused(run: &Run, stderr: &str) {
    let expected = Run {
        stdout: String::new(),
        stderr: format!("{stderr}\n"),
        code: Some(1),
    };
    assert_eq!(*run, expected);
}

const PULLED: &str = r#"{"status":"Pulling from devenv","id":"latest"}
{"status":"Already exists","progressDetail":{},"id":"927ee71f04a8"}
{"status":"Pulling fs layer","progressDetail":{},"id":"6395d8d3391a"}
{"status":"Downloading","progressDetail":{"current":238,"total":238},"progress":"[=>]","id":"6395d8d3391a"}
{"status":"Pull complete","progressDetail":{},"id":"6395d8d3391a"}
{"status":"Digest: sha256:e064"}
{"status":"Status: Downloaded newer image for localhost:5000/devenv:latest"}
"#;

const TOLD: &str = "latest: Pulling from devenv
927ee71f04a8: Already exists
6395d8d3391a: Pulling fs layer
6395d8d3391a: Pull complete
Digest: sha256:e064
Status: Downloaded newer image for localhost:5000/devenv:latest
";

#[test]
fn a_pull_is_told_as_dockers() {
    let daemon = Daemon::with(&[("POST /images/create", 200, PULLED)]);
    let name = "localhost:5000/devenv";
    let all = format!("Using default tag: latest\n{TOLD}{name}:latest\n");
    said(&hull(&daemon, &["pull", name], ""), &all);
    said(&hull(&daemon, &["image", "pull", name], ""), &all);
    said(
        &hull(&daemon, &["pull", "-q", "devenv"], ""),
        "docker.io/library/devenv:latest\n",
    );
    said(
        &hull(&daemon, &["pull", "-a", name], ""),
        &format!("{TOLD}{name}\n"),
    );
    let digest = format!("{name}@sha256:{}", "0".repeat(64));
    let arguments = ["pull", "-q", "--platform", "linux/arm64", &digest];
    said(&hull(&daemon, &arguments, ""), &format!("{digest}\n"));
    let create = "POST /images/create?fromImage=localhost%3A5000%2Fdevenv";
    assert_eq!(
        daemon.lines(),
        [
            format!("{create}&tag=latest"),
            format!("{create}&tag=latest"),
            "POST /images/create?fromImage=docker.io%2Flibrary%2Fdevenv&tag=latest".to_owned(),
            create.to_owned(),
            format!(
                "{create}&tag=sha256%3A{}&platform=linux%2Farm64",
                "0".repeat(64)
            ),
        ]
    );
    assert!(daemon.seen().iter().all(|seen| seen.account == "e30="));
    refused(
        &hull(&daemon, &["pull", "-a", "x:1"], ""),
        "tag can't be used with --all-tags/-a",
    );
    refused(
        &hull(&daemon, &["pull", "UPPER"], ""),
        "invalid reference format: repository name (library/UPPER) must be lowercase",
    );
}

#[test]
fn a_push_is_told_as_dockers() {
    let pushed = r#"{"status":"The push refers to repository [localhost:5000/devenv]"}
{"status":"Preparing","progressDetail":{},"id":"1c45f2410994"}
{"status":"Pushing","progressDetail":{"current":512,"total":49},"progress":"[=>]  512B","id":"1c45f2410994"}
{"status":"Pushed","progressDetail":{},"id":"1c45f2410994"}
{"status":"latest: digest: sha256:e064 size: 736"}
{"progressDetail":{},"aux":{"Tag":"latest","Digest":"sha256:e064","Size":736}}
"#;
    let told = "The push refers to repository [localhost:5000/devenv]
1c45f2410994: Preparing
1c45f2410994: Pushed
latest: digest: sha256:e064 size: 736
";
    let name = "localhost:5000/devenv";
    let line = format!("POST /images/{name}/push");
    let daemon = Daemon::with(&[(&line, 200, pushed)]);
    let all = format!("Using default tag: latest\n{told}");
    said(&hull(&daemon, &["push", name], ""), &all);
    said(&hull(&daemon, &["image", "push", "-a", name], ""), told);
    said(
        &hull(&daemon, &["push", "-q", name], ""),
        &format!("{name}:latest\n"),
    );
    said(
        &hull(&daemon, &["push", "--platform", "linux/arm64", name], ""),
        &all,
    );
    let arm = "%7B%22architecture%22%3A%22arm64%22%2C%22os%22%3A%22linux%22%7D";
    assert_eq!(
        daemon.lines(),
        [
            format!("{line}?tag=latest"),
            line.clone(),
            format!("{line}?tag=latest"),
            format!("{line}?tag=latest&platform={arm}"),
        ]
    );
    refused(
        &hull(&daemon, &["push", "--platform", "a/b/c/d", name], ""),
        "\"a/b/c/d\" is an invalid OS or architecture or platform: invalid argument",
    );
    let failed = r#"{"errorDetail":{"message":"no basic auth credentials"},"error":"no basic auth credentials"}"#;
    let daemon = Daemon::with(&[(&line, 200, failed)]);
    refused(
        &hull(&daemon, &["push", &format!("{name}:1")], ""),
        "no basic auth credentials",
    );
}

#[test]
fn a_login_is_kept_shown_and_forgotten() {
    let daemon = Daemon::with(&[
        ("POST /auth", 200, LOGGED_IN),
        ("POST /images/create", 200, PULLED),
    ]);
    let path = daemon.directory().join("config/config.json");
    let server = "localhost:5000";
    let login = ["login", "-u", "bob", "--password-stdin", server];
    let run = hull(&daemon, &login, "secret\n");
    assert_eq!(run.stdout, "Login Succeeded\n");
    assert_eq!(
        run.stderr,
        format!(
            "\nWARNING! Your credentials are stored unencrypted in '{}'.\n\
             Configure a credential helper to remove this warning. See\n\
             https://docs.docker.com/go/credential-store/\n\n",
            path.display()
        )
    );
    assert_eq!(
        daemon.body("POST /auth"),
        serde_json::json!({"username": "bob", "password": "secret", "serveraddress": server})
    );
    let mode = path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    hull(&daemon, &["pull", "-q", "localhost:5000/devenv"], "");
    let account = daemon.seen().last().unwrap().account.clone();
    let account = String::from_utf8(URL_SAFE.decode(account).unwrap()).unwrap();
    assert_eq!(
        account,
        r#"{"username":"bob","password":"secret","serveraddress":"localhost:5000"}"#
    );
    hull(&daemon, &["pull", "-q", "devenv"], "");
    assert_eq!(daemon.seen().last().unwrap().account, "e30=");

    let again = hull(&daemon, &["login", server], "");
    assert_eq!(again.stdout, "Login Succeeded\n");
    assert!(
        again
            .stderr
            .starts_with("Authenticating with existing credentials... [Username: bob]\n"),
        "{again:?}"
    );
    said(
        &hull(&daemon, &["logout", server], ""),
        "Removing login credentials for localhost:5000\n",
    );
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        "{\n\t\"auths\": {}\n}"
    );
    said(
        &hull(&daemon, &["logout"], ""),
        "Removing login credentials for https://index.docker.io/v1/\n",
    );
}

#[test]
fn a_login_that_cannot_be_is_refused() {
    let denied = r#"{"message":"login attempt to http://localhost:5000/v2/ failed with status: 401 Unauthorized"}"#;
    let daemon = Daemon::with(&[("POST /auth", 500, denied)]);
    let no_terminal = "Error: Cannot perform an interactive login from a non TTY device";
    for (arguments, expected) in [
        (&["login", "localhost:5000"][..], no_terminal),
        (&["login", "-u", "bob"], no_terminal),
        (&["login", "-u", "bob", "--password-stdin"], no_terminal),
        (
            &["login", "--password-stdin"],
            "the --password-stdin option requires --username to be set",
        ),
        (
            &["login", "-u", "bob", "-p", "x", "--password-stdin"],
            "conflicting options: cannot specify both --password and --password-stdin",
        ),
    ] {
        refused(&hull(&daemon, arguments, ""), expected);
    }
    let login = ["login", "-u", "bob", "-p", "wrong", "localhost:5000"];
    refused(
        &hull(&daemon, &login, ""),
        "WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n\
         Error response from daemon: login attempt to http://localhost:5000/v2/ failed with status: 401 Unauthorized",
    );
    assert!(!daemon.directory().join("config").exists());
}

#[test]
fn a_credential_helper_keeps_the_secret() {
    let daemon = Daemon::with(&[
        (
            "POST /auth",
            200,
            r#"{"IdentityToken":"t0ken","Status":"Login Succeeded"}"#,
        ),
        ("POST /images/create", 200, PULLED),
    ]);
    let config = daemon.directory().join("config");
    std::fs::create_dir(&config).unwrap();
    std::fs::write(config.join("config.json"), r#"{"credsStore":"test"}"#).unwrap();
    let helper = daemon.directory().join("docker-credential-test");
    let kept = daemon.directory().join("kept");
    let script = format!(
        "#!/bin/sh\nPATH=/usr/bin:/bin\ncase $1 in\nstore) cat > {kept} ;;\nget) cat {kept} ;;\nesac\n",
        kept = kept.display()
    );
    std::fs::write(&helper, script).unwrap();
    std::fs::set_permissions(&helper, PermissionsExt::from_mode(0o755)).unwrap();
    let login = ["login", "-u", "bob", "--password-stdin", "localhost:5000"];
    said(&hull(&daemon, &login, "secret"), "Login Succeeded\n");
    let text = std::fs::read_to_string(config.join("config.json")).unwrap();
    assert!(
        !text.contains("t0ken") && text.contains("localhost:5000"),
        "{text}"
    );
    let text = std::fs::read_to_string(kept).unwrap();
    assert_eq!(
        text,
        r#"{"ServerURL":"localhost:5000","Username":"<token>","Secret":"t0ken"}"#
    );
    hull(&daemon, &["pull", "-q", "localhost:5000/devenv"], "");
    let account = daemon.seen().last().unwrap().account.clone();
    let account = String::from_utf8(URL_SAFE.decode(account).unwrap()).unwrap();
    assert!(account.contains(r#""identitytoken":"t0ken""#), "{account}");
}

#[test]
fn a_search_is_a_table_of_what_was_found() {
    let found = r#"[{"star_count":2,"is_official":false,"name":"me/busybox","is_automated":false,"description":""},
        {"star_count":30,"is_official":true,"name":"busybox","is_automated":false,"description":"Busybox base image,\nwhich has a description that is longer"}]"#;
    let daemon = Daemon::with(&[("GET /images/search", 200, found)]);
    said(
        &hull(&daemon, &["search", "busybox"], ""),
        "NAME         DESCRIPTION                                     STARS     OFFICIAL\n\
         busybox      Busybox base image, which has a description …   30        [OK]\n\
         me/busybox                                                   2         \n",
    );
    let arguments = [
        "search",
        "--no-trunc",
        "--limit=3",
        "-f",
        "stars=1",
        "--format",
        "{{.Name}}: {{.Description}}",
        "x",
    ];
    said(
        &hull(&daemon, &arguments, ""),
        "busybox: Busybox base image, which has a description that is longer\nme/busybox: \n",
    );
    assert_eq!(
        daemon.lines(),
        [
            "GET /images/search?term=busybox",
            "GET /images/search?term=x&limit=3&filters=%7B%22stars%22%3A%5B%221%22%5D%7D",
        ]
    );
}
