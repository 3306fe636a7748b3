//! Tokens to a tree. Variables are checked here, as Go does: an unknown one is a parse error.

use super::ParseError;
use super::functions;
use super::lex::{self, Spanned, Token};
use crate::output::value::{Nil, Value};

#[derive(Debug)]
pub(super) enum Node {
    Text(String),
    Action(Pipeline),
    If {
        branches: Vec<(Pipeline, Vec<Node>)>,
        otherwise: Vec<Node>,
    },
    Range {
        over: Pipeline,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
    With {
        over: Pipeline,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
    Break,
    Continue,
}

#[derive(Debug)]
pub(super) struct Pipeline {
    /// Variables that take the result: one, or two in a `range`.
    pub(super) targets: Vec<String>,
    /// `:=` makes new ones, `=` sets those that are there.
    pub(super) declares: bool,
    pub(super) commands: Vec<Command>,
}

#[derive(Debug)]
pub(super) struct Command {
    pub(super) operands: Vec<Operand>,
}

#[derive(Debug)]
pub(super) struct Operand {
    pub(super) term: Term,
    /// `.A.B` after the term.
    pub(super) fields: Vec<String>,
    pub(super) line: usize,
    pub(super) column: usize,
    /// The operand as it was written, for messages.
    pub(super) source: String,
}

#[derive(Debug)]
pub(super) enum Term {
    Dot,
    Variable(String),
    Literal(Value),
    Function(String),
    Group(Box<Pipeline>),
}

pub(super) fn nodes(text: &str, tokens: Vec<Spanned>) -> Result<Vec<Node>, ParseError> {
    let mut parser = Parser {
        text,
        tokens,
        next: 0,
        variables: vec![String::new()],
        loops: 0,
    };
    let (nodes, end) = parser.list()?;
    match end {
        Stop::Input => Ok(nodes),
        Stop::Else => Err(parser.error("unexpected {{else}}")),
        Stop::Close => Err(parser.error("unexpected {{end}}")),
    }
}

pub(super) fn mentions(nodes: &[Node], field: &str) -> bool {
    nodes.iter().any(|node| match node {
        Node::Text(_) | Node::Break | Node::Continue => false,
        Node::Action(pipeline) => pipeline_mentions(pipeline, field),
        Node::If {
            branches,
            otherwise,
        } => {
            branches
                .iter()
                .any(|(test, body)| pipeline_mentions(test, field) || mentions(body, field))
                || mentions(otherwise, field)
        }
        Node::Range {
            over,
            body,
            otherwise,
        }
        | Node::With {
            over,
            body,
            otherwise,
        } => pipeline_mentions(over, field) || mentions(body, field) || mentions(otherwise, field),
    })
}

fn pipeline_mentions(pipeline: &Pipeline, field: &str) -> bool {
    pipeline
        .commands
        .iter()
        .flat_map(|command| &command.operands)
        .any(|operand| {
            operand.fields.first().is_some_and(|first| first == field)
                || matches!(&operand.term, Term::Group(inner) if pipeline_mentions(inner, field))
        })
}

/// What ended a list of nodes.
enum Stop {
    Input,
    Else,
    Close,
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Spanned>,
    next: usize,
    variables: Vec<String>,
    loops: usize,
}

impl Parser<'_> {
    fn list(&mut self) -> Result<(Vec<Node>, Stop), ParseError> {
        let mut nodes = Vec::new();
        loop {
            match self.take() {
                None => return Ok((nodes, Stop::Input)),
                Some(Token::Text(text)) => nodes.push(Node::Text(text)),
                // Outside actions the lexer makes nothing but text and openings.
                Some(_) => match self.peek_word().as_deref() {
                    Some("end") => {
                        self.next += 1;
                        self.close("end")?;
                        return Ok((nodes, Stop::Close));
                    }
                    Some("else") => {
                        self.next += 1;
                        return Ok((nodes, Stop::Else));
                    }
                    Some(word @ ("if" | "range" | "with")) => {
                        self.next += 1;
                        let node = self.block(word)?;
                        nodes.push(node);
                    }
                    Some(word @ ("break" | "continue")) => {
                        self.next += 1;
                        if self.loops == 0 {
                            return Err(
                                self.error(&format!("{{{{{word}}}}} outside {{{{range}}}}"))
                            );
                        }
                        self.close(word)?;
                        nodes.push(if word == "break" {
                            Node::Break
                        } else {
                            Node::Continue
                        });
                    }
                    Some(word @ ("define" | "template" | "block")) => {
                        return Err(
                            self.error(&format!("{{{{{word}}}}} is not supported in a format"))
                        );
                    }
                    _ => {
                        let pipeline = self.pipeline("command")?;
                        self.close("command")?;
                        nodes.push(Node::Action(pipeline));
                    }
                },
            }
        }
    }

    fn block(&mut self, word: &str) -> Result<Node, ParseError> {
        let scope = self.variables.len();
        let over = self.pipeline(word)?;
        self.close(word)?;
        let looping = usize::from(word == "range");
        self.loops += looping;
        let (body, end) = self.list()?;
        self.loops -= looping;
        let mut otherwise = Vec::new();
        let mut branches = Vec::new();
        match end {
            Stop::Input => return Err(self.error("unexpected EOF")),
            Stop::Close => {}
            Stop::Else => {
                // `else if` and `else with` open a block that shares this one's end.
                match self.peek_word().as_deref() {
                    Some(next) if next == word && word != "range" => {
                        self.next += 1;
                        let nested = self.block(word)?;
                        match nested {
                            Node::If {
                                branches: more,
                                otherwise: rest,
                            } => {
                                branches = more;
                                otherwise = rest;
                            }
                            other => otherwise = vec![other],
                        }
                    }
                    _ => {
                        self.close("else")?;
                        let (nodes, end) = self.list()?;
                        match end {
                            Stop::Close => otherwise = nodes,
                            Stop::Else => return Err(self.error("expected end; found {{else}}")),
                            Stop::Input => return Err(self.error("unexpected EOF")),
                        }
                    }
                }
            }
        }
        self.variables.truncate(scope);
        Ok(match word {
            "if" => {
                branches.insert(0, (over, body));
                Node::If {
                    branches,
                    otherwise,
                }
            }
            "range" => Node::Range {
                over,
                body,
                otherwise,
            },
            _ => Node::With {
                over,
                body,
                otherwise,
            },
        })
    }

    fn pipeline(&mut self, context: &str) -> Result<Pipeline, ParseError> {
        let (targets, declares) = self.targets(context)?;
        let mut commands = vec![self.command(context)?];
        while self.peek() == Some(&Token::Pipe) {
            self.next += 1;
            commands.push(self.command(context)?);
        }
        if declares {
            self.variables.extend(targets.iter().cloned());
        }
        Ok(Pipeline {
            targets,
            declares,
            commands,
        })
    }

    /// `$x :=`, `$x =` and, in a range, `$i, $x :=`.
    fn targets(&mut self, context: &str) -> Result<(Vec<String>, bool), ParseError> {
        let mut names = Vec::new();
        let start = self.next;
        while let Some(Token::Variable(name)) = self.peek().cloned() {
            self.next += 1;
            names.push(name);
            match self.peek() {
                Some(Token::Comma) if context == "range" && names.len() == 1 => self.next += 1,
                Some(Token::Declare) => {
                    self.next += 1;
                    return Ok((names, true));
                }
                Some(Token::Assign) => {
                    self.next += 1;
                    for name in &names {
                        self.known(name)?;
                    }
                    return Ok((names, false));
                }
                _ => break,
            }
        }
        self.next = start;
        Ok((Vec::new(), false))
    }

    fn command(&mut self, context: &str) -> Result<Command, ParseError> {
        let mut operands = Vec::new();
        while let Some(operand) = self.operand()? {
            operands.push(operand);
        }
        if operands.is_empty() {
            return Err(self.error(&format!("missing value for {context}")));
        }
        Ok(Command { operands })
    }

    fn operand(&mut self) -> Result<Option<Operand>, ParseError> {
        let Some(Spanned { token, at, .. }) = self.tokens.get(self.next).cloned() else {
            return Err(self.error("unclosed action"));
        };
        let mut fields = Vec::new();
        let term = match token {
            Token::Field(name) => {
                if !name.is_empty() {
                    fields.push(name);
                }
                Term::Dot
            }
            Token::Variable(name) => {
                self.known(&name)?;
                Term::Variable(name)
            }
            Token::Quoted(text) => Term::Literal(Value::Text(text)),
            Token::Int(int) => Term::Literal(Value::Int(int)),
            Token::Float(float) => Term::Literal(Value::Float(float)),
            Token::Word(word) => match word.as_str() {
                "true" => Term::Literal(Value::Bool(true)),
                "false" => Term::Literal(Value::Bool(false)),
                "nil" => Term::Literal(Value::Nil(Nil::Pointer)),
                name if functions::is_known(name) => Term::Function(word),
                name => return Err(self.error(&format!("function \"{name}\" not defined"))),
            },
            Token::LeftParen => {
                self.next += 1;
                let inner = self.pipeline("parenthesized pipeline")?;
                if self.peek() != Some(&Token::RightParen) {
                    return Err(self.error("unclosed left paren"));
                }
                Term::Group(Box::new(inner))
            }
            Token::RightParen | Token::Pipe | Token::Close => return Ok(None),
            other => return Err(self.error(&format!("unexpected {other:?} in operand"))),
        };
        self.next += 1;
        while let Some(Spanned {
            token: Token::Field(name),
            spaced: false,
            ..
        }) = self.tokens.get(self.next)
        {
            if name.is_empty() {
                break;
            }
            fields.push(name.clone());
            self.next += 1;
        }
        let end = self
            .tokens
            .get(self.next)
            .map_or(self.text.len(), |token| token.at);
        let source = self.text[at..end]
            .trim_end()
            .trim_end_matches(['-', '}'])
            .trim_end()
            .to_owned();
        let line_start = self.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        Ok(Some(Operand {
            term,
            fields,
            line: 1 + self.text[..at].matches('\n').count(),
            column: at - line_start,
            source,
        }))
    }

    fn known(&self, name: &str) -> Result<(), ParseError> {
        if self.variables.iter().any(|variable| variable == name) {
            return Ok(());
        }
        Err(self.error(&format!("undefined variable \"${name}\"")))
    }

    fn close(&mut self, context: &str) -> Result<(), ParseError> {
        match self.take() {
            Some(Token::Close) => Ok(()),
            Some(other) => Err(self.error(&format!("unexpected {other:?} in {context}"))),
            None => Err(self.error("unclosed action")),
        }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|spanned| &spanned.token)
    }

    fn peek_word(&self) -> Option<String> {
        match self.peek() {
            Some(Token::Word(word)) => Some(word.clone()),
            _ => None,
        }
    }

    fn take(&mut self) -> Option<Token> {
        let token = self
            .tokens
            .get(self.next)
            .map(|spanned| spanned.token.clone());
        self.next += usize::from(token.is_some());
        token
    }

    fn error(&self, reason: &str) -> ParseError {
        let at = self
            .tokens
            .get(self.next)
            .map_or(self.text.len(), |token| token.at);
        lex::error(self.text, at, reason)
    }
}
