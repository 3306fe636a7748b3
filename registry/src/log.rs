//! The access log: a line a request, in the combined form that log readers know.

use std::fs::File;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{HeaderName, REFERER, USER_AGENT};
use hyper::http::request::Parts;
use jiff::{Timestamp, tz::TimeZone};

/// Where lines go.
#[derive(Debug)]
pub(crate) enum AccessLog {
    Off,
    Stdout,
    File(Mutex<File>),
}

/// A request that was answered.
pub(crate) struct Line<'a> {
    pub(crate) peer: SocketAddr,
    pub(crate) user: Option<&'a str>,
    pub(crate) parts: &'a Parts,
    pub(crate) status: StatusCode,
    pub(crate) sent: u64,
    pub(crate) took: Duration,
}

impl AccessLog {
    /// `off`, `stdout`, or a file's path.
    pub(crate) fn open(text: &str) -> io::Result<AccessLog> {
        match text {
            "off" => Ok(AccessLog::Off),
            "stdout" => Ok(AccessLog::Stdout),
            path => {
                let file = File::options().append(true).create(true).open(path)?;
                Ok(AccessLog::File(Mutex::new(file)))
            }
        }
    }

    pub(crate) fn write(&self, line: &Line<'_>) {
        let written = match self {
            AccessLog::Off => return,
            AccessLog::Stdout => io::stdout().lock().write_all(format(line).as_bytes()),
            AccessLog::File(file) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                file.write_all(format(line).as_bytes())
            }
        };
        if let Err(error) = written {
            tracing::debug!(%error, "cannot write the access log");
        }
    }
}

fn format(line: &Line<'_>) -> String {
    let now = Timestamp::now().to_zoned(TimeZone::UTC);
    let header = |name: &HeaderName| {
        let value = line
            .parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok());
        escape(value.unwrap_or_default())
    };
    format!(
        "{} - {} [{}] \"{} {} {:?}\" {} {} \"{}\" \"{}\" {}ms\n",
        line.peer.ip(),
        line.user.map_or_else(|| "-".to_owned(), escape),
        now.strftime("%d/%b/%Y:%H:%M:%S %z"),
        line.parts.method,
        escape(&line.parts.uri.to_string()),
        line.parts.version,
        line.status.as_u16(),
        line.sent,
        header(&REFERER),
        header(&USER_AGENT),
        line.took.as_millis(),
    )
}

/// What a client sent must not look like a line of its own.
fn escape(text: &str) -> String {
    let safe = |c: char| !c.is_control() && c != '"' && c != '\\';
    let escaped = |c: char| match safe(c) {
        true => c.to_string(),
        false => c.escape_default().to_string(),
    };
    text.chars().take(2000).map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_who_asked_what_and_got_what() {
        let request = hyper::Request::builder()
            .uri("/v2/a/tags/list?n=1")
            .header(USER_AGENT, "x\"y")
            .body(())
            .unwrap();
        let text = format(&Line {
            peer: "10.0.0.1:5".parse().unwrap(),
            user: Some("ann\n"),
            parts: &request.into_parts().0,
            status: StatusCode::OK,
            sent: 12,
            took: Duration::from_millis(3),
        });
        let (start, rest) = text.split_once('[').unwrap();
        let (_, end) = rest.split_once(']').unwrap();
        assert_eq!(start, "10.0.0.1 - ann\\n ");
        let expected = " \"GET /v2/a/tags/list?n=1 HTTP/1.1\" 200 12 \"\" \"x\\\"y\" 3ms\n";
        assert_eq!(end, expected);
    }
}
