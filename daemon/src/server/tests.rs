//! Byte for byte over a real socket, with handlers that stand in for the API's.

use std::path::PathBuf;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use hull_engine::api::{Attachment, OutputFrame, StdStream};
use hyper::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::http::frame::tests::decode;
use crate::http::hijack::Hijack;
use crate::http::json::{Kind, Shape};
use crate::listen::{Group, Host};
use crate::stream::{Framing, carry};

/// What the handlers of a test talk to.
#[derive(Clone)]
struct Fake {
    /// The process's side of each attachment, as it is made.
    attached: mpsc::Sender<Process>,
    /// Tells that a stream's client is gone.
    gone: mpsc::Sender<()>,
    tty: bool,
}

struct Process {
    stdin: mpsc::Receiver<Bytes>,
    output: mpsc::Sender<OutputFrame>,
}

impl Process {
    async fn says(&self, stream: StdStream, text: &'static str) {
        self.output
            .send(OutputFrame {
                stream,
                bytes: text.into(),
            })
            .await
            .unwrap();
    }

    /// Everything up to the end of its input.
    async fn hears(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(bytes) = self.stdin.recv().await {
            all.extend(bytes);
        }
        all
    }
}

impl Shape for serde_json::Value {
    const KIND: Kind = Kind::Any;
    const NAME: &'static str = "";
}

async fn attach(app: Fake, mut request: Request) -> Result<Reply, ApiError> {
    let body: Option<serde_json::Value> = request.optional_json().await?;
    if body.is_some_and(|b| b["fail"] == true) {
        return Err(ApiError::not_found("No such container: x"));
    }
    let ((stdin, ours), (output, theirs)) = (mpsc::channel(1), mpsc::channel(1));
    let attachment = Attachment {
        tty: app.tty,
        stdin: Some(stdin),
        output: theirs,
    };
    app.attached
        .send(Process {
            stdin: ours,
            output,
        })
        .await
        .unwrap();
    let framing = Framing::of(app.tty);
    let head = framing.head(&request);
    Ok(Reply::Hijack(Hijack::new(head, move |raw| {
        carry(attachment, framing, raw)
    })))
}

/// A stream that never has anything to say, as `wait` before the end.
async fn silent(app: Fake, request: Request) -> Result<Reply, ApiError> {
    let gone = request.gone.clone();
    tokio::spawn(async move {
        gone.cancelled().await;
        app.gone.send(()).await
    });
    Ok(Reply::stream(
        "application/json",
        stream::pending(),
        request.gone,
    ))
}

struct Running {
    path: PathBuf,
    attached: mpsc::Receiver<Process>,
    gone: mpsc::Receiver<()>,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
    _dir: tempfile::TempDir,
}

async fn start(tty: bool) -> Running {
    let mut router = Router::new();
    router.add(Method::GET, "/_ping", async |_, _| {
        Ok(Reply::empty(hyper::StatusCode::OK))
    });
    router.add(Method::POST, "/containers/{id}/attach", attach);
    router.add(Method::POST, "/containers/{id}/wait", silent);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let host: Host = format!("unix://{}", path.display()).parse().unwrap();
    let (attached_to, attached) = mpsc::channel(4);
    let (gone_to, gone) = mpsc::channel(4);
    let stop = CancellationToken::new();
    let server = Server::new(
        Fake {
            attached: attached_to,
            gone: gone_to,
            tty,
        },
        router,
    );
    let serving = tokio::spawn(server.serve(
        vec![host.listen(Group::find(None).unwrap(), None).await.unwrap()],
        stop.clone(),
    ));
    Running {
        path,
        attached,
        gone,
        stop,
        serving,
        _dir: dir,
    }
}

impl Running {
    async fn send(&self, text: &str) -> UnixStream {
        let mut socket = UnixStream::connect(&self.path).await.unwrap();
        socket.write_all(text.as_bytes()).await.unwrap();
        socket
    }

    /// One exchange on a connection of its own.
    async fn answer(&self, text: &str) -> String {
        let mut socket = self.send(text).await;
        socket.shutdown().await.unwrap();
        let mut answer = String::new();
        deadline(socket.read_to_string(&mut answer)).await.unwrap();
        answer
    }
}

async fn deadline<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), work)
        .await
        .expect("in time")
}

