//! Commands and their arguments: fields, methods and functions, and what each of them takes.

use super::RunError;
use super::eval::Run;
use super::functions::{self, Parameter, Signature};
use super::number::Number;
use super::tree::{Command, Operand, Place, Term};
use crate::output::go::value::Method;
use crate::output::go::{Data, Kind, Value, methods};
use crate::output::text::quote;

/// What a pipeline hands to its next command, as the last argument.
pub(super) type Final = Option<Value>;

/// The arguments of a command.
struct Given<'a> {
    operands: &'a [Operand],
    last: Final,
}

impl Given<'_> {
    const NOTHING: Given<'static> = Given {
        operands: &[],
        last: None,
    };

    fn count(&self) -> usize {
        self.operands.len() + usize::from(self.last.is_some())
    }
}

impl<'a> Run<'a> {
    pub(super) fn command(
        &mut self,
        command: &'a Command,
        dot: &Value,
        last: Final,
    ) -> Result<Value, RunError> {
        let Some((first, rest)) = command.operands.split_first() else {
            return Ok(Value::invalid());
        };
        let given = Given {
            operands: rest,
            last,
        };
        match &first.term {
            Term::Field(names) => {
                self.look_at(first);
                return self.chain(dot, dot.clone(), names, first, &given);
            }
            Term::Chain(operand, names) => {
                return self.chained(dot, first, operand, names, &given);
            }
            Term::Identifier(name) => {
                self.look_at(first);
                return self.function(dot, name, command, given);
            }
            Term::Group(pipe) => {
                self.not_a_function(first, &given)?;
                return self.pipe(pipe, dot);
            }
            Term::Variable(names) => return self.variable_chain(dot, first, names, &given),
            _ => {}
        }
        self.look_at(first);
        self.not_a_function(first, &given)?;
        match &first.term {
            Term::Nil => Err(self.error("nil is not a command")),
            _ => self.constant(first, dot),
        }
    }

    fn not_a_function(&self, first: &Operand, given: &Given<'_>) -> Result<(), RunError> {
        match given.count() == 0 {
            true => Ok(()),
            false => Err(self.error(format!("can't give argument to non-function {first}"))),
        }
    }

    fn variable_chain(
        &mut self,
        dot: &Value,
        operand: &'a Operand,
        names: &'a [String],
        given: &Given<'a>,
    ) -> Result<Value, RunError> {
        self.look_at(operand);
        let Some((name, fields)) = names.split_first() else {
            return Ok(Value::invalid());
        };
        let value = self.variable(name)?;
        if fields.is_empty() {
            self.not_a_function(operand, given)?;
            return Ok(value);
        }
        self.chain(dot, value, fields, operand, given)
    }

    /// `(pipeline).A.B`
    fn chained(
        &mut self,
        dot: &Value,
        whole: &'a Operand,
        operand: &'a Operand,
        names: &'a [String],
        given: &Given<'a>,
    ) -> Result<Value, RunError> {
        self.look_at(whole);
        let value = self.argument(operand, dot, Parameter::Any)?;
        self.chain(dot, value, names, whole, given)
    }

    /// Fields of fields; what is after the last is for a method.
    fn chain(
        &mut self,
        dot: &Value,
        mut value: Value,
        names: &'a [String],
        place: &'a Operand,
        given: &Given<'a>,
    ) -> Result<Value, RunError> {
        let Some((name, before)) = names.split_last() else {
            return Ok(value);
        };
        for name in before {
            value = self.field(dot, value, name, place, &Given::NOTHING)?;
        }
        self.field(dot, value, name, place, given)
    }

    fn field(
        &mut self,
        dot: &Value,
        receiver: Value,
        name: &str,
        place: &'a Operand,
        given: &Given<'a>,
    ) -> Result<Value, RunError> {
        if !receiver.is_valid() {
            return match self.mode.missing_is_error() {
                true => Err(self.error(format!("nil data; no entry for key {}", quote(name)))),
                false => Ok(Value::invalid()),
            };
        }
        let ty = receiver.ty;
        let (value, nil) = receiver.indirect();
        if nil && value.ty.is_interface() {
            return Err(self.error(format!("nil pointer evaluating {ty}.{name}")));
        }
        if let Some(found) = self.method(dot, &value, name, place, given)? {
            return Ok(found);
        }
        let has_arguments = given.count() > 0;
        match &value.ty.kind {
            Kind::Struct(_) => match value.field(name) {
                Some(Err(reason)) => return Err(self.error(reason)),
                Some(Ok(_)) if has_arguments => {
                    let reason = format!("{name} has arguments but cannot be invoked as function");
                    return Err(self.error(reason));
                }
                Some(Ok(found)) => return Ok(found.clone()),
                None => {}
            },
            Kind::Map(key, _) if Value::text("").ty.assignable_to(key) => {
                if has_arguments {
                    return Err(self.error(format!("{name} is not a method but has arguments")));
                }
                return match value.entry(name) {
                    Some(found) => Ok(found.clone()),
                    None if self.mode.missing_is_error() => {
                        Err(self.error(format!("map has no entry for key {}", quote(name))))
                    }
                    None => Ok(Value::invalid()),
                };
            }
            Kind::Pointer(to) => {
                let known =
                    !matches!(to.kind, Kind::Struct(_)) || Value::zero(to).field(name).is_some();
                if known && nil {
                    return Err(self.error(format!("nil pointer evaluating {ty}.{name}")));
                }
            }
            _ => {}
        }
        Err(self.error(format!("can't evaluate field {name} in type {ty}")))
    }

