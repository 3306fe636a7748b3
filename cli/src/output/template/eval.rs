//! Runs a tree over a value.

use super::functions;
use super::parse::{Command, Node, Operand, Pipeline, Term};
use super::{Mode, RunError, Subject};
use crate::output::value::{Nil, Value, sorted};

pub(super) fn run(
    nodes: &[Node],
    subject: Subject,
    mode: Mode,
    value: &Value,
) -> Result<String, RunError> {
    let variables = vec![(String::new(), value.clone())];
    let mut run = Run {
        out: String::new(),
        subject,
        mode,
        variables,
    };
    run.list(nodes, value)?;
    Ok(run.out)
}

/// Why a list of nodes stopped early.
#[derive(PartialEq, Eq)]
enum Flow {
    On,
    Break,
    Continue,
}

struct Run {
    out: String,
    subject: Subject,
    mode: Mode,
    variables: Vec<(String, Value)>,
}

impl Run {
    fn list(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, RunError> {
        for node in nodes {
            match self.node(node, dot)? {
                Flow::On => {}
                stop => return Ok(stop),
            }
        }
        Ok(Flow::On)
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<Flow, RunError> {
        let scope = self.variables.len();
        let flow = match node {
            Node::Text(text) => {
                self.out.push_str(text);
                return Ok(Flow::On);
            }
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
            Node::Action(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                if pipeline.targets.is_empty() {
                    self.out.push_str(&value.to_string());
                }
                // What it declares lives on to the end of the enclosing block.
                return Ok(Flow::On);
            }
            Node::If {
                branches,
                otherwise,
            } => self.choose(branches, otherwise, dot)?,
            Node::With {
                over,
                body,
                otherwise,
            } => {
                let value = self.pipeline(over, dot)?;
                if value.truth() {
                    self.list(body, &value)?
                } else {
                    self.list(otherwise, dot)?
                }
            }
            Node::Range {
                over,
                body,
                otherwise,
            } => self.range(over, body, otherwise, dot)?,
        };
        self.variables.truncate(scope);
        Ok(flow)
    }

    fn choose(
        &mut self,
        branches: &[(Pipeline, Vec<Node>)],
        otherwise: &[Node],
        dot: &Value,
    ) -> Result<Flow, RunError> {
        for (test, body) in branches {
            if self.pipeline(test, dot)?.truth() {
                return self.list(body, dot);
            }
        }
        self.list(otherwise, dot)
    }

    fn range(
        &mut self,
        over: &Pipeline,
        body: &[Node],
        otherwise: &[Node],
        dot: &Value,
    ) -> Result<Flow, RunError> {
        let value = self.commands(over, dot)?;
        let items: Vec<(Value, Value)> = match value {
            Value::List(items) => items
                .into_iter()
                .enumerate()
                .map(|(at, item)| (Value::Int(at as i64), item))
                .collect(),
            Value::Map(entries) => sorted(&entries)
                .into_iter()
                .map(|(key, value)| (Value::text(key), value.clone()))
                .collect(),
            Value::Int(count) => (0..count.max(0))
                .map(|at| (Value::Int(at), Value::Int(at)))
                .collect(),
            Value::Nil(_) => Vec::new(),
            other => {
                let operand = &over.commands[0].operands[0];
                return Err(self.error(operand, format!("range can't iterate over {other}")));
            }
        };
        if items.is_empty() {
            return self.list(otherwise, dot);
        }
        let scope = self.variables.len();
        for (key, item) in items {
            match over.targets.as_slice() {
                [] => {}
                [target] => self.set(target, over.declares, item.clone()),
                [first, second, ..] => {
                    self.set(first, over.declares, key);
                    self.set(second, over.declares, item.clone());
                }
            }
            let flow = self.list(body, &item)?;
            self.variables.truncate(scope);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::On)
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, RunError> {
        let value = self.commands(pipeline, dot)?;
        for target in &pipeline.targets {
            self.set(target, pipeline.declares, value.clone());
        }
        Ok(value)
    }

    fn commands(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, RunError> {
        let mut last = None;
        for command in &pipeline.commands {
            last = Some(self.command(command, dot, last)?);
        }
        Ok(last.unwrap_or(Value::Nil(Nil::Missing)))
    }

    /// One command; `piped` is the result before it, its last argument.
    fn command(
        &mut self,
        command: &Command,
        dot: &Value,
        piped: Option<Value>,
    ) -> Result<Value, RunError> {
        let Some((first, rest)) = command.operands.split_first() else {
            return Ok(Value::Nil(Nil::Missing));
        };
        let mut arguments = Vec::with_capacity(rest.len() + 1);
        for operand in rest {
            arguments.push(self.operand(operand, dot)?);
        }
        arguments.extend(piped);
        if let Term::Function(name) = &first.term {
            let value = functions::call(name, self.mode, &arguments)
                .map_err(|reason| self.error(first, reason))?;
            return self.fields(first, value);
        }
        let value = self.operand(first, dot)?;
        match (value, arguments.as_slice()) {
            (Value::Lookup(entries), [Value::Text(key)]) => Ok(Value::Text(
                entries
                    .into_iter()
                    .find(|(name, _)| name == key)
                    .map(|(_, value)| value)
                    .unwrap_or_default(),
            )),
            // A label's column is headed by the last part of its name.
            (_, [Value::Text(key)]) if self.mode == Mode::Header => {
                let last = key.rsplit('.').next().unwrap_or_default();
                Ok(Value::Text(last.replace(['-', '_'], " ")))
            }
            (value, []) => Ok(value),
            _ => Err(self.error(
                first,
                format!("can't give argument to non-function {}", first.source),
            )),
        }
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Result<Value, RunError> {
        let value = match &operand.term {
            Term::Dot => dot.clone(),
            Term::Variable(name) => {
                let found = self
                    .variables
                    .iter()
                    .rev()
                    .find(|(variable, _)| variable == name);
                found.map_or(Value::Nil(Nil::Missing), |(_, value)| value.clone())
            }
            Term::Literal(value) => value.clone(),
            Term::Function(name) => functions::call(name, self.mode, &[])
                .map_err(|reason| self.error(operand, reason))?,
            Term::Group(pipeline) => self.commands(pipeline, dot)?,
        };
        self.fields(operand, value)
    }

    fn fields(&self, operand: &Operand, mut value: Value) -> Result<Value, RunError> {
        for name in &operand.fields {
            value = self.field(operand, &value, name)?;
        }
        Ok(value)
    }

    fn field(&self, operand: &Operand, value: &Value, name: &str) -> Result<Value, RunError> {
        let exact = |entries: &[(String, Value)]| {
            entries
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.clone())
        };
        match value {
            Value::Map(entries) => Ok(exact(entries).unwrap_or(Value::Nil(Nil::Missing))),
            Value::Struct(entries) => exact(entries)
                // Docker's types and their JSON differ in case only: `.ID` is `Id` on the wire.
                .or_else(|| {
                    let same = |(key, _): &&(String, Value)| key.eq_ignore_ascii_case(name);
                    entries.iter().find(same).map(|(_, value)| value.clone())
                })
                .ok_or_else(|| {
                    self.error(
                        operand,
                        match self.subject {
                            Subject::Json => format!("map has no entry for key \"{name}\""),
                            Subject::Row(kind) => {
                                format!("can't evaluate field {name} in type {kind}")
                            }
                        },
                    )
                }),
            Value::Record(of, _) => value.field(name).cloned().ok_or_else(|| {
                let reason = match self.subject {
                    Subject::Json => format!("map has no entry for key \"{name}\""),
                    // Rows are handed over by reference.
                    Subject::Row(kind) if kind.trim_start_matches('*') == of.name => {
                        format!("can't evaluate field {name} in type {kind}")
                    }
                    Subject::Row(_) => {
                        format!("can't evaluate field {name} in type {}", of.name)
                    }
                };
                self.error(operand, reason)
            }),
            Value::Nil(Nil::Map) => Ok(Value::Nil(Nil::Missing)),
            Value::Nil(_) => Err(self.error(operand, format!("nil pointer evaluating .{name}"))),
            _ => Err(self.error(
                operand,
                format!("can't evaluate field {name} in this value"),
            )),
        }
    }

    fn set(&mut self, name: &str, declares: bool, value: Value) {
        let known = self
            .variables
            .iter_mut()
            .rev()
            .find(|(variable, _)| variable == name);
        match known {
            Some((_, slot)) if !declares => *slot = value,
            _ => self.variables.push((name.to_owned(), value)),
        }
    }

    fn error(&self, operand: &Operand, reason: String) -> RunError {
        RunError {
            line: operand.line,
            column: operand.column,
            expression: operand.source.clone(),
            reason,
        }
    }
}
