//! Text and actions, and the tokens within actions.

use super::ParseError;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Text(String),
    Open,
    Close,
    Word(String),
    /// `.Name`; a lone dot is the empty name.
    Field(String),
    /// `$name`; `$` alone is the empty name.
    Variable(String),
    Quoted(String),
    Int(i64),
    Float(f64),
    Pipe,
    Comma,
    Declare,
    Assign,
    LeftParen,
    RightParen,
}

/// A token, where it starts in the format, and whether white space stands before it (which
/// tells `.A.B` from `.A .B`).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spanned {
    pub(super) token: Token,
    pub(super) at: usize,
    pub(super) spaced: bool,
}

const OPEN: &str = "{{";
const CLOSE: &str = "}}";

pub(super) fn tokens(text: &str) -> Result<Vec<Spanned>, ParseError> {
    let mut out = Vec::new();
    let mut at = 0;
    let mut trim_next = false;
    loop {
        let rest = &text[at..];
        let open = rest.find(OPEN);
        let mut plain = &rest[..open.unwrap_or(rest.len())];
        if trim_next {
            plain = plain.trim_start();
        }
        let Some(open) = open else {
            push_text(&mut out, plain, at);
            return Ok(out);
        };
        let mut inside = at + open + OPEN.len();
        if text[inside..].starts_with("- ") {
            plain = plain.trim_end();
            inside += 2;
        }
        push_text(&mut out, plain, at);
        if text[inside..].starts_with("/*") {
            (at, trim_next) = comment(text, inside)?;
            continue;
        }
        out.push(Spanned {
            token: Token::Open,
            at: inside,
            spaced: false,
        });
        (at, trim_next) = action(text, inside, &mut out)?;
    }
}

fn push_text(out: &mut Vec<Spanned>, plain: &str, at: usize) {
    if !plain.is_empty() {
        out.push(Spanned {
            token: Token::Text(plain.to_owned()),
            at,
            spaced: false,
        });
    }
}

fn comment(text: &str, at: usize) -> Result<(usize, bool), ParseError> {
    let Some(end) = text[at..].find("*/") else {
        return Err(error(text, at, "unclosed comment"));
    };
    let after = at + end + 2;
    if text[after..].starts_with(CLOSE) {
        return Ok((after + CLOSE.len(), false));
    }
    if text[after..].starts_with(" -}}") {
        return Ok((after + 4, true));
    }
    Err(error(text, at, "comment ends before closing delimiter"))
}

/// Reads the tokens of one action; returns where it ended and whether it trims what follows.
fn action(text: &str, mut at: usize, out: &mut Vec<Spanned>) -> Result<(usize, bool), ParseError> {
    loop {
        let rest = &text[at..];
        let skipped = rest.len() - rest.trim_start().len();
        let spaced = skipped > 0;
        let start = at + skipped;
        let rest = &text[start..];
        let mut push = |token| {
            out.push(Spanned {
                token,
                at: start,
                spaced,
            });
        };
        if spaced && rest.starts_with("-}}") {
            push(Token::Close);
            return Ok((start + 3, true));
        }
        if rest.starts_with(CLOSE) {
            push(Token::Close);
            return Ok((start + CLOSE.len(), false));
        }
        let Some(first) = rest.chars().next() else {
            return Err(error(text, start, "unclosed action"));
        };
        let (token, length) = match first {
            '|' => (Token::Pipe, 1),
            ',' => (Token::Comma, 1),
            '(' => (Token::LeftParen, 1),
            ')' => (Token::RightParen, 1),
            ':' if rest.starts_with(":=") => (Token::Declare, 2),
            '=' => (Token::Assign, 1),
            '"' => quoted(text, start)?,
            '`' => raw(text, start)?,
            '\'' => character(text, start)?,
            '.' if !rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                let name = name(&rest[1..]);
                (Token::Field(name.to_owned()), 1 + name.len())
            }
            '$' => {
                let name = name(&rest[1..]);
                (Token::Variable(name.to_owned()), 1 + name.len())
            }
            c if c.is_ascii_digit() || matches!(c, '+' | '-' | '.') => number(text, start)?,
            c if c.is_alphabetic() || c == '_' => {
                let name = name(rest);
                (Token::Word(name.to_owned()), name.len())
            }
            c => {
                let reason = format!("unexpected {c:?} in command");
                return Err(error(text, start, &reason.replace('\'', "\"")));
            }
        };
        push(token);
        at = start + length;
    }
}

fn name(rest: &str) -> &str {
    let end = rest
        .find(|c: char| !(c.is_alphanumeric() || c == '_'))
        .unwrap_or(rest.len());
    &rest[..end]
}

fn quoted(text: &str, at: usize) -> Result<(Token, usize), ParseError> {
    let mut value = String::new();
    let mut characters = text[at + 1..].char_indices();
    while let Some((offset, character)) = characters.next() {
        match character {
            '"' => return Ok((Token::Quoted(value), offset + 2)),
            '\n' => break,
            '\\' => match characters.next().map(|(_, escaped)| escaped) {
                Some('n') => value.push('\n'),
                Some('t') => value.push('\t'),
                Some('r') => value.push('\r'),
                Some(other @ ('"' | '\\' | '\'')) => value.push(other),
                _ => return Err(error(text, at, "invalid escape in quoted string")),
            },
            other => value.push(other),
        }
    }
    Err(error(text, at, "unterminated quoted string"))
}

fn raw(text: &str, at: usize) -> Result<(Token, usize), ParseError> {
    match text[at + 1..].find('`') {
        Some(end) => Ok((
            Token::Quoted(text[at + 1..at + 1 + end].to_owned()),
            end + 2,
        )),
        None => Err(error(text, at, "unterminated raw quoted string")),
    }
}

fn character(text: &str, at: usize) -> Result<(Token, usize), ParseError> {
    let mut characters = text[at + 1..].chars();
    match (characters.next(), characters.next()) {
        (Some(c), Some('\'')) if c != '\\' => {
            Ok((Token::Int(i64::from(u32::from(c))), c.len_utf8() + 2))
        }
        _ => Err(error(text, at, "malformed character constant")),
    }
}

fn number(text: &str, at: usize) -> Result<(Token, usize), ParseError> {
    let rest = &text[at..];
    let end = rest
        .char_indices()
        .find(|(offset, c)| {
            let sign = *offset == 0 && matches!(c, '+' | '-');
            !(sign || c.is_alphanumeric() || matches!(c, '.' | '_'))
        })
        .map_or(rest.len(), |(offset, _)| offset);
    let word = &rest[..end];
    if let Ok(int) = word.parse() {
        return Ok((Token::Int(int), end));
    }
    match word.parse() {
        Ok(float) => Ok((Token::Float(float), end)),
        Err(_) => Err(error(text, at, &format!("bad number syntax: \"{word}\""))),
    }
}

pub(super) fn error(text: &str, at: usize, reason: &str) -> ParseError {
    let line = 1 + text[..at].matches('\n').count();
    ParseError {
        line,
        reason: reason.to_owned(),
    }
}
