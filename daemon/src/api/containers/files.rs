//! A container's files: `cp`, `diff`, `export`, `commit`.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt, stream};
use http_body_util::BodyExt;
use hull_engine::api::{CommitOptions, CopyOptions};
use hull_engine::{FileArchive, PathStat, Timestamp};
use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue};
use serde::Serialize;
use tokio_util::io::StreamReader;

use crate::api::App;
use crate::http::{ApiError, Reply, Request};

const STAT: HeaderName = HeaderName::from_static("x-docker-container-path-stat");
const TAR: &str = "application/x-tar";

/// `HEAD /containers/{id}/archive?path=`
pub(super) async fn stat(app: App, request: Request) -> Result<Reply, ApiError> {
    let stat = app.engine.stat_path(request.id(), path(&request)?).await?;
    with_stat(Reply::empty(StatusCode::OK), &stat)
}

/// `GET /containers/{id}/archive?path=`
pub(super) async fn read(app: App, request: Request) -> Result<Reply, ApiError> {
    let (archive, stat) = app.engine.read_path(request.id(), path(&request)?).await?;
    with_stat(Reply::stream(TAR, pieces(archive), request.gone), &stat)
}

/// `PUT /containers/{id}/archive?path=&noOverwriteDirNonDir=&copyUIDGID=`
pub(super) async fn write(app: App, request: Request) -> Result<Reply, ApiError> {
    let options = CopyOptions {
        keep_kinds: request.query.flag("noOverwriteDirNonDir"),
        to_user: request.query.flag("copyUIDGID"),
    };
    let (id, path) = (request.id().to_owned(), path(&request)?.to_owned());
    let body = request.body.into_data_stream().map_err(io::Error::other);
    let archive = StreamReader::new(body);
    app.engine.write_path(&id, &path, options, archive).await?;
    Ok(Reply::empty(StatusCode::OK))
}

/// `GET /containers/{id}/export`
pub(super) async fn export(app: App, request: Request) -> Result<Reply, ApiError> {
    let archive = app.engine.export(request.id()).await?;
    let pieces = pieces(archive);
    Ok(Reply::stream(
        "application/octet-stream",
        pieces,
        request.gone,
    ))
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ChangeItem {
    path: String,
    kind: u8,
}

/// `GET /containers/{id}/changes`
pub(super) async fn changes(app: App, request: Request) -> Result<Reply, ApiError> {
    let changes = app.engine.changes(request.id()).await?;
    let items: Vec<ChangeItem> = changes
        .into_iter()
        .map(|change| ChangeItem {
            path: String::from_utf8_lossy(&change.path).into_owned(),
            kind: change.kind as u8,
        })
        .collect();
    Reply::json(&items)
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Committed {
    id: String,
}

/// `POST /commit?container=&repo=&tag=&author=&comment=&changes=&pause=`
pub(super) async fn commit(app: App, request: Request) -> Result<Reply, ApiError> {
    let query = &request.query;
    let text = |name: &str| query.get(name).unwrap_or_default().to_owned();
    let options = CommitOptions {
        reference: reference(&text("repo"), &text("tag")),
        author: text("author"),
        comment: text("comment"),
        changes: query.all("changes").map(str::to_owned).collect(),
        pause: query.get("pause").is_none() || query.flag("pause"),
    };
    let container = query.text("container");
    let container =
        container.ok_or_else(|| ApiError::bad_request("invalid name or ID supplied: \"\""))?;
    let id = app.engine.commit(container, options).await?;
    Reply::json_with(StatusCode::CREATED, &Committed { id })
}

fn reference(repository: &str, tag: &str) -> String {
    match (repository, tag) {
        ("", _) => String::new(),
        (repository, "") => repository.to_owned(),
        (repository, tag) => format!("{repository}:{tag}"),
    }
}

fn path(request: &Request) -> Result<&str, ApiError> {
    let path = request.query.text("path");
    // Docker's own words, without a blank.
    path.ok_or_else(|| ApiError::bad_request("bad parameter: pathcannot be empty"))
}

/// An archive that breaks off breaks the connection off: nobody takes it for a whole one.
fn pieces(archive: FileArchive) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::try_unfold(archive, |mut archive| async move {
        let next = archive.next().await.map_err(io::Error::other)?;
        Ok(next.map(|bytes| (bytes, archive)))
    })
}

/// Docker's JSON for the header.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stat<'a> {
    name: &'a str,
    size: u64,
    mode: u32,
    mtime: String,
    link_target: &'a str,
}

fn with_stat(reply: Reply, stat: &PathStat) -> Result<Reply, ApiError> {
    let json = serde_json::to_vec(&Stat {
        name: &stat.name,
        size: stat.size,
        mode: go_mode(stat.mode),
        mtime: Timestamp(stat.mtime).to_string(),
        link_target: &stat.link_target,
    });
    let json = json.map_err(|e| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))?;
    let value = HeaderValue::from_str(&STANDARD.encode(json))
        .map_err(|e| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))?;
    Ok(reply.with_header(STAT, value))
}

/// Go's `os.FileMode` of what `stat` says.
fn go_mode(mode: u32) -> u32 {
    const KINDS: [(u32, u32); 6] = [
        (0o040_000, 1 << 31),
        (0o120_000, 1 << 27),
        (0o060_000, 1 << 26),
        (0o020_000, 1 << 26 | 1 << 21),
        (0o010_000, 1 << 25),
        (0o140_000, 1 << 24),
    ];
    const BITS: [(u32, u32); 3] = [(0o4000, 1 << 23), (0o2000, 1 << 22), (0o1000, 1 << 20)];
    let kind = KINDS.iter().find(|(kind, _)| mode & 0o170_000 == *kind);
    let bits = BITS.iter().filter(|(bit, _)| mode & bit != 0);
    bits.fold(
        mode & 0o777 | kind.map_or(0, |(_, go)| *go),
        |all, (_, go)| all | go,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_gos() {
        for (mode, go) in [
            (0o100_644, 0o644),
            (0o040_755, 1 << 31 | 0o755),
            (0o041_777, 1 << 31 | 1 << 20 | 0o777),
            (0o104_755, 1 << 23 | 0o755),
            (0o120_777, 1 << 27 | 0o777),
            (0o020_620, 1 << 26 | 1 << 21 | 0o620),
            (0o060_660, 1 << 26 | 0o660),
        ] {
            assert_eq!(go_mode(mode), go, "{mode:o}");
        }
    }

    #[test]
    fn a_name_needs_a_repository() {
        assert_eq!(reference("", "x"), "");
        assert_eq!(reference("a/b", ""), "a/b");
        assert_eq!(reference("a", "b"), "a:b");
    }
}
