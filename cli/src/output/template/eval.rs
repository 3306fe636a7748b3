//! Runs a tree over a value, as Go's `text/template` does: which place a message names is the
//! last that was looked at.

use super::call::Final;
use super::lex;
use super::parse::Forest;
use super::tree::{Branch, Node, Pipe, Place};
use super::{Mode, RunError};
use crate::output::go::{Data, Kind, Ty, Value, methods};
use crate::output::text::quote;

/// Blocks and templates within each other beyond which one is taken to have no end. Go has patience
/// for more, so that is the number to tell.
const DEEPEST: usize = 150;
const GOS_DEEPEST: usize = 100_000;

pub(super) fn run(
    format: &'static str,
    text: &str,
    forest: &Forest,
    mode: Mode,
    value: &Value,
) -> Result<String, RunError> {
    let mut run = Run {
        format,
        text,
        forest,
        mode,
        out: String::new(),
        name: format,
        depth: 0,
        at: None,
        variables: vec![("$".into(), value.clone())],
    };
    let ended = run.list(&forest.root, value);
    match ended {
        Ok(_) => Ok(run.out),
        Err(error) => Err(RunError {
            written: run.out,
            ..error
        }),
    }
}

/// Why a list of nodes stopped early.
#[derive(PartialEq, Eq)]
enum Flow {
    On,
    Break,
    Continue,
}

pub(super) struct Run<'a> {
    format: &'static str,
    text: &'a str,
    forest: &'a Forest,
    pub(super) mode: Mode,
    out: String,
    /// Of the template that is running.
    name: &'a str,
    depth: usize,
    at: Option<&'a dyn Place>,
    variables: Vec<(String, Value)>,
}

impl<'a> Run<'a> {
    fn list(&mut self, nodes: &'a [Node], dot: &Value) -> Result<Flow, RunError> {
        self.depth += 1;
        for node in nodes {
            match self.node(node, dot)? {
                Flow::On => {}
                stop => {
                    self.depth -= 1;
                    return Ok(stop);
                }
            }
        }
        self.depth -= 1;
        Ok(Flow::On)
    }

    fn node(&mut self, node: &'a Node, dot: &Value) -> Result<Flow, RunError> {
        match node {
            Node::Text(text) => self.out.push_str(text),
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
            Node::Action(pipe) => {
                // What it declares lives on to the end of the enclosing block.
                let value = self.pipe(pipe, dot)?;
                if pipe.targets.is_empty() {
                    self.out.push_str(&printed(value));
                }
            }
            Node::If(branch) | Node::With(branch) => {
                let known = self.variables.len();
                let value = self.pipe(&branch.over, dot)?;
                let flow = match value.clone().out_of_interface().truth() {
                    true if matches!(node, Node::With(_)) => self.list(&branch.body, &value)?,
                    true => self.list(&branch.body, dot)?,
                    false => self.list(&branch.otherwise, dot)?,
                };
                self.variables.truncate(known);
                return Ok(flow);
            }
            Node::Range(branch) => {
                let known = self.variables.len();
                let flow = self.range(branch, dot)?;
                self.variables.truncate(known);
                return Ok(flow);
            }
            Node::Template {
                name, dot: pipe, ..
            } => self.template(node, name, pipe.as_ref(), dot)?,
        }
        Ok(Flow::On)
    }

    fn template(
        &mut self,
        node: &'a Node,
        name: &'a str,
        pipe: Option<&'a Pipe>,
        dot: &Value,
    ) -> Result<(), RunError> {
        self.look_at(node);
        let Some(nodes) = self.forest.named.get(name) else {
            let name = quote(name);
            return Err(self.error(format!("template {name} not defined")));
        };
        if self.depth >= DEEPEST {
            let reason = format!("exceeded maximum template depth ({GOS_DEEPEST})");
            return Err(self.error(reason));
        }
        let dot = match pipe {
            Some(pipe) => self.pipe(pipe, dot)?,
            None => Value::invalid(),
        };
        // It knows none of the variables around it.
        let outside = std::mem::replace(&mut self.variables, vec![("$".into(), dot.clone())]);
        let outer = std::mem::replace(&mut self.name, name);
        self.list(nodes, &dot)?;
        self.name = outer;
        self.variables = outside;
        Ok(())
    }

