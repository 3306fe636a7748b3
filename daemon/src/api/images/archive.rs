//! Archives that become images.

use std::io;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http_body_util::BodyExt;
use hull_engine::{EngineError, ImportOptions};
use serde::Serialize;
use tokio::io::AsyncRead;
use tokio::sync::mpsc;
use tokio_util::io::StreamReader;

use super::name::target;
use crate::api::App;
use crate::http::body::Upload;
use crate::http::{ApiError, Reply, Request};

/// How many pieces of an upload may wait to be unpacked.
const UPLOAD_QUEUE: usize = 4;

/// One line of the answer to `load`.
#[derive(Serialize)]
#[serde(untagged)]
enum Line {
    Progress {
        stream: String,
    },
    #[serde(rename_all = "camelCase")]
    Failure {
        error_detail: Detail,
        error: String,
    },
}

#[derive(Serialize)]
struct Detail {
    message: String,
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

/// `POST /images/load?quiet=`. The status goes out before the archive has been read, so a
/// failure is the last line.
pub(super) async fn load(app: App, request: Request) -> Result<Reply, ApiError> {
    let Request { body, gone, .. } = request;
    let (progress, lines) = mpsc::channel(16);
    let loading = async move {
        let (archive, upload) = upload(body);
        let images = app.engine.images();
        let (loaded, ()) = tokio::join!(images.load(archive, progress), upload);
        loaded
    };
    Ok(Reply::json_lines(until_done(lines, loading), gone))
}

/// `POST /images/create`: an import where there is `fromSrc`, else a pull.
pub(super) async fn create(app: App, request: Request) -> Result<Reply, ApiError> {
    let query = &request.query;
    let Some(source) = query.text("fromSrc") else {
        return Err(no_pull(
            query.get("fromImage").unwrap_or_default(),
            query.text("tag"),
        ));
    };
    if source != "-" {
        return Err(ApiError::not_supported("importing from a URL"));
    }
    let options = ImportOptions {
        reference: target(
            query.get("repo").unwrap_or_default(),
            query.get("tag").unwrap_or_default(),
        ),
        message: query.get("message").unwrap_or_default().to_owned(),
        changes: query.all("changes").map(str::to_owned).collect(),
    };
    let (archive, upload) = upload(request.body);
    let images = app.engine.images();
    let (id, ()) = tokio::join!(images.import(archive, options), upload);
    Reply::json(&Imported { status: id? })
}

#[derive(Serialize)]
struct Imported {
    status: String,
}

fn no_pull(image: &str, tag: Option<&str>) -> ApiError {
    let separator = if tag.is_some_and(|t| t.contains(':')) {
        "@"
    } else {
        ":"
    };
    let name = tag.map_or_else(
        || image.to_owned(),
        |tag| format!("{image}{separator}{tag}"),
    );
    ApiError::not_found(format!(
        "pulling images is not supported by Hull yet: get {name} here with load or import"
    ))
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
    lines: mpsc::Receiver<String>,
    work: impl Future<Output = Result<(), EngineError>> + Send + 'static,
) -> impl Stream<Item = Line> + Send {
    let line = |text: String| Line::Progress {
        stream: format!("{}\n", text.trim_end()),
    };
    let state = (lines, Some(Box::pin(work)), None);
    stream::unfold(
        state,
        move |(mut lines, mut work, mut failure)| async move {
            while let Some(working) = work.as_mut() {
                tokio::select! {
                    biased;
                    Some(text) = lines.recv() => return Some((line(text), (lines, work, failure))),
                    done = working => {
                        failure = done.err();
                        work = None;
                    }
                }
            }
            match lines.recv().await {
                Some(text) => Some((line(text), (lines, work, failure))),
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
            for text in ["Loaded image: a:1", "Loaded image: b:1\n"] {
                sender.send(text.to_owned()).await.unwrap();
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
                r#"{"stream":"Loaded image: a:1\n"}"#,
                r#"{"stream":"Loaded image: b:1\n"}"#,
                r#"{"errorDetail":{"message":"damaged"},"error":"damaged"}"#,
            ]
        );
    }

    #[test]
    fn a_pull_is_refused_by_name() {
        let message = |image, tag| no_pull(image, tag).message;
        assert!(message("docker.io/library/x", Some("1")).contains(" docker.io/library/x:1 "));
        assert!(message("x", Some("sha256:00")).contains(" x@sha256:00 "));
        assert!(message("x", None).contains(" x "));
    }
}
