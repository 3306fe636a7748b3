//! Go's `text/template`, as far as `--format` uses it: fields, variables, pipelines, `if`,
//! `range`, `with`, comments, trim marks, and Docker's functions.
//!
//! ```text
//! text ──lex──► tokens ──parse──► tree ──run(value)──► text
//! ```
//!
//! `define`, `template` and `block` are refused: a one-line format has no use for them.
//! Messages have Go's form, because scripts grep for them.

mod eval;
mod functions;
mod lex;
mod parse;

use super::value::Value;
use parse::Node;

/// The format could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template: :{line}: {reason}")]
pub(crate) struct ParseError {
    line: usize,
    reason: String,
}

/// The format could be read but not run over this value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template: :{line}:{column}: executing \"\" at <{expression}>: {reason}")]
pub(crate) struct RunError {
    line: usize,
    column: usize,
    expression: String,
    reason: String,
}

/// What the dot is, for the message about a field that it does not have.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Subject {
    /// Decoded JSON.
    Json,
    /// A row of a list, by the name of its type.
    Row(&'static str),
}

/// How functions treat their input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Data,
    /// Rows of a list: their JSON is escaped for HTML, as Go's encoder does by itself.
    Rows,
    /// A table's header: names pass through functions unchanged.
    Header,
}

/// A format that has been read.
#[derive(Debug)]
pub(crate) struct Template {
    nodes: Vec<Node>,
}

impl Template {
    pub(crate) fn parse(text: &str) -> Result<Template, ParseError> {
        let tokens = lex::tokens(text)?;
        Ok(Template {
            nodes: parse::nodes(text, tokens)?,
        })
    }

    pub(crate) fn run(&self, subject: Subject, value: &Value) -> Result<String, RunError> {
        let mode = match subject {
            Subject::Json => Mode::Data,
            Subject::Row(_) => Mode::Rows,
        };
        eval::run(&self.nodes, subject, mode, value)
    }

    /// Runs over a table's headers, where `{{upper .ID}}` still reads `CONTAINER ID`.
    pub(crate) fn run_header(&self, subject: Subject, value: &Value) -> Result<String, RunError> {
        eval::run(&self.nodes, subject, Mode::Header, value)
    }

    /// Whether the format mentions a field, so that what is costly is only asked for then.
    pub(crate) fn mentions(&self, field: &str) -> bool {
        parse::mentions(&self.nodes, field)
    }
}

#[cfg(test)]
mod tests;
