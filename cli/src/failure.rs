//! How a verb fails: what stderr says and what the process exits with.
//!
//! Docker's statuses: 125 for a bad flag and for what `run` could not do, 126 and 127 for a
//! command that cannot be started, 64 for a bad `inspect` template, 1 for the rest.

use crate::api;

/// The status of `run` where no container ran, and of a command line that makes no sense.
pub(crate) const REFUSED: u8 = 125;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Nothing is printed where it is empty: the status says it all.
    pub(crate) text: String,
    pub(crate) status: u8,
}

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Failure {
        Failure {
            text: text.into(),
            status: 1,
        }
    }

    pub(crate) fn silent(status: u8) -> Failure {
        Failure {
            text: String::new(),
            status,
        }
    }

    pub(crate) fn with_status(self, status: u8) -> Failure {
        Failure { status, ..self }
    }

    /// As a failed `run` is told: the program's name before, where to look after.
    pub(crate) fn of_verb(self, verb: &str, status: u8) -> Failure {
        let text = format!(
            "hull: {}\n\nRun 'hull {verb} --help' for more information",
            self.text
        );
        Failure { text, status }
    }
}

impl From<api::Error> for Failure {
    fn from(error: api::Error) -> Failure {
        Failure::new(error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    /// Only our own output gets here. Who stopped reading it does not want a message.
    fn from(error: std::io::Error) -> Failure {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Failure::silent(1),
            _ => Failure::new(format!("cannot write the output: {error}")),
        }
    }
}
