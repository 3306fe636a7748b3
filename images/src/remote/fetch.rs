//! A file by its address, for `import`.

use std::io::Read;
use std::time::Duration;

use ureq::http::header::CONTENT_LENGTH;
use ureq::http::{Method, Uri};
use ureq::{Agent, ResponseExt};

use super::endpoint::Endpoint;
use super::wire::{cause, proxy, word};
use super::{RemoteError, tls};

const CONNECTING: Duration = Duration::from_secs(30);
/// Without a byte.
const IDLE: Duration = Duration::from_secs(60);
const REDIRECTS: u32 = 10;
const MAX_HEADERS: usize = 64 << 10;

/// Why a file did not come.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("{url:?} is not an address: {why}")]
    Address { url: String, why: &'static str },
    // Docker's wording.
    #[error("Got HTTP status code >= 400: {0}")]
    Status(String),
    #[error(transparent)]
    Remote(#[from] RemoteError),
}

/// A file that has begun to come.
pub struct Fetched {
    /// Breaks off with an error where the other end does.
    pub reader: Box<dyn Read + Send>,
    /// As the other end says, if it does.
    pub length: Option<u64>,
}

/// Asks for `url`, which is `http` where it does not say.
pub fn fetch(url: &str) -> Result<Fetched, FetchError> {
    let full = match url.contains("://") {
        true => url.to_owned(),
        false => format!("http://{url}"),
    };
    let bad = |why| FetchError::Address {
        url: url.to_owned(),
        why,
    };
    let uri: Uri = full.parse().map_err(|_| bad("it cannot be read"))?;
    let host = uri.authority().ok_or_else(|| bad("it has no host"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(bad("only http and https are supported"));
    }
    let endpoint = Endpoint {
        base: String::new(),
        host: host.as_str().to_owned(),
        verified: true,
        mirror: false,
    };
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(REDIRECTS)
        .max_response_header_size(MAX_HEADERS)
        .timeout_resolve(Some(CONNECTING))
        .timeout_connect(Some(CONNECTING))
        .timeout_recv_response(Some(IDLE))
        .timeout_per_read(Some(IDLE))
        .timeout_per_write(Some(IDLE))
        .proxy(proxy(&endpoint.host))
        .tls_config(tls::config(&endpoint, &[])?)
        .build()
        .into();
    let response = agent.get(uri).call().map_err(|error| {
        FetchError::Remote(RemoteError::Unreachable {
            method: word(&Method::GET),
            cause: cause(&error, &full),
            url: full.clone(),
        })
    })?;
    tracing::debug!(from = %response.get_uri(), status = %response.status(), "fetching");
    if response.status().as_u16() >= 400 {
        return Err(FetchError::Status(response.status().to_string()));
    }
    let length = response.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    Ok(Fetched {
        reader: Box::new(response.into_body().into_reader()),
        length,
    })
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, Say};
    use super::*;

    fn text(url: &str) -> Result<(String, Option<u64>), String> {
        let mut fetched = fetch(url).map_err(|error| error.to_string())?;
        let mut text = String::new();
        let read = fetched.reader.read_to_string(&mut text);
        read.map_err(|error| error.to_string())?;
        Ok((text, fetched.length))
    }

    #[test]
    fn a_file_comes_with_its_length_also_from_elsewhere() {
        let server = Fake::start(|seen| match &seen.line()[..] {
            "GET /x.tar" => Say::new(200, "contents"),
            "GET /moved" => Say::new(302, "").with("location", "/x.tar"),
            _ => Say::new(404, ""),
        });
        let host = server.host();
        let expected = Ok(("contents".to_owned(), Some(8)));
        assert_eq!(text(&format!("http://{host}/x.tar")), expected);
        assert_eq!(text(&format!("{host}/moved")), expected);
        let missing = text(&format!("http://{host}/nosuch"));
        assert_eq!(
            missing,
            Err("Got HTTP status code >= 400: 404 Not Found".into())
        );
    }

    #[test]
    fn what_breaks_off_or_never_ends_its_redirects_is_an_error() {
        let server = Fake::start(|seen| match &seen.line()[..] {
            "GET /cut" => Say::new(200, "contents").cut(3),
            _ => Say::new(302, "").with("location", "/again"),
        });
        let host = server.host();
        assert!(text(&format!("http://{host}/cut")).is_err());
        assert!(text(&format!("http://{host}/again")).is_err());
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for url in ["file:///etc/passwd", "http://", "ftp://x/y", "http://a b/"] {
            let error = fetch(url).err().map(|error| error.to_string());
            assert!(error.unwrap().contains("is not an address"), "{url}");
        }
    }
}
