//! A daemon for tests: Docker's API over a unix socket, with containers that are a few lines
//! of Rust in place of processes. It keeps every request, so that tests can look at them.
//!
//! What a container does is decided by its command: see [`process`].

// Each test binary uses its own part of this.
#![allow(dead_code)]

mod process;

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};

use process::{Process, Stdio};

pub(crate) const ID: &str = "55afcfd24cbe727036744fabdb7e831c85fe2baff826279d5e941780dcd96dbf";
const EXEC: &str = "4b374213443ce251c0398dc533a99a654eae92b4ff4f4b7dd6d29ce0352a4cca";

type Body = BoxBody<Bytes, Infallible>;

/// A request that came in.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) body: String,
    /// `X-Registry-Auth`
    pub(crate) account: String,
}

/// One container, from its creation on.
#[derive(Default)]
struct Container {
    config: Value,
    attached: Option<Stdio>,
    process: Option<Process>,
    /// Started before the test began.
    started: bool,
}

struct State {
    seen: Mutex<Vec<Seen>>,
    /// Answers that a test gives: by request line without the version.
    canned: HashMap<String, (u16, String)>,
    container: Mutex<Container>,
    exec: Mutex<Container>,
    /// The exit status, once there is one.
    exit: watch::Sender<Option<i64>>,
    exec_exit: watch::Sender<Option<i64>>,
    images: Mutex<Vec<String>>,
}

pub(crate) struct Daemon {
    directory: tempfile::TempDir,
    state: Arc<State>,
    _runtime: tokio::runtime::Runtime,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Daemon {
    pub(crate) fn start() -> Daemon {
        Daemon::with(&[])
    }

    /// With a container that has been running all along; it shows itself when it is attached to.
    pub(crate) fn running(config: Value) -> Daemon {
        let daemon = Daemon::start();
        *lock(&daemon.state.container) = Container {
            config,
            started: true,
            ..Container::default()
        };
        daemon
    }

    /// With answers of the test's own: `("GET /info", 200, "{}")`.
    pub(crate) fn with(canned: &[(&str, u16, &str)]) -> Daemon {
        let directory = tempfile::tempdir().expect("temporary directory");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("runtime");
        let canned = canned
            .iter()
            .map(|(line, status, body)| ((*line).to_owned(), (*status, (*body).to_owned())));
        let state = Arc::new(State {
            seen: Mutex::default(),
            canned: canned.collect(),
            container: Mutex::default(),
            exec: Mutex::default(),
            exit: watch::Sender::new(None),
            exec_exit: watch::Sender::new(None),
            images: Mutex::new(vec!["busybox".into()]),
        });
        let socket = directory.path().join("hull.sock");
        let listener = {
            let _inside = runtime.enter();
            UnixListener::bind(socket).expect("socket")
        };
        runtime.spawn(serve(listener, Arc::clone(&state)));
        Daemon {
            directory,
            state,
            _runtime: runtime,
        }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("hull.sock")
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Requests so far, without pings; their lines have no version.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        lock(&self.state.seen).clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.line).collect()
    }

    /// The body of the only request with this line.
    pub(crate) fn body(&self, line: &str) -> Value {
        let seen = self.seen();
        let found = seen.iter().find(|seen| seen.line == line);
        let body = &found
            .unwrap_or_else(|| panic!("no {line} in {seen:?}"))
            .body;
        serde_json::from_str(body).expect("a JSON body")
    }
}

async fn serve(listener: UnixListener, state: Arc<State>) {
    while let Ok((connection, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(Arc::clone(&state), request));
            let connection = hyper::server::conn::http1::Builder::new()
                .half_close(true)
                .serve_connection(TokioIo::new(connection), service)
                .with_upgrades();
            // A client that goes away is part of what is tested.
            drop(connection.await);
        });
    }
}

fn reply(status: u16, body: impl Into<String>) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from(body.into())).boxed());
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response
        .headers_mut()
        .insert("api-version", "1.51".parse().expect("a header"));
    response.headers_mut().insert(
        "content-type",
        "application/json".parse().expect("a header"),
    );
    response
}

fn error(status: u16, message: &str) -> Response<Body> {
    reply(status, json!({ "message": message }).to_string())
}

