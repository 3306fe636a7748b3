//! The form of a recording: steps, each a shell command with what it printed and ended with.
//!
//! ```text
//! ### step 2
//! $ docker ps -q
//! --- stdout
//! 859aa5c61b64
//! --- stderr
//! --- exit 0
//!
//! ### step 3 (on a pty, 24x80; typed: y\\n)
//! $ docker image prune
//! --- pty output (raw, CR kept as \r at EOL stripped)
//! …
//! --- exit 0
//! ```
//!
//! Output without a line end at its end runs into the mark that follows it.

/// All steps of one recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// In their order.
    pub steps: Vec<Step>,
}

/// One command that was run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its place in the recording, from one.
    pub number: u32,
    /// For a shell.
    pub command: String,
    /// What was typed, where it ran on a terminal.
    pub typed: Option<String>,
    /// How it went.
    pub seen: Seen,
}

/// What a command printed, and how it ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// What it wrote to stdout, or to its terminal.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
    /// Its exit code.
    pub code: i32,
}

/// A recording that does not have the form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct RecordingError {
    line: usize,
    reason: &'static str,
}

/// Where the lines go that are being read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Between,
    Command,
    Stdout,
    Stderr,
}

const STDERR: &str = "--- stderr";
const EXIT: &str = "--- exit ";

impl Flow {
    /// Reads a recording.
    pub fn parse(text: &str) -> Result<Self, RecordingError> {
        let mut steps: Vec<Step> = Vec::new();
        let mut part = Part::Between;
        for (index, line) in text.lines().enumerate() {
            let bad = |reason| RecordingError {
                line: index + 1,
                reason,
            };
            if let Some(title) = line.strip_prefix("### step ") {
                if part != Part::Between {
                    return Err(bad("the step before has no exit code"));
                }
                let (number, typed) = title_of(title).ok_or_else(|| bad("not a step's title"))?;
                steps.push(Step {
                    number,
                    command: String::new(),
                    typed,
                    seen: Seen::default(),
                });
                part = Part::Command;
                continue;
            }
            let Some(step) = steps.last_mut() else {
                continue; // what is said about the whole recording
            };
            let out = match part {
                Part::Between => continue,
                Part::Command => {
                    if line == "--- stdout" || line.starts_with("--- pty output") {
                        part = Part::Stdout;
                    } else if let Some(command) = line.strip_prefix("$ ") {
                        step.command = command.to_owned();
                    } else {
                        step.command.push('\n');
                        step.command.push_str(line);
                    }
                    continue;
                }
                Part::Stdout => &mut step.seen.stdout,
                Part::Stderr => &mut step.seen.stderr,
            };
            if let Some(rest) = line.strip_suffix(STDERR)
                && part == Part::Stdout
            {
                out.push_str(rest);
                part = Part::Stderr;
            } else if let Some((rest, code)) = exit(line) {
                out.push_str(rest);
                step.seen.code = code;
                part = Part::Between;
            } else {
                out.push_str(line);
                out.push('\n');
            }
        }
        match part {
            Part::Between => Ok(Self { steps }),
            _ => Err(RecordingError {
                line: text.lines().count(),
                reason: "the last step has no exit code",
            }),
        }
    }

    /// The step with this number.
    pub fn step(&self, number: u32) -> Option<&Step> {
        self.steps.iter().find(|step| step.number == number)
    }
}

/// `7`, or `7 (on a pty, 24x80; typed: y\\n)`.
fn title_of(title: &str) -> Option<(u32, Option<String>)> {
    let Some((number, terminal)) = title.split_once(' ') else {
        return Some((title.parse().ok()?, None));
    };
    let (_, typed) = terminal.strip_suffix(')')?.split_once("typed: ")?;
    Some((number.parse().ok()?, Some(keys(typed)?)))
}

/// The exit code of a step, and output that had no line end before it.
fn exit(line: &str) -> Option<(&str, i32)> {
    let (rest, code) = line.rsplit_once(EXIT)?;
    Some((rest, code.parse().ok()?))
}

/// What was typed: quoted for a shell, and before that with `\n` and `\x10` for keys.
fn keys(quoted: &str) -> Option<String> {
    if quoted == "''" {
        return Some(String::new());
    }
    let mut plain = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        plain.push(match character {
            '\\' => characters.next()?,
            other => other,
        });
    }
    let mut typed = String::new();
    let mut characters = plain.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            typed.push(character);
            continue;
        }
        match characters.next()? {
            'n' => typed.push('\n'),
            'x' => {
                let digits: String = characters.by_ref().take(2).collect();
                typed.push(char::from(u8::from_str_radix(&digits, 16).ok()?));
            }
            other => typed.push(other),
        }
    }
    Some(typed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "# flow: x\n# docker CLI: 28\n\n### step 1\n$ echo a;\nprintf b\n--- stdout\na\n\
        b--- stderr\noh\n--- exit 3\n\n### step 2 (on a pty, 24x80; typed: echo\\ x\\\\n\\\\x10\\\\x11)\n\
        $ docker run -it busybox sh\n--- pty output (raw, CR kept as \\r at EOL stripped)\n/ # --- exit 0\n";

    #[test]
    fn steps_have_commands_outputs_and_codes() {
        let flow = Flow::parse(TWO).unwrap();
        let seen = |stdout: &str, stderr: &str, code| Seen {
            stdout: stdout.into(),
            stderr: stderr.into(),
            code,
        };
        assert_eq!(flow.steps.len(), 2);
        let first = flow.step(1).unwrap();
        assert_eq!(first.command, "echo a;\nprintf b");
        assert_eq!(first.typed, None);
        assert_eq!(first.seen, seen("a\nb", "oh\n", 3));
        let second = flow.step(2).unwrap();
        assert_eq!(second.typed.as_deref(), Some("echo x\n\x10\x11"));
        assert_eq!(second.seen, seen("/ # ", "", 0));
        assert_eq!(flow.step(3), None);
    }

    #[test]
    fn what_is_cut_short_is_refused() {
        for text in [
            "### step 1\n$ true\n--- stdout\n",
            "### step one\n",
            "### step 1\n$ true\n### step 2\n",
            "### step 1 (on a pty; typed: \\\\xzz)\n",
        ] {
            assert!(Flow::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn nothing_typed_is_something_else_than_no_terminal() {
        assert_eq!(
            title_of("6 (on a pty, 24x80; typed: '')"),
            Some((6, Some(String::new())))
        );
        assert_eq!(title_of("6"), Some((6, None)));
    }
}
