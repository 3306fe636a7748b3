//! Tokens to a tree. Variables and functions are checked here, as Go does: an unknown one is a
//! mistake of the format, whatever it is run over.
//!
//! A message names the line of the furthest token that was looked at, which is Go's habit too.

use std::collections::HashMap;

use super::ParseError;
use super::functions;
use super::lex::{self, Kind, Token};
use super::number;
use super::tree::{Branch, Command, Node, Operand, Pipe, Term};
use crate::output::text::quote;

/// More parentheses or blocks within each other than this are refused.
const DEEPEST: usize = 100;

/// The nodes of the format itself, and those of the templates that it defines.
#[derive(Debug)]
pub(super) struct Forest {
    pub(super) root: Vec<Node>,
    pub(super) named: HashMap<String, Vec<Node>>,
}

pub(super) fn forest(format: &'static str, text: &str) -> Result<Forest, ParseError> {
    let mut parser = Parser {
        format,
        tokens: lex::tokens(text),
        next: 0,
        furthest: 0,
        action_line: None,
        depth: 0,
        scope: Scope::new(),
        named: HashMap::new(),
    };
    let mut root = Vec::new();
    while parser.peek().kind != Kind::End {
        if let Some(name) = parser.definition()? {
            let body = parser.inner("define clause")?;
            parser.define(name, body)?;
            continue;
        }
        match parser.text_or_action()? {
            Item::Node(node) => root.push(node),
            Item::End => return Err(parser.error("unexpected {{end}}")),
            Item::Else => return Err(parser.error("unexpected {{else}}")),
        }
    }
    Ok(Forest {
        root,
        named: parser.named,
    })
}

enum Item {
    Node(Node),
    End,
    Else,
}

/// What is known where a template begins; each has its own.
struct Scope {
    variables: Vec<String>,
    loops: usize,
}

impl Scope {
    fn new() -> Scope {
        Scope {
            variables: vec!["$".into()],
            loops: 0,
        }
    }
}

struct Parser {
    format: &'static str,
    tokens: Vec<Token>,
    next: usize,
    furthest: usize,
    /// Where the action began that is being read.
    action_line: Option<usize>,
    depth: usize,
    scope: Scope,
    named: HashMap<String, Vec<Node>>,
}

type Parsed<T> = Result<T, ParseError>;

impl Parser {
    /// The name of a template, if its definition begins here.
    fn definition(&mut self) -> Parsed<Option<String>> {
        if self.peek().kind != Kind::Open {
            return Ok(None);
        }
        let start = self.next;
        self.take();
        let word = self.take_after_space();
        if (word.kind, word.text.as_str()) != (Kind::Keyword, "define") {
            self.next = start;
            return Ok(None);
        }
        const CONTEXT: &str = "define clause";
        let token = self.take_after_space();
        if !matches!(token.kind, Kind::Quoted | Kind::Raw) {
            return Err(self.unexpected(&token, CONTEXT));
        }
        let name = number::unquoted(&token.text).ok_or_else(|| self.error("invalid syntax"))?;
        self.expect_close(CONTEXT)?;
        Ok(Some(name))
    }

    /// The body of a template, which knows nothing of what is around it.
    fn inner(&mut self, context: &str) -> Parsed<Vec<Node>> {
        let outer = std::mem::replace(&mut self.scope, Scope::new());
        let (body, end) = self.list()?;
        self.scope = outer;
        match end {
            Item::Else => Err(self.error(&format!("unexpected {{{{else}}}} in {context}"))),
            _ => Ok(body),
        }
    }

    /// A template that has nothing but white space gives way to one that has more.
    fn define(&mut self, name: String, body: Vec<Node>) -> Parsed<()> {
        let is_empty = |nodes: &[Node]| {
            let blank = |node: &Node| matches!(node, Node::Text(text) if text.trim().is_empty());
            nodes.iter().all(blank)
        };
        let known = self.named.get(&name);
        match known.is_none_or(|nodes| is_empty(nodes)) {
            true => {
                self.named.insert(name, body);
                Ok(())
            }
            false if is_empty(&body) => Ok(()),
            false => {
                let name = quote(&name);
                Err(self.error(&format!("template: multiple definition of template {name}")))
            }
        }
    }

