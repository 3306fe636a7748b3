//! Go's `text/template`, all of it, with Docker's functions: what `--format` takes.
//!
//! ```text
//! text ──lex──► tokens ──parse──► tree ──eval(value)──► text
//!                 number ─┘         call ─┘ └─ functions: compare, sequence, escape
//! ```
//!
//! Messages have Go's form and name the place that Go names, because scripts grep for them.
//! `testdata/formats` has what the real `docker` answered to some hundreds of formats.

mod call;
mod compare;
mod escape;
mod eval;
mod functions;
mod letters;
mod lex;
mod number;
mod parse;
mod sequence;
mod tree;

use super::go::Value;

/// The format could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template: {format}:{line}: {reason}")]
pub(crate) struct ParseError {
    format: &'static str,
    line: usize,
    reason: String,
}

/// The format could be read but not run over this value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct RunError {
    message: String,
    /// The text up to the mistake.
    pub(crate) written: String,
}

/// How a format is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Plain,
    /// What a map does not have is a mistake.
    Strict,
    /// Over a table's header: names pass through functions unchanged.
    Header,
}

impl Mode {
    fn missing_is_error(self) -> bool {
        self == Mode::Strict
    }
}

/// A format that has been read.
#[derive(Debug)]
pub(crate) struct Template {
    /// Most have no name.
    name: &'static str,
    text: String,
    forest: parse::Forest,
}

impl Template {
    pub(crate) fn parse(text: &str) -> Result<Template, ParseError> {
        Template::parse_named("", text)
    }

    pub(crate) fn parse_named(name: &'static str, text: &str) -> Result<Template, ParseError> {
        Ok(Template {
            name,
            text: text.to_owned(),
            forest: parse::forest(name, text)?,
        })
    }

    pub(crate) fn run(&self, value: &Value) -> Result<String, RunError> {
        self.run_in(Mode::Plain, value)
    }

    /// Refuses keys that a map does not have.
    pub(crate) fn run_strictly(&self, value: &Value) -> Result<String, RunError> {
        self.run_in(Mode::Strict, value)
    }

    /// Over the names of a table's columns, where `{{upper .ID}}` still reads `CONTAINER ID`. It
    /// ends where there is a mistake.
    pub(crate) fn run_header(&self, columns: &[(&str, &str)]) -> String {
        let header = Value::header(functions::HEADER_TYPE, columns);
        let header = self.run_in(Mode::Header, &header);
        header.unwrap_or_else(|error| error.written)
    }

    fn run_in(&self, mode: Mode, value: &Value) -> Result<String, RunError> {
        eval::run(self.name, &self.text, &self.forest, mode, value)
    }

    /// Whether the format mentions a field, so that what is costly is only asked for then.
    pub(crate) fn mentions(&self, field: &str) -> bool {
        let mut all = self.forest.named.values().chain([&self.forest.root]);
        all.any(|nodes| tree::mentions(nodes, field))
    }
}

#[cfg(test)]
mod tests;
