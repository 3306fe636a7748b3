//! Pulls and pushes: one JSON line for each thing that happens.
//!
//! The status goes out with the first line. What fails before it is an answer of its own.

use futures_util::{Stream, StreamExt, stream};
use hull_engine::api::{Down, PullOptions, PushOptions, Transfer, Up};
use hull_engine::{EngineError, ImportStep};
use serde::Serialize;
use tokio::sync::mpsc;

use super::progress::bar;
use super::save::platform;
use crate::api::{App, credentials};
use crate::http::{ApiError, Reply, Request};

/// How many lines may wait for a slow client before the transfer does.
const QUEUE: usize = 64;

/// A transfer that goes on while it is asked for.
type Work = std::pin::Pin<Box<dyn Future<Output = Result<(), EngineError>> + Send>>;

/// One line, in the order of Docker's keys.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line {
    #[serde(skip_serializing_if = "String::is_empty")]
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress_detail: Option<Detail>,
    #[serde(skip_serializing_if = "String::is_empty")]
    progress: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    aux: Option<Aux>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_detail: Option<Message>,
    #[serde(skip_serializing_if = "String::is_empty")]
    error: String,
}

#[derive(Debug, Default, Serialize)]
struct Detail {
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Aux {
    tag: String,
    digest: String,
    size: u64,
}

#[derive(Debug, Serialize)]
struct Message {
    message: String,
}

impl Line {
    fn status(text: impl Into<String>) -> Self {
        Self {
            status: text.into(),
            ..Self::default()
        }
    }

    fn layer(id: String, status: impl Into<String>) -> Self {
        Self {
            id,
            progress_detail: Some(Detail::default()),
            ..Self::status(status)
        }
    }

    fn bar(id: String, status: &str, (done, total): (u64, u64)) -> Self {
        Self {
            progress: bar(done, total),
            progress_detail: Some(Detail {
                current: Some(done).filter(|done| *done > 0),
                total: Some(total).filter(|total| *total > 0),
            }),
            ..Self::layer(id, status)
        }
    }

    fn failure(error: &EngineError) -> Self {
        let error = error.to_string();
        Self {
            error_detail: Some(Message {
                message: error.clone(),
            }),
            error,
            ..Self::default()
        }
    }
}

/// Something that is told in lines.
pub(super) trait Tell: Send + 'static {
    fn lines(self) -> Vec<Line>;
}

impl Tell for Transfer {
    fn lines(self) -> Vec<Line> {
        told(self)
    }
}

/// An import from elsewhere, in Docker's words.
impl Tell for ImportStep {
    fn lines(self) -> Vec<Line> {
        vec![match self {
            Self::Begun(url) => Line::status(format!("Downloading from {url}")),
            Self::Coming { done, total } => Line::bar(String::new(), "Importing", (done, total)),
            Self::Made(id) => Line::status(id),
        }]
    }
}

/// `POST /images/create?fromImage=&tag=&platform=`
pub(super) async fn pull(app: App, request: Request) -> Result<Reply, ApiError> {
    let text = |name: &str| request.query.get(name).unwrap_or_default().to_owned();
    let options = PullOptions {
        image: text("fromImage"),
        version: text("tag"),
        platform: text("platform"),
        credentials: credentials::of(&request),
    };
    let (progress, lines) = mpsc::channel(QUEUE);
    let work = async move { app.engine.images().pull(options, progress).await };
    answer(request, lines, work).await
}

/// `POST /images/{name}/push?tag=&platform=`
pub(super) async fn push(app: App, request: Request) -> Result<Reply, ApiError> {
    let options = PushOptions {
        image: request.name().to_owned(),
        tag: request.query.get("tag").unwrap_or_default().to_owned(),
        platform: platform(request.query.text("platform"))?,
        credentials: credentials::of(&request),
    };
    let (progress, lines) = mpsc::channel(QUEUE);
    let work = async move { app.engine.images().push(options, progress).await };
    answer(request, lines, work).await
}

pub(super) async fn answer(
    request: Request,
    lines: mpsc::Receiver<impl Tell>,
    work: impl Future<Output = Result<(), EngineError>> + Send + 'static,
) -> Result<Reply, ApiError> {
    let lines = tokio::select! {
        lines = begin(lines, work) => lines?,
        // Nobody is left to answer.
        () = request.gone.cancelled() => return Err(EngineError::Closing.into()),
    };
    Ok(Reply::json_lines(lines, request.gone))
}

/// Waits for the first line; the others follow as they come, a failure as the last.
async fn begin<T: Tell>(
    mut lines: mpsc::Receiver<T>,
    work: impl Future<Output = Result<(), EngineError>> + Send + 'static,
) -> Result<impl Stream<Item = Line> + Send, EngineError> {
    let mut work: Work = Box::pin(work);
    tokio::select! {
        biased;
        Some(first) = lines.recv() => Ok(all(Some(first), lines, Some(work), None)),
        done = &mut work => match (done, lines.try_recv().ok()) {
            (Err(error), None) => Err(error),
            // A line may have come with the end.
            (done, first) => Ok(all(first, lines, None, done.err())),
        }
    }
}

fn all<T: Tell>(
    first: Option<T>,
    lines: mpsc::Receiver<T>,
    work: Option<Work>,
    failure: Option<EngineError>,
) -> impl Stream<Item = Line> + Send {
    let rest = stream::unfold(
        (lines, work, failure),
        |(mut lines, mut work, mut failure)| async move {
            while let Some(working) = work.as_mut() {
                tokio::select! {
                    biased;
                    Some(line) = lines.recv() => return Some((line.lines(), (lines, work, failure))),
                    done = working => {
                        failure = done.err();
                        work = None;
                    }
                }
            }
            match lines.recv().await {
                Some(line) => Some((line.lines(), (lines, work, failure))),
                None => failure
                    .take()
                    .map(|error| (vec![Line::failure(&error)], (lines, work, None))),
            }
        },
    );
    stream::iter(first.map(T::lines))
        .chain(rest)
        .flat_map(stream::iter)
}