    /// Nodes, and the `end` or `else` after them.
    fn list(&mut self) -> Parsed<(Vec<Node>, Item)> {
        self.descend()?;
        let mut nodes = Vec::new();
        while self.peek_after_space().kind != Kind::End {
            match self.text_or_action()? {
                Item::Node(node) => nodes.push(node),
                end => {
                    self.depth -= 1;
                    return Ok((nodes, end));
                }
            }
        }
        Err(self.error("unexpected EOF"))
    }

    fn text_or_action(&mut self) -> Parsed<Item> {
        let token = self.take_after_space();
        match token.kind {
            Kind::Text => Ok(Item::Node(Node::Text(token.text))),
            Kind::Open => {
                self.action_line = Some(token.line);
                let item = self.action()?;
                self.action_line = None;
                Ok(item)
            }
            _ => Err(self.unexpected(&token, "input")),
        }
    }

    fn action(&mut self) -> Parsed<Item> {
        let token = self.peek_after_space().clone();
        let word = match token.kind {
            Kind::Keyword => token.text.as_str(),
            _ => "",
        };
        // `define` is of the outermost level only, and nothing but a word that no command has.
        if !matches!(word, "" | "define") {
            self.take();
        }
        let node = match word {
            "if" => Node::If(self.branch("if")?),
            "with" => Node::With(self.branch("with")?),
            "range" => Node::Range(self.branch("range")?),
            "end" => {
                self.expect_close("end")?;
                return Ok(Item::End);
            }
            "else" => {
                let next = self.peek_after_space();
                let shares_end =
                    next.kind == Kind::Keyword && matches!(next.text.as_str(), "if" | "with");
                if !shares_end {
                    self.expect_close("else")?;
                }
                return Ok(Item::Else);
            }
            "template" => self.template()?,
            "block" => self.block()?,
            "break" => {
                self.loop_control("{{break}}")?;
                Node::Break
            }
            "continue" => {
                self.loop_control("{{continue}}")?;
                Node::Continue
            }
            _ => Node::Action(self.pipeline("command", Kind::Close)?),
        };
        Ok(Item::Node(node))
    }

    fn loop_control(&mut self, word: &str) -> Parsed<()> {
        self.expect_close(word)?;
        match self.scope.loops {
            0 => Err(self.error(&format!("{word} outside {{{{range}}}}"))),
            _ => Ok(()),
        }
    }

    fn branch(&mut self, word: &str) -> Parsed<Branch> {
        let known = self.scope.variables.len();
        let over = self.pipeline(word, Kind::Close)?;
        let looping = usize::from(word == "range");
        self.scope.loops += looping;
        let (body, end) = self.list()?;
        self.scope.loops -= looping;
        let mut otherwise = Vec::new();
        if matches!(end, Item::Else) {
            let next = self.peek();
            let shares_end = next.kind == Kind::Keyword && next.text == word && word != "range";
            if shares_end {
                // `else if` and `else with` open a block that shares this one's end.
                self.take();
                self.descend()?;
                let nested = self.branch(word)?;
                self.depth -= 1;
                otherwise.push(match word {
                    "if" => Node::If(nested),
                    _ => Node::With(nested),
                });
            } else {
                let (nodes, end) = self.list()?;
                if matches!(end, Item::Else) {
                    return Err(self.error("expected end; found {{else}}"));
                }
                otherwise = nodes;
            }
        }
        self.scope.variables.truncate(known);
        Ok(Branch {
            over,
            body,
            otherwise,
        })
    }

    fn template(&mut self) -> Parsed<Node> {
        const CONTEXT: &str = "template clause";
        let (at, name) = self.template_name(CONTEXT)?;
        let dot = match self.peek_after_space().kind {
            Kind::Close => {
                self.take();
                None
            }
            _ => Some(self.pipeline(CONTEXT, Kind::Close)?),
        };
        Ok(Node::Template { at, name, dot })
    }

    fn block(&mut self) -> Parsed<Node> {
        const CONTEXT: &str = "block clause";
        let (at, name) = self.template_name(CONTEXT)?;
        let dot = Some(self.pipeline(CONTEXT, Kind::Close)?);
        let body = self.inner(CONTEXT)?;
        self.define(name.clone(), body)?;
        Ok(Node::Template { at, name, dot })
    }

