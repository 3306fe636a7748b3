//! `WWW-Authenticate`: what a registry wants to see.
//!
//! RFC 9110, section 11: `Bearer realm="https://auth.example/token",service="x",scope="a b"`,
//! several in one header or in several headers.

use std::collections::BTreeMap;

/// Longer ones are not looked at.
const MAX_LENGTH: usize = 8 << 10;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Challenge {
    /// In lower case.
    pub(crate) scheme: String,
    /// Names in lower case.
    parameters: BTreeMap<String, String>,
}

impl Challenge {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.parameters
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }
}

/// The challenges of one header. What cannot be read ends it.
pub(crate) fn parse(header: &str) -> Vec<Challenge> {
    let mut found: Vec<Challenge> = Vec::new();
    let mut rest = header.trim_start_matches(blank);
    if header.len() > MAX_LENGTH {
        return found;
    }
    while let Some((word, after)) = token(rest) {
        let spaced = after.trim_start_matches([' ', '\t']);
        match (spaced.strip_prefix('='), found.last_mut()) {
            (Some(value), Some(last)) => {
                let value = value.trim_start_matches([' ', '\t']);
                let Some((value, after)) = quoted(value).or_else(|| bare(value)) else {
                    break;
                };
                last.parameters.insert(word.to_ascii_lowercase(), value);
                rest = after.trim_start_matches(blank);
            }
            (Some(_), None) => break,
            (None, _) => {
                found.push(Challenge {
                    scheme: word.to_ascii_lowercase(),
                    parameters: BTreeMap::new(),
                });
                rest = spaced.trim_start_matches(blank);
            }
        }
    }
    found
}

fn blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | ',')
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

fn token(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c| !is_token(c)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Values without quotes are taken as far as they go, slashes and colons too.
fn bare(text: &str) -> Option<(String, &str)> {
    if text.starts_with('"') {
        return None;
    }
    let end = text.find(blank).unwrap_or(text.len());
    let (value, rest) = text.split_at(end);
    Some((value.to_owned(), rest))
}

fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.strip_prefix('"')?.char_indices();
    let inside = &text[1..];
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some((value, &inside[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(header: &str) -> Vec<String> {
        let show = |c: Challenge| {
            let parameters = c.parameters.iter().map(|(k, v)| format!(" {k}={v}"));
            format!("{}{}", c.scheme, parameters.collect::<String>())
        };
        parse(header).into_iter().map(show).collect()
    }

    #[test]
    fn headers_as_registries_write_them() {
        let check =
            |header: &str, expected: &[&str]| assert_eq!(shown(header), expected, "{header}");
        check(
            r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#,
            &[
                "bearer realm=https://auth.docker.io/token scope=repository:a/b:pull,push service=registry.docker.io",
            ],
        );
        check(r#"Basic realm="a \"b\" c""#, &[r#"basic realm=a "b" c"#]);
        check(
            r#"Negotiate, BEARER Realm=http://x/t, Basic realm="y""#,
            &["negotiate", "bearer realm=http://x/t", "basic realm=y"],
        );
        check("", &[]);
        check(r#"Basic realm="open"#, &["basic"]);
        check("=x", &[]);
    }

    proptest! {
        #[test]
        fn any_header_is_survived(header in ".{0,200}") {
            parse(&header);
        }

        #[test]
        fn quoted_values_come_back(value in "[ -~]{0,40}") {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            let found = parse(&format!("Bearer realm=\"{quoted}\", x=1"));
            prop_assert_eq!(&found[0].parameters["realm"], &value);
            prop_assert_eq!(&found[0].parameters["x"], "1");
        }
    }
}
