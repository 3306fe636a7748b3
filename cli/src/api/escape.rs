//! Percent-encoding for the two places where a user's words enter a request's address.

/// A query value, as HTML forms encode it: space is `+`.
pub(crate) fn query(text: &str) -> String {
    encode(text, |byte| matches!(byte, b'-' | b'_' | b'.' | b'~'), true)
}

/// Words within a path. The marks of an image reference (`/ : @`) stay as they are.
pub(crate) fn path(text: &str) -> String {
    // A name cannot climb out of its place: the daemon has no path with dots alone in it.
    encode(
        text,
        |byte| matches!(byte, b'-' | b'_' | b'.' | b'~' | b'/' | b':' | b'@'),
        false,
    )
}

fn encode(text: &str, plain: impl Fn(u8) -> bool, plus: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            byte if byte.is_ascii_alphanumeric() || plain(byte) => out.push(char::from(byte)),
            b' ' if plus => out.push('+'),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_keep_their_marks_in_a_path() {
        assert_eq!(
            path("localhost:5000/a/b@sha256:ff"),
            "localhost:5000/a/b@sha256:ff"
        );
        assert_eq!(path("a b?c#d%"), "a%20b%3Fc%23d%25");
    }

    #[test]
    fn queries_encode_as_forms_do() {
        assert_eq!(query("CMD [\"sh\"]"), "CMD+%5B%22sh%22%5D");
        assert_eq!(query("docker.io/library/x"), "docker.io%2Flibrary%2Fx");
    }
}