    fn template_name(&mut self, context: &str) -> Parsed<(usize, String)> {
        let token = self.take_after_space();
        if !matches!(token.kind, Kind::Quoted | Kind::Raw) {
            return Err(self.unexpected(&token, context));
        }
        match number::unquoted(&token.text) {
            Some(name) => Ok((token.at, name)),
            None => Err(self.error("invalid syntax")),
        }
    }

    fn pipeline(&mut self, context: &str, end: Kind) -> Parsed<Pipe> {
        let at = self.peek_after_space().at;
        let (targets, assigns) = self.targets(context)?;
        let mut commands: Vec<Command> = Vec::new();
        loop {
            let token = self.peek_after_space().clone();
            match token.kind {
                kind if kind == end => {
                    self.take();
                    break;
                }
                Kind::Bool
                | Kind::Character
                | Kind::Complex
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::Raw
                | Kind::Quoted
                | Kind::Variable
                | Kind::LeftParen => commands.push(self.command()?),
                _ => {
                    self.take();
                    return Err(self.unexpected(&token, context));
                }
            }
        }
        if commands.is_empty() {
            return Err(self.error(&format!("missing value for {context}")));
        }
        for (stage, command) in commands.iter().enumerate().skip(1) {
            let constant = command.operands.first().is_some_and(|first| {
                matches!(
                    first.term,
                    Term::Bool(_) | Term::Dot | Term::Nil | Term::Number(_) | Term::Text { .. }
                )
            });
            if constant {
                let stage = stage + 1;
                return Err(
                    self.error(&format!("non executable command in pipeline stage {stage}"))
                );
            }
        }
        Ok(Pipe {
            at,
            targets,
            assigns,
            commands,
        })
    }

    /// `$x :=`, `$x =` and, in a range, `$i, $x :=`.
    fn targets(&mut self, context: &str) -> Parsed<(Vec<String>, bool)> {
        let mut names = Vec::new();
        loop {
            let token = self.peek_after_space().clone();
            if token.kind != Kind::Variable {
                return Ok((names, false));
            }
            let start = self.next;
            self.take();
            // The variable is an operand unless one of these follows.
            let next = self.peek_after_space().clone();
            match next.kind {
                Kind::Assign | Kind::Declare => {
                    self.take();
                    names.push(token.text.clone());
                    self.scope.variables.push(token.text);
                    return Ok((names, next.kind == Kind::Assign));
                }
                Kind::Other if next.text == "," => {
                    self.take();
                    names.push(token.text.clone());
                    self.scope.variables.push(token.text);
                    if context != "range" || names.len() >= 2 {
                        return Err(self.error(&format!("too many declarations in {context}")));
                    }
                    let after = self.peek_after_space().kind;
                    if !matches!(after, Kind::Variable | Kind::Close | Kind::RightParen) {
                        return Err(self.error("range can only initialize variables"));
                    }
                }
                _ => {
                    self.next = start;
                    return Ok((names, false));
                }
            }
        }
    }

    fn command(&mut self) -> Parsed<Command> {
        let at = self.peek_after_space().at;
        let mut operands = Vec::new();
        loop {
            self.peek_after_space();
            operands.extend(self.operand()?);
            let token = self.peek().clone();
            match token.kind {
                Kind::Space => {
                    self.take();
                }
                Kind::Close | Kind::RightParen => break,
                Kind::Pipe => {
                    self.take();
                    break;
                }
                _ => {
                    self.take();
                    return Err(self.unexpected(&token, "operand"));
                }
            }
        }
        if operands.is_empty() {
            return Err(self.error("empty command"));
        }
        Ok(Command { at, operands })
    }

    /// A term and the fields that follow it without a space.
    fn operand(&mut self) -> Parsed<Option<Operand>> {
        let Some(mut operand) = self.term()? else {
            return Ok(None);
        };
        if self.peek().kind != Kind::Field {
            return Ok(Some(operand));
        }
        let at = self.peek().at;
        let mut names = Vec::new();
        while self.peek().kind == Kind::Field {
            names.push(field_name(&self.take().text));
        }
        operand = match operand.term {
            Term::Field(mut all) => {
                all.append(&mut names);
                Operand {
                    at,
                    term: Term::Field(all),
                }
            }
            Term::Variable(mut all) => {
                all.append(&mut names);
                Operand {
                    at,
                    term: Term::Variable(all),
                }
            }
            Term::Bool(_) | Term::Text { .. } | Term::Number(_) | Term::Nil | Term::Dot => {
                let term = quote(&operand.to_string());
                return Err(self.error(&format!("unexpected . after term {term}")));
            }
            _ => Operand {
                at,
                term: Term::Chain(Box::new(operand), names),
            },
        };
        Ok(Some(operand))
    }