/// Reads to the empty line that ends a response's head.
async fn head(socket: &mut UnixStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(deadline(socket.read_u8()).await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

async fn rest(socket: &mut UnixStream) -> BytesMut {
    let mut rest = BytesMut::new();
    while deadline(socket.read_buf(&mut rest)).await.unwrap() > 0 {}
    rest
}

const UPGRADE: &str = "POST /v1.50/containers/x/attach?stream=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n";

#[tokio::test]
async fn known_routes_say_who_answers_and_unknown_ones_do_not() {
    let server = start(false).await;
    let ping = server
        .answer("GET /v1.51/_ping HTTP/1.1\r\nHost: d\r\n\r\n")
        .await;
    assert!(ping.starts_with("HTTP/1.1 200 OK\r\n"), "{ping}");
    for header in [
        "Api-Version: 1.51",
        "Ostype: linux",
        "Docker-Experimental: false",
    ] {
        assert!(ping.contains(header), "{ping}");
    }
    for unknown in [
        "GET /nosuch",
        "GET /v1.51/nosuch",
        "POST /_ping",
        "GET /_ping/",
        "GET /v1.99/nosuch",
    ] {
        let answer = server
            .answer(&format!("{unknown} HTTP/1.1\r\nHost: d\r\n\r\n"))
            .await;
        assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{answer}");
        assert!(
            answer.ends_with("\r\n\r\n{\"message\":\"page not found\"}\n"),
            "{answer}"
        );
        assert!(!answer.contains("Api-Version"), "{answer}");
    }
    let any = server
        .answer("OPTIONS /nosuch HTTP/1.1\r\nHost: d\r\n\r\n")
        .await;
    assert!(any.starts_with("HTTP/1.1 200 OK\r\n"), "{any}");
    assert!(any.contains("Api-Version: 1.51"), "{any}");
}

#[tokio::test]
async fn other_api_versions_are_refused_in_the_form_they_know() {
    let server = start(false).await;
    let new = server
        .answer("GET /v1.99/_ping HTTP/1.1\r\nHost: d\r\n\r\n")
        .await;
    assert!(new.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{new}");
    assert!(new.contains("Content-Type: application/json"), "{new}");
    assert!(new.ends_with(
        "{\"message\":\"client version 1.99 is too new. Maximum supported API version is 1.51\"}\n"
    ));
    let old = server
        .answer("GET /v1.23/_ping HTTP/1.1\r\nHost: d\r\n\r\n")
        .await;
    assert!(old.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{old}");
    assert!(
        old.contains("Content-Type: text/plain; charset=utf-8"),
        "{old}"
    );
    assert!(old.contains("X-Content-Type-Options: nosniff"), "{old}");
    for answer in [&new, &old] {
        assert!(answer.contains("Api-Version: 1.51"), "{answer}");
        assert!(!answer.contains("Docker-Experimental"), "{answer}");
    }
    assert!(
        old.contains("\r\n\r\nclient version 1.23 is too old."),
        "{old}"
    );
}

#[tokio::test]
async fn a_client_that_shuts_its_side_down_still_gets_all_output() {
    let mut server = start(false).await;
    let mut socket = server.send(UPGRADE).await;
    let answer = head(&mut socket).await;
    assert!(answer.starts_with("HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"), "{answer}");
    socket.shutdown().await.unwrap();
    let mut process = deadline(server.attached.recv()).await.unwrap();
    assert_eq!(deadline(process.hears()).await, b"");
    process.says(StdStream::Stdout, "hello ").await;
    process.says(StdStream::Stderr, "world\n").await;
    drop(process);
    let frames = decode(&mut rest(&mut socket).await);
    assert_eq!(
        frames,
        [(1, Bytes::from("hello ")), (2, Bytes::from("world\n"))]
    );
}

#[tokio::test]
async fn input_that_came_with_the_request_is_not_lost() {
    let mut server = start(true).await;
    let mut socket = server.send(&format!("{UPGRADE}typed early")).await;
    assert!(
        head(&mut socket)
            .await
            .contains("application/vnd.docker.raw-stream")
    );
    socket.write_all(b" and late").await.unwrap();
    socket.shutdown().await.unwrap();
    let mut process = deadline(server.attached.recv()).await.unwrap();
    assert_eq!(deadline(process.hears()).await, b"typed early and late");
    process.says(StdStream::Stdout, "raw\r\n").await;
    drop(process);
    assert_eq!(rest(&mut socket).await, "raw\r\n");
}

#[tokio::test]
async fn output_ends_though_the_client_is_still_sending() {
    let mut server = start(true).await;
    let mut socket = server.send(UPGRADE).await;
    head(&mut socket).await;
    let process = deadline(server.attached.recv()).await.unwrap();
    socket.write_all(b"never read").await.unwrap();
    process.says(StdStream::Stdout, "bye").await;
    drop(process);
    // Unread input must not turn the end into a reset.
    assert_eq!(rest(&mut socket).await, "bye");
}

#[tokio::test]
async fn without_an_upgrade_the_same_bytes_follow_a_200() {
    let mut server = start(false).await;
    let request = "POST /containers/x/attach HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n{}\n";
    let mut socket = server.send(&format!("{request}in")).await;
    let answer = head(&mut socket).await;
    assert!(
        answer
            .starts_with("HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n"),
        "{answer}"
    );
    assert!(
        !answer.to_lowercase().contains("transfer-encoding"),
        "{answer}"
    );
    socket.shutdown().await.unwrap();
    let mut process = deadline(server.attached.recv()).await.unwrap();
    assert_eq!(deadline(process.hears()).await, b"in");
    process.says(StdStream::Stdout, "out").await;
    drop(process);
    assert_eq!(
        decode(&mut rest(&mut socket).await),
        [(1, Bytes::from("out"))]
    );
}

#[tokio::test]
async fn a_connection_serves_requests_until_one_takes_it() {
    let mut server = start(false).await;
    let ping = "GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n";
    let fail = "POST /containers/x/attach HTTP/1.1\r\nHost: d\r\nUpgrade: tcp\r\nConnection: Upgrade\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{\"fail\":true}";
    let mut socket = server.send(&format!("{ping}{fail}{UPGRADE}")).await;
    assert!(head(&mut socket).await.starts_with("HTTP/1.1 200 OK"));
    assert!(
        head(&mut socket)
            .await
            .starts_with("HTTP/1.1 404 Not Found")
    );
    let mut body = [0; 35];
    deadline(socket.read_exact(&mut body)).await.unwrap();
    assert_eq!(&body, b"{\"message\":\"No such container: x\"}\n");
    assert!(head(&mut socket).await.starts_with("HTTP/1.1 101 UPGRADED"));
    drop(deadline(server.attached.recv()).await.unwrap());
    assert!(rest(&mut socket).await.is_empty());
}

#[tokio::test]
async fn a_stream_s_head_comes_before_its_body() {
    let server = start(false).await;
    let request = "POST /v1.50/containers/x/wait HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n";
    let mut socket = server.send(request).await;
    let answer = head(&mut socket).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("Transfer-Encoding: chunked"), "{answer}");
}

#[tokio::test]
async fn a_stream_notices_that_its_client_is_gone_and_only_then() {
    let mut server = start(false).await;
    let request = "POST /containers/x/wait HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n";
    let mut socket = server.send(request).await;
    head(&mut socket).await;
    socket.shutdown().await.unwrap();
    // A round trip on another connection: the server has seen the shutdown by then.
    server
        .answer("GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
        .await;
    assert!(server.gone.try_recv().is_err());
    drop(socket);
    deadline(server.gone.recv()).await.unwrap();
}

#[tokio::test]
async fn an_attached_client_that_vanishes_ends_its_input() {
    let mut server = start(true).await;
    let mut socket = server.send(UPGRADE).await;
    head(&mut socket).await;
    let mut process = deadline(server.attached.recv()).await.unwrap();
    drop(socket);
    assert_eq!(deadline(process.hears()).await, b"");
    deadline(process.output.closed()).await;
}

#[tokio::test]
async fn stopping_cuts_streams_off_and_leaves_no_socket() {
    let mut server = start(false).await;
    let mut waiting = server
        .send("POST /containers/x/wait HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n")
        .await;
    head(&mut waiting).await;
    let mut attached = server.send(UPGRADE).await;
    head(&mut attached).await;
    let process = deadline(server.attached.recv()).await.unwrap();
    server.stop.cancel();
    deadline(server.serving).await.unwrap();
    // No last chunk: the client cannot take this for a whole body.
    assert_eq!(rest(&mut waiting).await, "");
    assert_eq!(rest(&mut attached).await, "");
    deadline(process.output.closed()).await;
    assert!(!server.path.exists());
}

#[tokio::test]
async fn programs_that_are_started_do_not_inherit_connections() {
    let sockets = || {
        let list = std::process::Command::new("ls")
            .args(["-l", "/proc/self/fd"])
            .output()
            .unwrap();
        assert!(list.status.success());
        String::from_utf8_lossy(&list.stdout)
            .matches("socket:")
            .count()
    };
    let before = sockets();
    let mut server = start(false).await;
    let mut socket = server.send(UPGRADE).await;
    head(&mut socket).await;
    let _process = deadline(server.attached.recv()).await.unwrap();
    assert_eq!(sockets(), before);
}