async fn answer(
    state: Arc<State>,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path().to_owned();
    let path = path.strip_prefix("/v1.51").unwrap_or(&path).to_owned();
    let query = request
        .uri()
        .query()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    let line = format!("{} {path}", request.method());
    if path == "/_ping" {
        return Ok(reply(200, "OK"));
    }
    let account = request.headers().get("x-registry-auth");
    let account = account.and_then(|value| value.to_str().ok());
    let account = account.unwrap_or_default().to_owned();
    let upgrade = request
        .headers()
        .contains_key("upgrade")
        .then(|| hyper::upgrade::on(&mut request));
    let body = request
        .into_body()
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let body = String::from_utf8_lossy(&body).into_owned();
    lock(&state.seen).push(Seen {
        line: format!("{line}{query}"),
        body: body.clone(),
        account,
    });
    if let Some((status, body)) = state.canned.get(&line) {
        return Ok(reply(*status, body.clone()));
    }
    let container = format!("/containers/{ID}");
    let named = path.replace("/containers/c1", &container);
    Ok(
        match (line.split(' ').next().unwrap_or_default(), named.as_str()) {
            ("POST", "/containers/create") => create(&state, &body),
            ("POST", named) if named == format!("{container}/attach") => {
                let tty = lock(&state.container).config["Tty"] == true;
                hijack(tty, upgrade, {
                    let state = Arc::clone(&state);
                    move |stdio| {
                        let started = {
                            let mut container = lock(&state.container);
                            container.attached = Some(stdio);
                            container.started
                        };
                        if started {
                            drop(start(&state));
                        }
                    }
                })
            }
            ("POST", named) if named == format!("{container}/start") => start(&state),
            ("POST", named) if named == format!("{container}/wait") => later(&state),
            ("POST", named) if named == format!("{container}/kill") => {
                signal(&state, query.rsplit('=').next().unwrap_or_default())
            }
            ("POST", named) if named == format!("{container}/resize") => {
                resize(&state.container, &query);
                reply(200, "")
            }
            ("POST", named) if named == format!("{container}/exec") => {
                lock(&state.exec).config = serde_json::from_str(&body).unwrap_or_default();
                reply(201, json!({ "Id": EXEC }).to_string())
            }
            ("POST", named) if named == format!("/exec/{EXEC}/start") => exec(&state, upgrade),
            ("POST", named) if named == format!("/exec/{EXEC}/resize") => {
                let running = lock(&state.exec).process.is_some();
                match running {
                    true => {
                        resize(&state.exec, &query);
                        reply(200, "")
                    }
                    false => error(400, "exec is not running"),
                }
            }
            ("GET", named) if named == format!("/exec/{EXEC}/json") => {
                let code = *state.exec_exit.borrow();
                reply(
                    200,
                    json!({ "ID": EXEC, "ExitCode": code, "Running": false }).to_string(),
                )
            }
            ("GET", named) if named == format!("{container}/json") => {
                reply(200, inspect(&state).to_string())
            }
            ("POST", "/images/create") => pull(&state, &query),
            ("DELETE" | "POST", named) if named.starts_with(&container) => reply(204, ""),
            (_, named) if named.starts_with("/containers/") => {
                let name = named.split('/').nth(2).unwrap_or_default();
                error(404, &format!("No such container: {name}"))
            }
            (_, named) if named.starts_with("/images/") => {
                let name = named
                    .trim_start_matches("/images/")
                    .trim_end_matches("/json")
                    .trim_end_matches("/tag");
                error(404, &format!("No such image: {name}:latest"))
            }
            _ => error(404, "page not found"),
        },
    )
}

fn create(state: &State, body: &str) -> Response<Body> {
    let config: Value = serde_json::from_str(body).unwrap_or_default();
    let image = config["Image"].as_str().unwrap_or_default().to_owned();
    if !lock(&state.images).contains(&image) {
        return error(404, &format!("No such image: {image}:latest"));
    }
    if config["HostConfig"]["NetworkMode"] == "none" {
        return error(409, "Conflict. The container name \"/x\" is already in use");
    }
    lock(&state.container).config = config;
    reply(201, json!({ "Id": ID, "Warnings": [] }).to_string())
}

/// Makes any image that is not called `nosuch…` appear.
fn pull(state: &State, query: &str) -> Response<Body> {
    if query.contains("nosuch") {
        return error(500, "no registry can be reached");
    }
    lock(&state.images).push("later".into());
    let lines = [
        json!({ "status": "Pulling from library/later", "id": "latest" }),
        json!({ "status": "Pulling fs layer", "progressDetail": {}, "id": "6395d8d3391a" }),
        json!({ "status": "Downloading", "progressDetail": { "current": 5, "total": 9 }, "id": "6395d8d3391a" }),
        json!({ "status": "Pull complete", "progressDetail": {}, "id": "6395d8d3391a" }),
        json!({ "status": "Status: Downloaded newer image for later:latest" }),
    ];
    reply(200, lines.map(|line| format!("{line}\r\n")).concat())
}

type Upgrade = hyper::upgrade::OnUpgrade;