    fn term(&mut self) -> Parsed<Option<Operand>> {
        let token = self.peek_after_space().clone();
        self.take();
        let at = token.at;
        let term = match token.kind {
            Kind::Identifier if functions::is_known(&token.text) => Term::Identifier(token.text),
            Kind::Identifier => {
                let name = quote(&token.text);
                return Err(self.error(&format!("function {name} not defined")));
            }
            Kind::Dot => Term::Dot,
            Kind::Nil => Term::Nil,
            Kind::Variable => {
                if !self.scope.variables.contains(&token.text) {
                    let name = quote(&token.text);
                    return Err(self.error(&format!("undefined variable {name}")));
                }
                Term::Variable(vec![token.text])
            }
            Kind::Field => Term::Field(vec![field_name(&token.text)]),
            Kind::Bool => Term::Bool(token.text == "true"),
            Kind::Character | Kind::Complex | Kind::Number => {
                let read = match token.kind {
                    Kind::Character => number::character(&token.text),
                    Kind::Complex => number::complex(&token.text),
                    _ => number::number(&token.text),
                };
                Term::Number(read.map_err(|reason| self.error(&reason))?)
            }
            Kind::LeftParen => {
                self.descend()?;
                let pipe = self.pipeline("parenthesized pipeline", Kind::RightParen)?;
                self.depth -= 1;
                return Ok(Some(Operand {
                    at: pipe.at,
                    term: Term::Group(pipe),
                }));
            }
            Kind::Quoted | Kind::Raw => match number::unquoted(&token.text) {
                Some(text) => Term::Text {
                    written: token.text,
                    text,
                },
                None => return Err(self.error("invalid syntax")),
            },
            _ => {
                self.next -= 1;
                return Ok(None);
            }
        };
        Ok(Some(Operand { at, term }))
    }

    fn descend(&mut self) -> Parsed<()> {
        self.depth += 1;
        match self.depth > DEEPEST {
            true => Err(self.error("max expression depth exceeded")),
            false => Ok(()),
        }
    }

    fn expect_close(&mut self, context: &str) -> Parsed<()> {
        let token = self.take_after_space();
        match token.kind {
            Kind::Close => Ok(()),
            _ => Err(self.unexpected(&token, context)),
        }
    }

    /// The token to come. After the last there is but that one, over and over.
    fn peek(&mut self) -> &Token {
        let last = self.tokens.len().saturating_sub(1);
        self.next = self.next.min(last);
        self.furthest = self.furthest.max(self.next);
        &self.tokens[self.next]
    }

    fn peek_after_space(&mut self) -> &Token {
        while self.peek().kind == Kind::Space {
            self.next += 1;
        }
        self.peek()
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn take_after_space(&mut self) -> Token {
        self.peek_after_space();
        self.take()
    }

    fn unexpected(&self, token: &Token, context: &str) -> ParseError {
        if token.kind != Kind::Error {
            return self.error(&format!("unexpected {} in {context}", shown(token)));
        }
        let elsewhere = self.action_line.filter(|line| *line != token.line);
        let extra = match elsewhere {
            Some(line) if token.text.ends_with(" action") => {
                format!(" started at {}:{line}", self.format)
            }
            Some(line) => format!(" in action started at {}:{line}", self.format),
            None => String::new(),
        };
        self.error(&format!("{}{extra}", token.text))
    }

    fn error(&self, reason: &str) -> ParseError {
        ParseError {
            format: self.format,
            line: self.tokens.get(self.furthest).map_or(1, |token| token.line),
            reason: reason.to_owned(),
        }
    }
}

fn field_name(written: &str) -> String {
    written.trim_start_matches('.').to_owned()
}

/// A token in a message.
fn shown(token: &Token) -> String {
    match token.kind {
        Kind::End => "EOF".into(),
        Kind::Keyword | Kind::Dot | Kind::Nil => format!("<{}>", token.text),
        _ if token.text.len() > 10 => {
            let start: String = token.text.chars().take(10).collect();
            format!("{}...", quote(&start))
        }
        _ => quote(&token.text),
    }
}