    /// What a method of this name gives, if there is one.
    fn method(
        &mut self,
        dot: &Value,
        value: &Value,
        name: &str,
        place: &'a dyn Place,
        given: &Given<'a>,
    ) -> Result<Option<Value>, RunError> {
        let (wanted, plain, lookup) = match &value.data {
            Data::Row(all) => match all.iter().find(|(method, _)| method == name) {
                Some((_, Method::Plain(value))) => (0, Some(Ok(value.clone())), None),
                Some((_, Method::Mark(is))) => {
                    let mark = if *is { "[OK]" } else { "" };
                    (0, Some(Ok(Value::text(mark))), None)
                }
                Some((_, Method::Lookup(entries))) => (1, None, Some(entries.clone())),
                None => return Ok(None),
            },
            _ if value.ty.name == functions::HEADER_TYPE && name == "Label" => (1, None, None),
            _ => match methods::call(value, name) {
                Some(outcome) => (0, Some(outcome), None),
                None => return Ok(None),
            },
        };
        if given.count() != wanted {
            let count = given.count();
            let reason = format!("wrong number of args for {name}: want {wanted} got {count}");
            return Err(self.error(reason));
        }
        if let Some(outcome) = plain {
            let failed = |reason| self.error(format!("error calling {name}: {reason}"));
            return outcome.map(Some).map_err(failed);
        }
        let key = match (given.operands.first(), &given.last) {
            (Some(operand), _) => self.argument(operand, dot, Parameter::Text)?,
            (None, Some(last)) => self.validated(last.clone(), Parameter::Text)?,
            (None, None) => Value::invalid(),
        };
        self.look_at(place);
        let Data::Text(key) = key.data else {
            return Ok(Some(Value::text("")));
        };
        Ok(Some(Value::text(match lookup {
            Some(entries) => {
                let found = entries.into_iter().find(|(name, _)| *name == key);
                found.map(|(_, value)| value).unwrap_or_default()
            }
            // A label's column is headed by the last part of its name.
            None => {
                let last = key.rsplit('.').next().unwrap_or_default();
                last.replace(['-', '_'], " ")
            }
        })))
    }

    fn function(
        &mut self,
        dot: &Value,
        name: &str,
        place: &'a dyn Place,
        given: Given<'a>,
    ) -> Result<Value, RunError> {
        let Some(signature) = functions::signature(name, self.mode) else {
            return Err(self.error(format!("{} is not a defined function", quote(name))));
        };
        self.check_count(name, &signature, &given)?;
        if matches!(name, "and" | "or") {
            return self.logic(dot, name == "or", given);
        }
        let mut arguments = Vec::with_capacity(given.count());
        for operand in given.operands {
            let parameter = signature.at(arguments.len());
            arguments.push(self.argument(operand, dot, parameter)?);
        }
        if let Some(last) = given.last {
            let parameter = signature.at(arguments.len());
            arguments.push(self.validated(last, parameter)?);
        }
        let callee = given.operands.first().map(ToString::to_string);
        functions::call(name, self.mode, callee, arguments).map_err(|reason| {
            self.look_at(place);
            self.error(format!("error calling {name}: {reason}"))
        })
    }

    fn check_count(
        &self,
        name: &str,
        signature: &Signature,
        given: &Given<'_>,
    ) -> Result<(), RunError> {
        let (all, given) = (given.count(), given.operands.len());
        let fixed = signature.fixed.len();
        match signature.rest {
            Some(_) if all < fixed => {
                let reason =
                    format!("wrong number of args for {name}: want at least {fixed} got {given}");
                Err(self.error(reason))
            }
            None if all != fixed => {
                let reason = format!("wrong number of args for {name}: want {fixed} got {all}");
                Err(self.error(reason))
            }
            _ => Ok(()),
        }
    }

