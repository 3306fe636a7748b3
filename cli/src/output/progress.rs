//! Pull, load and import as they go along.
//!
//! On a terminal each layer has a line that is drawn again as it moves; anywhere else states
//! are lines and bars are left out.

use std::io::Write;

use super::size;
use crate::api::{JsonLines, Message, Progress};
use crate::failure::Failure;
use crate::terminal::size::Size;

/// On a terminal that is no wider a bar would not fit into one line: numbers have to do.
const NARROW: u16 = 110;

/// Shows a stream's messages to its end.
pub(crate) async fn show(
    lines: &mut JsonLines,
    out: &mut (dyn Write + Send),
    terminal: bool,
) -> Result<(), Failure> {
    let mut layers = Vec::new();
    let wide = Size::of_stdout().is_none_or(|size| size.columns > NARROW);
    while let Some(message) = lines.next().await? {
        let text = if terminal {
            drawn(&message, &mut layers, wide)
        } else {
            plain(&message)
        };
        out.write_all(text.as_bytes())?;
        out.flush()?;
    }
    Ok(())
}

fn plain(message: &Message) -> String {
    if bar(message.progress.as_ref(), true).is_some() {
        return String::new();
    }
    text(message)
}

fn text(message: &Message) -> String {
    if !message.stream.is_empty() {
        return message.stream.clone();
    }
    match message.id.as_str() {
        // What is for programs: a pushed tag's digest.
        "" if message.status.is_empty() => String::new(),
        "" => format!("{}\n", message.status),
        id => format!("{id}: {}\n", message.status),
    }
}

/// Draws a layer's line where it stands: up to it, clear it, write it, and back down.
fn drawn(message: &Message, layers: &mut Vec<String>, wide: bool) -> String {
    if message.id.is_empty()
        && message.stream.is_empty()
        && let Some(bar) = bar(message.progress.as_ref(), wide)
    {
        return format!("\x1b[2K\r{} {bar}\r", message.status);
    }
    if message.id.is_empty() || !message.stream.is_empty() {
        return text(message);
    }
    let mut out = String::new();
    let at = layers
        .iter()
        .position(|layer| *layer == message.id)
        .unwrap_or_else(|| {
            layers.push(message.id.clone());
            out.push('\n');
            layers.len() - 1
        });
    let up = layers.len() - at;
    let bar = bar(message.progress.as_ref(), wide)
        .map(|bar| format!(" {bar}"))
        .unwrap_or_default();
    out.push_str(&format!(
        "\x1b[{up}A\x1b[2K\r{}: {}{bar}\r\x1b[{up}B",
        message.id, message.status
    ));
    out
}

fn bar(progress: Option<&Progress>, wide: bool) -> Option<String> {
    const WIDTH: usize = 50;
    let Progress { current, total } = progress?;
    if *current <= 0 && *total <= 0 {
        return None;
    }
    let now = size::long(*current);
    if *total <= 0 || current > total {
        return Some(format!("{now:>8}"));
    }
    let percent = i128::from(*current) * 100 / i128::from(*total);
    let filled = usize::try_from(percent / 2).unwrap_or_default();
    let bar = match wide {
        true => format!("[{}>{}] ", "=".repeat(filled), " ".repeat(WIDTH - filled)),
        false => String::new(),
    };
    Some(format!("{bar}{now:>8}/{}", size::long(*total)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(json: &str) -> Message {
        serde_json::from_str(json).expect("a message")
    }

    #[test]
    fn off_a_terminal_states_are_lines_and_bars_are_left_out() {
        for (json, expected) in [
            (
                r#"{"status":"Pulling from library/x","id":"latest"}"#,
                "latest: Pulling from library/x\n",
            ),
            (
                r#"{"status":"Pulling fs layer","progressDetail":{},"id":"6395"}"#,
                "6395: Pulling fs layer\n",
            ),
            (
                r#"{"status":"Downloading","progressDetail":{"current":1,"total":9},"id":"6395"}"#,
                "",
            ),
            (
                r#"{"stream":"Loaded image: x:latest\n"}"#,
                "Loaded image: x:latest\n",
            ),
            (r#"{"status":"Digest: sha256:ff"}"#, "Digest: sha256:ff\n"),
        ] {
            assert_eq!(plain(&message(json)), expected, "{json}");
        }
    }

    #[test]
    fn on_a_terminal_a_layer_keeps_its_line() {
        let mut layers = Vec::new();
        let json =
            r#"{"status":"Loading layer","progressDetail":{"current":50,"total":100},"id":"a"}"#;
        let first = drawn(&message(json), &mut layers, true);
        let bar = format!("[{}>{}]      50B/100B", "=".repeat(25), " ".repeat(25));
        assert_eq!(
            first,
            format!("\n\x1b[1A\x1b[2K\ra: Loading layer {bar}\r\x1b[1B")
        );
        drop(drawn(
            &message(r#"{"status":"x","id":"b"}"#),
            &mut layers,
            true,
        ));
        let again = drawn(&message(r#"{"status":"Done","id":"a"}"#), &mut layers, true);
        assert_eq!(again, "\x1b[2A\x1b[2K\ra: Done\r\x1b[2B");
    }

    #[test]
    fn a_bar_is_docker_s_and_left_out_where_it_would_not_fit() {
        let check = |current, total, wide, expected: Option<&str>| {
            let progress = Progress { current, total };
            assert_eq!(bar(Some(&progress), wide).as_deref(), expected);
        };
        let full = format!("[{}>]  128.9MB/128.9MB", "=".repeat(50));
        check(128_900_000, 128_900_000, true, Some(&full));
        check(128_900_000, 128_900_000, false, Some(" 128.9MB/128.9MB"));
        check(5, 0, true, Some("      5B"));
        check(5, 4, true, Some("      5B"));
        check(0, 0, true, None);
    }
}
