//! Archives that become images.

use std::io;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http_body_util::BodyExt;
use hull_engine::{EngineError, ImportOptions, LoadOptions, LoadStep};
use serde::Serialize;
use tokio::io::AsyncRead;
use tokio::sync::mpsc;
use tokio_util::io::StreamReader;

use super::name::target;
use super::progress;
use super::save::platform;
use crate::api::App;
use crate::http::body::Upload;
use crate::http::{ApiError, Reply, Request};

/// How many pieces of an upload may wait to be unpacked.
const UPLOAD_QUEUE: usize = 4;

/// One line of the answer to `load`.
#[derive(Serialize)]
#[serde(untagged)]
enum Line {
    Stream {
        stream: String,
    },
    #[serde(rename_all = "camelCase")]
    Layer {
        status: &'static str,
        progress_detail: Counts,
        progress: String,
        id: String,
    },
    #[serde(rename_all = "camelCase")]
    Failure {
        error_detail: Detail,
        error: String,
    },
}

#[derive(Serialize)]
struct Counts {
    current: u64,
    total: u64,
}

#[derive(Serialize)]
struct Detail {
    message: String,
}

impl From<LoadStep> for Line {
    fn from(step: LoadStep) -> Self {
        match step {
            LoadStep::Line(text) => Self::Stream {
                stream: format!("{}\n", text.trim_end()),
            },
            LoadStep::Layer { layer, done, total } => Self::Layer {
                status: "Loading layer",
                progress: progress::bar(done, total),
                progress_detail: Counts {
                    current: done,
                    total,
                },
                id: layer,
            },
        }
    }
}

impl Line {
    fn failure(error: &EngineError) -> Self {
        let error = error.to_string();
        Self::Failure {
            error_detail: Detail {
                message: error.clone(),
            },
            error,
        }
    }
}

/// `POST /images/load?quiet=&platform=`. The status goes out before the archive has been read, so a
/// failure is the last line.
pub(super) async fn load(app: App, request: Request) -> Result<Reply, ApiError> {
    let options = LoadOptions {
        platform: platform(request.query.text("platform"))?,
        quiet: request.query.flag("quiet"),
    };
    let Request { body, gone, .. } = request;
    let (progress, lines) = mpsc::channel(16);
    let loading = async move {
        let (archive, upload) = upload(body);
        let images = app.engine.images();
        let (loaded, ()) = tokio::join!(images.load(archive, options, progress), upload);
        loaded
    };
    Ok(Reply::json_lines(until_done(lines, loading), gone))
}

/// `POST /images/create`: an import where there is `fromSrc`, else a pull.
pub(super) async fn create(app: App, request: Request) -> Result<Reply, ApiError> {
    let query = &request.query;
    let Some(source) = query.text("fromSrc") else {
        return super::transfer::pull(app, request).await;
    };
    let source = source.to_owned();
    let options = ImportOptions {
        reference: target(
            query.get("repo").unwrap_or_default(),
            query.get("tag").unwrap_or_default(),
        ),
        message: query.get("message").unwrap_or_default().to_owned(),
        changes: query.all("changes").map(str::to_owned).collect(),
        platform: query.get("platform").unwrap_or_default().to_owned(),
    };
    if source != "-" {
        let (progress, lines) = mpsc::channel(16);
        let images = app.engine.images().clone();
        let work = async move { images.import_from(source, options, progress).await };
        return super::transfer::answer(request, lines, work).await;
    }
    let (archive, upload) = upload(request.body);
    let images = app.engine.images();
    let (id, ()) = tokio::join!(images.import(archive, options), upload);
    Reply::json(&Imported { status: id? })
}

#[derive(Serialize)]
struct Imported {
    status: String,
}

/// An upload as something to read, and what keeps it coming. The upload goes on to its end even
/// when the reader has given up: a client that is still sending does not see the answer.
fn upload(
    body: Upload,
) -> (
    impl AsyncRead + Send + Unpin + 'static,
    impl Future<Output = ()>,
) {
    let (sender, mut pieces) = mpsc::channel::<io::Result<Bytes>>(UPLOAD_QUEUE);
    let reader = StreamReader::new(stream::poll_fn(move |cx| pieces.poll_recv(cx)));
    let pump = async move {
        let mut body = body.into_data_stream();
        while let Some(piece) = body.next().await {
            // Nobody reads any more: the rest is dropped.
            let _ = sender.send(piece.map_err(io::Error::other)).await;
        }
    };
    (reader, pump)
}

/// The lines of some work as they come, and its failure as the last. The work goes on only as
/// far as the lines are taken.
fn until_done(
    lines: mpsc::Receiver<LoadStep>,
    work: impl Future<Output = Result<(), EngineError>> + Send + 'static,
) -> impl Stream<Item = Line> + Send {
    let state = (lines, Some(Box::pin(work)), None);
    stream::unfold(
        state,
        move |(mut lines, mut work, mut failure)| async move {
            while let Some(working) = work.as_mut() {
                tokio::select! {
                    biased;
                    Some(step) = lines.recv() => return Some((Line::from(step), (lines, work, failure))),
                    done = working => {
                        failure = done.err();
                        work = None;
                    }
                }
            }
            match lines.recv().await {
                Some(step) => Some((Line::from(step), (lines, work, failure))),
                None => failure
                    .take()
                    .map(|e| (Line::failure(&e), (lines, work, None))),
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_come_before_the_failure() {
        let (sender, lines) = mpsc::channel(4);
        let work = async move {
            let layer = LoadStep::Layer {
                layer: "39e26462865d".to_owned(),
                done: 500_000,
                total: 1_000_000,
            };
            sender.send(layer).await.unwrap();
            for text in ["Loaded image: a:1", "Loaded image: b:1\n"] {
                sender.send(LoadStep::Line(text.to_owned())).await.unwrap();
            }
            Err(EngineError::Invalid("damaged".into()))
        };
        let got: Vec<_> = until_done(lines, work)
            .map(|line| serde_json::to_string(&line).unwrap())
            .collect()
            .await;
        assert_eq!(
            got,
            [
                r#"{"status":"Loading layer","progressDetail":{"current":500000,"total":1000000},"progress":"[=========================>                         ]    500kB/1MB","id":"39e26462865d"}"#,
                r#"{"stream":"Loaded image: a:1\n"}"#,
                r#"{"stream":"Loaded image: b:1\n"}"#,
                r#"{"errorDetail":{"message":"damaged"},"error":"damaged"}"#,
            ]
        );
    }
}
