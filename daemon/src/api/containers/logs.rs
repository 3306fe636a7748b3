//! `GET /containers/{id}/logs`

use std::io;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use hull_engine::Timestamp;
use hull_engine::api::{LogOptions, LogStream, StdStream, Tail};

use crate::api::{App, time};
use crate::http::query::Query;
use crate::http::{ApiError, Reply, Request};
use crate::stream::Framing;

pub(super) async fn logs(app: App, request: Request) -> Result<Reply, ApiError> {
    let options = options(&request.query)?;
    let log = app.engine.logs(request.id(), options).await?;
    let framing = Framing::of(log.tty);
    let media_type = framing.media_type(request.version);
    Ok(Reply::stream(
        media_type,
        encode(log, framing),
        request.gone,
    ))
}

fn options(query: &Query) -> Result<LogOptions, ApiError> {
    let (stdout, stderr) = (query.flag("stdout"), query.flag("stderr"));
    if !stdout && !stderr {
        let message = "Bad parameters: you must choose at least one stream";
        return Err(ApiError::bad_request(message));
    }
    Ok(LogOptions {
        stdout,
        stderr,
        follow: query.flag("follow"),
        since: moment(query, "since")?,
        until: moment(query, "until")?,
        // What is no number means everything, as "all" does.
        tail: query
            .text("tail")
            .and_then(|t| t.parse().ok())
            .map_or(Tail::All, Tail::Lines),
        timestamps: query.flag("timestamps"),
        details: query.flag("details"),
    })
}

/// Zero is what clients send for none.
fn moment(query: &Query, name: &str) -> Result<Option<Timestamp>, ApiError> {
    let moment = query.text(name).map(time::parse).transpose()?;
    Ok(moment.filter(|t| t.0 != 0))
}

/// The status is out when a line fails, so the failure becomes a line.
fn encode(
    mut log: LogStream,
    framing: Framing,
) -> impl Stream<Item = Result<Bytes, io::Error>> + Send {
    stream::poll_fn(move |cx| {
        log.lines.poll_batch(cx).map(|batch| {
            let mut bytes = BytesMut::new();
            match batch? {
                Ok(lines) => {
                    for line in lines {
                        framing.append(line.stream, &line.bytes, &mut bytes);
                    }
                }
                Err(error) => {
                    let text = format!("Error grabbing logs: {error}\n");
                    framing.append(StdStream::Stderr, text.as_bytes(), &mut bytes);
                }
            }
            Some(Ok(bytes.freeze()))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<LogOptions, ApiError> {
        options(&Query::parse(Some(query)))
    }

    #[test]
    fn options_are_dockers() {
        assert_eq!(parse("").unwrap_err().status, 400);
        let all = parse("stdout=1&tail=all&since=0").unwrap();
        assert_eq!((all.tail, all.since, all.follow), (Tail::All, None, false));
        let some = parse("stderr=1&tail=5&since=10.5&follow=1&timestamps=1").unwrap();
        assert_eq!(some.tail, Tail::Lines(5));
        assert_eq!(some.since, Some(Timestamp(10_500_000_000)));
        assert!(some.follow && some.timestamps && !some.stdout);
        assert_eq!(parse("stdout=1&tail=-1").unwrap().tail, Tail::All);
        assert!(parse("stdout=1&since=soon").is_err());
    }
}
