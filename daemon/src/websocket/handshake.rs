//! From a request to an accepted key (section 4.2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::{CONNECTION, HeaderName, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use crate::http::ApiError;

/// What the key is hashed with (section 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const VERSION: &str = "13";
const KEY_BYTES: usize = 16;

/// The value of `Sec-WebSocket-Accept` for a request that is for a WebSocket.
pub(crate) fn accept(headers: &HeaderMap) -> Result<String, ApiError> {
    if !(has_word(headers, &UPGRADE, "websocket") && has_word(headers, &CONNECTION, "upgrade")) {
        return Err(ApiError::bad_request("not a WebSocket handshake"));
    }
    let value = |name: &HeaderName| headers.get(name)?.to_str().ok();
    if value(&SEC_WEBSOCKET_VERSION) != Some(VERSION) {
        return Err(ApiError::bad_request(
            "unsupported WebSocket version: it has to be 13",
        ));
    }
    let key = value(&SEC_WEBSOCKET_KEY).unwrap_or_default().trim();
    match STANDARD.decode(key) {
        Ok(bytes) if bytes.len() == KEY_BYTES => Ok(accepted(key)),
        _ => Err(ApiError::bad_request("the WebSocket key is not 16 bytes")),
    }
}

fn accepted(key: &str) -> String {
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes());
    STANDARD.encode(hash)
}

/// Headers are lists, and words in them have any case.
fn has_word(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    let lines = headers.get_all(name).into_iter();
    lines.filter_map(|line| line.to_str().ok()).any(|line| {
        line.split(',')
            .any(|word| word.trim().eq_ignore_ascii_case(wanted))
    })
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        list.iter().map(pair).collect()
    }

    #[test]
    fn the_key_of_the_standards_example_is_accepted() {
        let good = [
            ("upgrade", "WebSocket"),
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        assert_eq!(
            accept(&headers(&good)),
            Ok("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".to_owned())
        );
        for (at, bad) in [
            (0, "tcp"),
            (1, "close"),
            (2, "8"),
            (3, "c2hvcnQ="),
            (3, "not base64 at all"),
        ] {
            let mut list = good;
            list[at].1 = bad;
            assert!(accept(&headers(&list)).is_err(), "{list:?}");
        }
    }
}
