//! What a client printed, and how it ended.

use std::fmt;
use std::process::ExitStatus;

/// The end of a command.
#[derive(Debug, Clone)]
pub struct Output {
    command: String,
    /// Its exit code; a signal counts as 128 + n.
    pub code: i32,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl Output {
    pub(crate) fn new(command: String, output: std::process::Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        Self {
            command,
            code: code(output.status),
            stdout,
            stderr,
        }
    }

    /// Its stdout without blanks at the end, if it succeeded.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn ok(&self) -> &str {
        assert_eq!(self.code, 0, "{self}");
        self.stdout.trim_end()
    }

    /// Checks exit code and stdout.
    ///
    /// # Panics
    /// When they differ.
    #[track_caller]
    pub fn expect(&self, code: i32, stdout: &str) {
        assert_eq!((self.code, self.stdout.as_str()), (code, stdout), "{self}");
    }

    /// Checks that it failed with this code, and said this somewhere.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn fails(&self, code: i32, message: &str) {
        assert_eq!(self.code, code, "{self}");
        let said = self.stderr.contains(message) || self.stdout.contains(message);
        assert!(said, "it did not say {message:?}\n{self}");
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            command,
            code,
            stdout,
            stderr,
        } = self;
        write!(
            f,
            "$ {command}\nexit code {code}\nstdout: {stdout}\nstderr: {stderr}"
        )
    }
}

fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}