    fn range(&mut self, branch: &'a Branch, dot: &Value) -> Result<Flow, RunError> {
        let targets = &branch.over.targets;
        let (value, _) = self.pipe(&branch.over, dot)?.indirect();
        let known = self.variables.len();
        let items: Vec<(Value, Value)> = match (&value.ty.kind, value.data) {
            (_, Data::List(items)) => {
                let numbered = items.into_iter().enumerate();
                let numbered = numbered.map(|(at, item)| (Value::int(at as i64), item));
                numbered.collect()
            }
            (Kind::Map(key_type, _), Data::Map(entries)) => {
                let keyed = entries.into_iter().map(|(key, item)| {
                    let data = Data::Text(key);
                    (Value { ty: key_type, data }, item)
                });
                keyed.collect()
            }
            (Kind::Int, Data::Int(count)) => {
                if targets.len() > 1 {
                    let reason =
                        format!("can't use {count} to iterate over more than one variable");
                    return Err(self.error(reason));
                }
                return self.count(branch, dot, value.ty, count);
            }
            (Kind::Invalid | Kind::Slice(_) | Kind::Map(..), _) => Vec::new(),
            (_, data) => {
                let value = Value { ty: value.ty, data };
                let shown = if value.is_nil() {
                    "<nil>".into()
                } else {
                    value.to_string()
                };
                return Err(self.error(format!("range can't iterate over {shown}")));
            }
        };
        if items.is_empty() {
            return self.list(&branch.otherwise, dot);
        }
        for (key, item) in items {
            let stop = self.turn(branch, known, key, &item)?;
            if stop {
                break;
            }
        }
        Ok(Flow::On)
    }

    /// A range over a number.
    fn count(
        &mut self,
        branch: &'a Branch,
        dot: &Value,
        ty: Ty,
        count: i64,
    ) -> Result<Flow, RunError> {
        if count <= 0 {
            return self.list(&branch.otherwise, dot);
        }
        let known = self.variables.len();
        for at in 0..count {
            let data = Data::Int(at);
            let stop = self.turn(branch, known, Value::invalid(), &Value { ty, data })?;
            if stop {
                break;
            }
        }
        Ok(Flow::On)
    }

    /// One turn of a loop, whose own variables are the last of those `known`. Says whether it is
    /// the last turn.
    fn turn(
        &mut self,
        branch: &'a Branch,
        known: usize,
        key: Value,
        item: &Value,
    ) -> Result<bool, RunError> {
        let values = match branch.over.targets.len() {
            0 => vec![],
            1 => vec![item.clone()],
            _ => vec![key, item.clone()],
        };
        let first = known.saturating_sub(values.len());
        for (at, (target, value)) in branch.over.targets.iter().zip(values).enumerate() {
            match branch.over.assigns {
                true => self.assign(target, value)?,
                false => {
                    if let Some(slot) = self.variables.get_mut(first + at) {
                        slot.1 = value;
                    }
                }
            }
        }
        let flow = self.list(&branch.body, item)?;
        self.variables.truncate(known);
        Ok(flow == Flow::Break)
    }

    pub(super) fn pipe(&mut self, pipe: &'a Pipe, dot: &Value) -> Result<Value, RunError> {
        self.look_at(pipe);
        let mut last: Final = None;
        for command in &pipe.commands {
            let value = self.command(command, dot, last)?;
            last = Some(value.out_of_interface());
        }
        let value = last.unwrap_or_else(Value::invalid);
        for target in &pipe.targets {
            match pipe.assigns {
                true => self.assign(target, value.clone())?,
                false => self.variables.push((target.clone(), value.clone())),
            }
        }
        Ok(value)
    }

    fn assign(&mut self, name: &str, value: Value) -> Result<(), RunError> {
        let mut newest_first = self.variables.iter_mut().rev();
        match newest_first.find(|(variable, _)| variable == name) {
            Some((_, slot)) => {
                *slot = value;
                Ok(())
            }
            None => Err(self.error(format!("undefined variable: {name}"))),
        }
    }

    pub(super) fn variable(&self, name: &str) -> Result<Value, RunError> {
        let mut newest_first = self.variables.iter().rev();
        match newest_first.find(|(variable, _)| variable == name) {
            Some((_, value)) => Ok(value.clone()),
            None => Err(self.error(format!("undefined variable: {name}"))),
        }
    }

    pub(super) fn look_at(&mut self, place: &'a dyn Place) {
        self.at = Some(place);
    }

    pub(super) fn error(&self, reason: impl std::fmt::Display) -> RunError {
        let at = self.at.map_or(0, Place::at);
        let before = self.text.get(..at).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let (line, column) = (lex::line(self.text, at), at - line_start);
        let expression = self.at.map(ToString::to_string).unwrap_or_default();
        let (format, name) = (self.format, quote(self.name));
        RunError {
            message: format!(
                "template: {format}:{line}:{column}: executing {name} at <{expression}>: {reason}"
            ),
            written: String::new(),
        }
    }
}

/// What an action leaves in the text.
pub(super) fn printed(value: Value) -> String {
    shown(value).map_or_else(|| "<no value>".into(), |value| value.to_string())
}

/// What there is to print: behind pointers, and nothing for no value.
pub(super) fn shown(value: Value) -> Option<Value> {
    let value = match value.ty.kind {
        // What has a form of its own as a pointer keeps it.
        Kind::Pointer(_) if methods::string(&value).is_none() => {
            let (inner, nil) = value.clone().indirect();
            if nil { value } else { inner }
        }
        _ => value,
    };
    value.is_valid().then_some(value)
}