    /// `and` and `or`: what decides is the result, and what follows is not looked at.
    fn logic(&mut self, dot: &Value, any: bool, given: Given<'a>) -> Result<Value, RunError> {
        let mut value = Value::invalid();
        for operand in given.operands {
            value = self.argument(operand, dot, Parameter::Reflect)?;
            if value.clone().out_of_interface().truth() == any {
                return Ok(value);
            }
        }
        Ok(given.last.unwrap_or(value))
    }

    /// An operand where a function or method wants something of a type.
    fn argument(
        &mut self,
        operand: &'a Operand,
        dot: &Value,
        parameter: Parameter,
    ) -> Result<Value, RunError> {
        self.look_at(operand);
        let value = match &operand.term {
            Term::Dot => dot.clone(),
            Term::Nil if parameter.takes_nil() => return Ok(parameter.nil()),
            Term::Nil => return Err(self.error(format!("cannot assign nil to {parameter}"))),
            Term::Field(names) => self.chain(dot, dot.clone(), names, operand, &Given::NOTHING)?,
            Term::Variable(names) => self.variable_chain(dot, operand, names, &Given::NOTHING)?,
            Term::Group(pipe) => self.pipe(pipe, dot)?,
            Term::Identifier(name) => self.function(dot, name, operand, Given::NOTHING)?,
            Term::Chain(inner, names) => {
                self.chained(dot, operand, inner, names, &Given::NOTHING)?
            }
            Term::Bool(_) | Term::Number(_) | Term::Text { .. } => {
                return self.literal(operand, dot, parameter);
            }
        };
        self.validated(value, parameter)
    }

    fn literal(
        &mut self,
        operand: &'a Operand,
        dot: &Value,
        parameter: Parameter,
    ) -> Result<Value, RunError> {
        let expected = match (parameter, &operand.term) {
            (Parameter::Any | Parameter::Reflect, _) => return self.constant(operand, dot),
            (Parameter::Text, Term::Text { text, .. }) => return Ok(Value::text(text)),
            (Parameter::Int, Term::Number(Number { int: Some(int), .. })) => {
                return Ok(Value::int(*int));
            }
            (Parameter::Text, _) => "string",
            (Parameter::Int, _) => "integer",
            (Parameter::Texts, _) => {
                let reason = format!("can't handle {operand} for arg of type {parameter}");
                return Err(self.error(reason));
            }
        };
        Err(self.error(format!("expected {expected}; found {operand}")))
    }

    fn constant(&self, operand: &Operand, dot: &Value) -> Result<Value, RunError> {
        Ok(match &operand.term {
            Term::Dot => dot.clone(),
            Term::Bool(value) => Value::bool(*value),
            Term::Text { text, .. } => Value::text(text),
            Term::Number(number) => match (number.imaginary, number.float, number.int) {
                (Some(imaginary), real, _) => Value::complex(real.unwrap_or(0.0), imaginary),
                (None, Some(float), _) if number.is_float() => Value::float(float),
                (None, _, Some(int)) => Value::int(int),
                _ => return Err(self.error(format!("{} overflows int", number.written))),
            },
            _ => {
                return Err(self.error(format!(
                    "can't evaluate command {}",
                    quote(&operand.to_string())
                )));
            }
        })
    }

    /// A value where one of a type is wanted.
    fn validated(&self, value: Value, parameter: Parameter) -> Result<Value, RunError> {
        if !value.is_valid() {
            return match parameter.takes_nil() {
                true => Ok(parameter.nil()),
                false => Err(self.error(format!("invalid value; expected {parameter}"))),
            };
        }
        let wanted = match parameter {
            Parameter::Any => return Ok(value.out_of_interface()),
            Parameter::Reflect => return Ok(value),
            _ => parameter.ty(),
        };
        if value.ty.assignable_to(wanted) {
            return Ok(value);
        }
        let value = match value.ty.is_interface() && !value.is_nil() {
            true => value.out_of_interface(),
            false => value,
        };
        if value.ty.assignable_to(wanted) {
            return Ok(value);
        }
        match (&value.ty.kind, value.data) {
            (Kind::Pointer(to), Data::Inner(inner)) if to.assignable_to(wanted) => Ok(*inner),
            (Kind::Pointer(to), _) if to.assignable_to(wanted) => {
                Err(self.error(format!("dereference of nil pointer of type {wanted}")))
            }
            _ => {
                let ty = value.ty;
                Err(self.error(format!("wrong type for value; expected {wanted}; got {ty}")))
            }
        }
    }
}
