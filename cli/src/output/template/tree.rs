//! What a format is made of, and how Go writes each part of it in a message.

use std::fmt;

use super::number::Number;

#[derive(Debug)]
pub(super) enum Node {
    Text(String),
    Action(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    Template {
        at: usize,
        name: String,
        dot: Option<Pipe>,
    },
    Break,
    Continue,
}

#[derive(Debug)]
pub(super) struct Branch {
    pub(super) over: Pipe,
    pub(super) body: Vec<Node>,
    pub(super) otherwise: Vec<Node>,
}

#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) at: usize,
    /// Variables that take the result, with their `$`: one, or two in a `range`.
    pub(super) targets: Vec<String>,
    /// `=` sets those that are there, `:=` makes new ones.
    pub(super) assigns: bool,
    pub(super) commands: Vec<Command>,
}

#[derive(Debug)]
pub(super) struct Command {
    pub(super) at: usize,
    pub(super) operands: Vec<Operand>,
}

#[derive(Debug)]
pub(super) struct Operand {
    pub(super) at: usize,
    pub(super) term: Term,
}

#[derive(Debug)]
pub(super) enum Term {
    Dot,
    Nil,
    Bool(bool),
    Number(Number),
    Text {
        written: String,
        text: String,
    },
    /// A function.
    Identifier(String),
    /// `.A.B`
    Field(Vec<String>),
    /// `$x.A.B`: the variable with its `$` is the first.
    Variable(Vec<String>),
    /// `(pipeline)`
    Group(Pipe),
    /// `(pipeline).A.B`
    Chain(Box<Operand>, Vec<String>),
}

/// What a message can be about: a place in the format and what stands there.
pub(super) trait Place: fmt::Display {
    fn at(&self) -> usize;
}

impl Place for Pipe {
    fn at(&self) -> usize {
        self.at
    }
}

impl Place for Command {
    fn at(&self) -> usize {
        self.at
    }
}

impl Place for Operand {
    fn at(&self) -> usize {
        self.at
    }
}

impl Place for Node {
    fn at(&self) -> usize {
        match self {
            Node::Action(pipe) => pipe.at,
            Node::If(branch) | Node::With(branch) | Node::Range(branch) => branch.over.at,
            Node::Template { at, .. } => *at,
            Node::Text(_) | Node::Break | Node::Continue => 0,
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Node::Text(text) => f.write_str(text),
            Node::Action(pipe) => write!(f, "{{{{{pipe}}}}}"),
            Node::Template { name, dot, .. } => {
                write!(f, "{{{{template {}", crate::output::text::quote(name))?;
                match dot {
                    Some(pipe) => write!(f, " {pipe}}}}}"),
                    None => f.write_str("}}"),
                }
            }
            // No message is about these as a whole.
            Node::If(branch) => write!(f, "{{{{if {}}}}}", branch.over),
            Node::With(branch) => write!(f, "{{{{with {}}}}}", branch.over),
            Node::Range(branch) => write!(f, "{{{{range {}}}}}", branch.over),
            Node::Break => f.write_str("{{break}}"),
            Node::Continue => f.write_str("{{continue}}"),
        }
    }
}

impl fmt::Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.targets.is_empty() {
            let sign = if self.assigns { "=" } else { ":=" };
            write!(f, "{} {sign} ", self.targets.join(", "))?;
        }
        joined(f, &self.commands, " | ")
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, operand) in self.operands.iter().enumerate() {
            let gap = if at > 0 { " " } else { "" };
            write!(f, "{gap}{}", Enclosed(operand))?;
        }
        Ok(())
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.term {
            Term::Dot => f.write_str("."),
            Term::Nil => f.write_str("nil"),
            Term::Bool(value) => write!(f, "{value}"),
            Term::Number(number) => f.write_str(&number.written),
            Term::Text { written, .. } => f.write_str(written),
            Term::Identifier(name) => f.write_str(name),
            Term::Field(names) => names.iter().try_for_each(|name| write!(f, ".{name}")),
            Term::Variable(names) => f.write_str(&names.join(".")),
            // Parentheses are of what it stands in.
            Term::Group(pipe) => write!(f, "{pipe}"),
            Term::Chain(operand, names) => {
                write!(f, "{}", Enclosed(operand))?;
                names.iter().try_for_each(|name| write!(f, ".{name}"))
            }
        }
    }
}

/// An operand among others, where a pipeline needs its parentheses.
struct Enclosed<'a>(&'a Operand);

impl fmt::Display for Enclosed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.term {
            Term::Group(pipe) => write!(f, "({pipe})"),
            _ => write!(f, "{}", self.0),
        }
    }
}

fn joined<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &[T], by: &str) -> fmt::Result {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            f.write_str(by)?;
        }
        write!(f, "{item}")?;
    }
    Ok(())
}

/// Whether a field of this name is taken of the dot or of `$`, at whatever depth.
pub(super) fn mentions(nodes: &[Node], field: &str) -> bool {
    nodes.iter().any(|node| match node {
        Node::Text(_) | Node::Break | Node::Continue => false,
        Node::Action(pipe) => pipe_mentions(pipe, field),
        Node::Template { dot, .. } => dot.iter().any(|pipe| pipe_mentions(pipe, field)),
        Node::If(branch) | Node::With(branch) | Node::Range(branch) => {
            pipe_mentions(&branch.over, field)
                || mentions(&branch.body, field)
                || mentions(&branch.otherwise, field)
        }
    })
}

fn pipe_mentions(pipe: &Pipe, field: &str) -> bool {
    let operands = pipe.commands.iter().flat_map(|command| &command.operands);
    operands
        .into_iter()
        .any(|operand| operand_mentions(operand, field))
}

fn operand_mentions(operand: &Operand, field: &str) -> bool {
    match &operand.term {
        Term::Field(names) => names.first().is_some_and(|name| name == field),
        Term::Variable(names) => names.get(1).is_some_and(|name| name == field),
        Term::Group(pipe) => pipe_mentions(pipe, field),
        Term::Chain(operand, _) => operand_mentions(operand, field),
        _ => false,
    }
}