/// Docker's words for what happens.
fn told(transfer: Transfer) -> Vec<Line> {
    vec![match transfer {
        Transfer::Pulling { version, path } => Line {
            id: version,
            ..Line::status(format!("Pulling from {path}"))
        },
        Transfer::Down { blob, state } => down(blob.short(), state),
        Transfer::Pulled(digest) => Line::status(format!("Digest: {digest}")),
        Transfer::Status { name, newer } => {
            let what = match newer {
                true => "Downloaded newer image for",
                false => "Image is up to date for",
            };
            Line::status(format!("Status: {what} {}", name.familiar()))
        }
        Transfer::Warning(text) => Line::status(format!("WARNING: {text}")),
        Transfer::Pushing { repository } => {
            Line::status(format!("The push refers to repository [{repository}]"))
        }
        Transfer::Up { layer, state } => up(layer.short(), state),
        Transfer::Pushed { tag, digest, size } => {
            let line = Line::status(format!("{tag}: digest: {digest} size: {size}"));
            let digest = digest.to_string();
            let aux = Line {
                progress_detail: Some(Detail::default()),
                aux: Some(Aux { tag, digest, size }),
                ..Line::default()
            };
            return vec![line, aux];
        }
    }]
}

fn down(id: String, state: Down) -> Line {
    let words = match state {
        Down::AlreadyExists => "Already exists",
        Down::Queued => "Pulling fs layer",
        Down::Waiting => "Waiting",
        Down::Retrying { seconds: 1 } => "Retrying in 1 second",
        Down::Retrying { seconds } => {
            return Line::layer(id, format!("Retrying in {seconds} seconds"));
        }
        Down::Downloading { done, total } => return Line::bar(id, "Downloading", (done, total)),
        Down::Verifying => "Verifying Checksum",
        Down::Downloaded => "Download complete",
        Down::Extracting { done, total } => return Line::bar(id, "Extracting", (done, total)),
        Down::Complete => "Pull complete",
    };
    Line::layer(id, words)
}

fn up(id: String, state: Up) -> Line {
    let words = match state {
        Up::Preparing => "Preparing",
        Up::Compressing { done, total } => return Line::bar(id, "Preparing", (done, total)),
        Up::Waiting => "Waiting",
        Up::Pushing { done, total } => return Line::bar(id, "Pushing", (done, total)),
        Up::Mounted(from) => return Line::layer(id, format!("Mounted from {from}")),
        Up::AlreadyExists => "Layer already exists",
        Up::Pushed => "Pushed",
    };
    Line::layer(id, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(transfer: Transfer) -> Vec<String> {
        let lines = told(transfer).into_iter();
        lines
            .map(|line| serde_json::to_string(&line).unwrap())
            .collect()
    }

    #[test]
    fn lines_are_docker_s() {
        let digest = format!("sha256:6395d8d3391a{}", "0".repeat(52));
        let layer = |state| Transfer::Down {
            blob: digest.parse().unwrap(),
            state,
        };
        let check = |transfer, expected: &str| assert_eq!(json(transfer), [expected]);
        check(
            Transfer::Pulling {
                version: "latest".into(),
                path: "devenv".into(),
            },
            r#"{"status":"Pulling from devenv","id":"latest"}"#,
        );
        check(
            layer(Down::Queued),
            r#"{"status":"Pulling fs layer","progressDetail":{},"id":"6395d8d3391a"}"#,
        );
        let full = "=".repeat(50);
        check(
            layer(Down::Downloading {
                done: 238,
                total: 238,
            }),
            &format!(
                r#"{{"status":"Downloading","progressDetail":{{"current":238,"total":238}},"progress":"[{full}>]     238B/238B","id":"6395d8d3391a"}}"#
            ),
        );
        check(
            Transfer::Status {
                name: "localhost:5000/devenv".parse().unwrap(),
                newer: false,
            },
            r#"{"status":"Status: Image is up to date for localhost:5000/devenv"}"#,
        );
        let pushed = Transfer::Pushed {
            tag: "latest".into(),
            digest: digest.parse().unwrap(),
            size: 736,
        };
        assert_eq!(
            json(pushed),
            [
                format!(r#"{{"status":"latest: digest: {digest} size: 736"}}"#),
                format!(
                    r#"{{"progressDetail":{{}},"aux":{{"Tag":"latest","Digest":"{digest}","Size":736}}}}"#
                ),
            ]
        );
    }

    #[tokio::test]
    async fn a_failure_is_an_answer_before_the_first_line_and_a_line_after() {
        let failure = || Err(EngineError::Invalid("oops".into()));
        let (_sender, lines) = mpsc::channel::<Transfer>(1);
        assert!(begin(lines, async move { failure() }).await.is_err());
        let (sender, lines) = mpsc::channel(4);
        let work = async move {
            for word in ["a", "b"] {
                sender.send(Transfer::Warning(word.into())).await.unwrap();
            }
            failure()
        };
        let lines: Vec<Line> = begin(lines, work).await.ok().unwrap().collect().await;
        let text: Vec<_> = lines
            .iter()
            .map(|l| format!("{}{}", l.status, l.error))
            .collect();
        assert_eq!(text, ["WARNING: a", "WARNING: b", "oops"]);
    }
}
