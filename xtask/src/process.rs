//! Running other programs: what ran is part of every error.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

/// A command with its arguments.
pub(crate) fn command<S: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = S>,
) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// Runs with inherited stdio; any exit but 0 is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("run {}", line(command)))?;
    expect_success(command, status)
}

/// Runs and returns its trimmed standard output; any exit but 0 is an error.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("run {}", line(command)))?;
    expect_success(command, output.status)?;
    Ok(String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned())
}

/// Runs with `input` on its standard input, and returns its trimmed output.
pub(crate) fn filter(command: &mut Command, input: &[u8]) -> Result<String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("run {}", line(command)))?;
    // The programs fed this way read all input before they write, so this cannot stall.
    child
        .stdin
        .take()
        .context("no pipe to the program")?
        .write_all(input)?;
    let output = child.wait_with_output()?;
    expect_success(command, output.status)?;
    Ok(String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned())
}

/// What a program that was watched printed, and how it ended.
pub(crate) struct Watched {
    pub(crate) output: String,
    pub(crate) status: ExitStatus,
}

/// Runs with its standard error joined to its output, which is both shown as it
/// comes and returned, so that a test runner's summary can be read from it.
pub(crate) fn watch(command: &mut Command) -> Result<Watched> {
    follow(command, |text| print!("{text}"))
}

/// The same, without showing it.
pub(crate) fn capture(command: &mut Command) -> Result<Watched> {
    follow(command, |_| ())
}

fn follow(command: &mut Command, show: impl Fn(&str)) -> Result<Watched> {
    let (reader, writer) = std::io::pipe().context("make a pipe")?;
    command
        .stdout(writer.try_clone().context("copy a pipe")?)
        .stderr(writer);
    let mut child = command
        .spawn()
        .with_context(|| format!("run {}", line(command)))?;
    // The command still holds the pipe's writing ends: without them the read below ends.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut output = String::new();
    let mut reader = BufReader::new(reader);
    let mut bytes = Vec::new();
    while reader
        .read_until(b'\n', &mut bytes)
        .context("read a program's output")?
        > 0
    {
        let text = String::from_utf8_lossy(&bytes);
        show(&text);
        output.push_str(&text);
        bytes.clear();
    }
    std::io::stdout().flush()?;
    let status = child.wait()?;
    Ok(Watched { output, status })
}

fn expect_success(command: &Command, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("{} ended with {status}", line(command));
    }
    Ok(())
}

fn line(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filter_passes_input_and_returns_output() {
        assert_eq!(
            filter(&mut command("cat", ["-"]), b"through\n").unwrap(),
            "through"
        );
    }

    #[test]
    fn a_failure_names_the_command_and_its_status() {
        let error = run(&mut command("sh", ["-c", "exit 3"]))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("sh -c exit 3") && error.contains('3'),
            "{error}"
        );
    }

    #[test]
    fn watch_joins_both_streams_and_keeps_the_status() {
        let seen = watch(&mut command("sh", ["-c", "echo out; echo err >&2; exit 4"])).unwrap();
        assert!(seen.output.contains("out\n") && seen.output.contains("err\n"));
        assert_eq!(seen.status.code(), Some(4));
    }
}