/// Answers with an upgrade; `give` gets the streams once they are there.
fn hijack(
    tty: bool,
    upgrade: Option<Upgrade>,
    give: impl FnOnce(Stdio) + Send + 'static,
) -> Response<Body> {
    let Some(upgrade) = upgrade else {
        return error(400, "not an upgrade");
    };
    let (stdio, pump) = Stdio::new(tty);
    give(stdio);
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            pump.run(TokioIo::new(upgraded)).await;
        }
    });
    let kind = if tty {
        "raw-stream"
    } else {
        "multiplexed-stream"
    };
    let mut response = reply(101, "");
    let headers = response.headers_mut();
    let kind = format!("application/vnd.docker.{kind}");
    headers.insert("content-type", kind.parse().expect("a header"));
    headers.insert("connection", "Upgrade".parse().expect("a header"));
    headers.insert("upgrade", "tcp".parse().expect("a header"));
    response
}

fn start(state: &Arc<State>) -> Response<Body> {
    let mut container = lock(&state.container);
    let command = process::command(&container.config);
    if let Some((status, message)) = process::refuses(&command) {
        // What is not started is removed if it was to be.
        state.exit.send_replace(Some(0));
        return error(status, message);
    }
    let stdio = container
        .attached
        .take()
        .unwrap_or_else(|| Stdio::new(false).0);
    let state = Arc::clone(state);
    container.process = Some(Process::spawn(command, stdio, move |code| {
        state.exit.send_replace(Some(code));
    }));
    reply(204, "")
}

fn exec(state: &Arc<State>, upgrade: Option<Upgrade>) -> Response<Body> {
    let config = lock(&state.exec).config.clone();
    let state = Arc::clone(state);
    let Some(upgrade) = upgrade else {
        return reply(200, "");
    };
    hijack(config["Tty"] == true, Some(upgrade), move |stdio| {
        let command = process::command(&config);
        let owner = Arc::clone(&state);
        let process = Process::spawn(command, stdio, move |code| {
            owner.exec_exit.send_replace(Some(code));
        });
        lock(&state.exec).process = Some(process);
    })
}

/// A wait: its headers at once, its body when there is an exit.
fn later(state: &Arc<State>) -> Response<Body> {
    let mut exit = state.exit.subscribe();
    let (sender, receiver) = mpsc::channel::<Result<Frame<Bytes>, Infallible>>(1);
    tokio::spawn(async move {
        let code = exit
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|code| *code);
        let body = json!({ "StatusCode": code }).to_string();
        drop(sender.send(Ok(Frame::data(Bytes::from(body)))).await);
    });
    let frames = futures_util::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|frame| (frame, receiver))
    });
    let mut response = reply(200, "");
    *response.body_mut() =
        BodyExt::boxed(StreamBody::new(Box::pin(SyncStream(frames.boxed_sync()))));
    response
}

use futures_util::{Stream, StreamExt};
use std::pin::Pin;
use std::task::{Context, Poll};

/// A boxed body has to be `Sync`; a stream behind a lock is.
struct SyncStream<T>(Mutex<Pin<Box<dyn Stream<Item = T> + Send>>>);

impl<T> Stream for SyncStream<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        lock(&self.0).poll_next_unpin(context)
    }
}

trait BoxedSync<T> {
    fn boxed_sync(self) -> Mutex<Pin<Box<dyn Stream<Item = T> + Send>>>;
}

impl<T, S: Stream<Item = T> + Send + 'static> BoxedSync<T> for S {
    fn boxed_sync(self) -> Mutex<Pin<Box<dyn Stream<Item = T> + Send>>> {
        Mutex::new(Box::pin(self))
    }
}

fn signal(state: &State, name: &str) -> Response<Body> {
    match &lock(&state.container).process {
        Some(process) => {
            process.signal(name);
            reply(204, "")
        }
        None => error(409, "container is not running"),
    }
}

fn resize(container: &Mutex<Container>, query: &str) {
    if let Some(process) = &lock(container).process {
        process.resize(query);
    }
}

/// `c1` runs and has a terminal if it was created with one; before that it is a plain one.
fn inspect(state: &State) -> Value {
    let container = lock(&state.container);
    let config = &container.config;
    let running = state.exit.borrow().is_none() && config["Cmd"] != json!(["stopped"]);
    json!({
        "Id": ID,
        "Name": "/c1",
        "State": { "Status": "running", "Running": running, "Paused": false, "ExitCode": 0 },
        "Config": { "Tty": config["Tty"] == true, "OpenStdin": true, "Cmd": config["Cmd"],
                    "Labels": { "b": "2", "a": "1" }, "ExposedPorts": { "80/tcp": {} } },
        "HostConfig": { "AutoRemove": false, "RestartPolicy": { "Name": "no", "MaximumRetryCount": 0 } },
    })
}
