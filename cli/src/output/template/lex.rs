//! A format's text as the tokens that Go's own lexer makes of it, with its errors.
//!
//! White space within an action is a token too: it is what tells `.A.B` from `.A .B`. A mistake
//! is the last token; what stands before it is read first, so that the earliest one is told.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Error,
    End,
    Text,
    Open,
    Close,
    Space,
    Keyword,
    Identifier,
    Field,
    Variable,
    Dot,
    Nil,
    Bool,
    Number,
    Complex,
    Character,
    Quoted,
    Raw,
    Pipe,
    Declare,
    Assign,
    LeftParen,
    RightParen,
    /// Any other printable character of ASCII, the comma above all.
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// As it was written; of an error, what it says.
    pub(super) text: String,
    /// Where it starts in the format.
    pub(super) at: usize,
    pub(super) line: usize,
}

const OPEN: &str = "{{";
const CLOSE: &str = "}}";
const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];
const KEYWORDS: [&str; 10] = [
    "block", "break", "continue", "define", "else", "end", "if", "range", "template", "with",
];

pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer {
        text,
        start: 0,
        at: 0,
        tokens: Vec::new(),
    };
    // A mistake is a token, so there is nothing else to do with it.
    if lexer.text().is_some() {
        lexer.start = text.len();
        lexer.emit(Kind::End);
    }
    lexer.tokens
}

/// Line of a place in a text, from one.
pub(super) fn line(text: &str, at: usize) -> usize {
    1 + text
        .get(..at)
        .map_or(0, |before| before.matches('\n').count())
}

struct Lexer<'a> {
    text: &'a str,
    start: usize,
    at: usize,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    /// All of it; nothing where it broke off.
    fn text(&mut self) -> Option<()> {
        loop {
            let Some(open) = self.rest().find(OPEN) else {
                self.at = self.text.len();
                if self.at > self.start {
                    self.emit(Kind::Text);
                }
                return Some(());
            };
            let open = self.at + open;
            let trims = trims_left(&self.text[open + OPEN.len()..]);
            let plain = &self.text[self.start..open];
            let kept = if trims {
                plain.trim_end_matches(SPACES)
            } else {
                plain
            };
            self.at = self.start + kept.len();
            if self.at > self.start {
                self.emit(Kind::Text);
            }
            self.start = open;
            self.at = open + OPEN.len();
            let marker = if trims { 2 } else { 0 };
            if self.text[self.at + marker..].starts_with("/*") {
                self.at += marker;
                self.comment()?;
            } else {
                self.emit(Kind::Open);
                self.at += marker;
                self.start = self.at;
                self.action()?;
            }
        }
    }

    fn comment(&mut self) -> Option<()> {
        self.start = self.at;
        let Some(end) = self.text[self.at + 2..].find("*/") else {
            return self.error("unclosed comment");
        };
        self.at += 2 + end + 2;
        if !self.at_close() {
            return self.error("comment ends before closing delimiter");
        }
        self.close();
        Some(())
    }

    fn action(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            if self.at_close() {
                if depth > 0 {
                    return self.error("unclosed left paren");
                }
                let close = self.close();
                self.tokens.push(close);
                return Some(());
            }
            let Some(first) = self.next() else {
                return self.error("unclosed action");
            };
            match first {
                c if SPACES.contains(&c) => {
                    self.at -= c.len_utf8();
                    self.space();
                }
                '=' => self.emit(Kind::Assign),
                ':' => {
                    if self.next() != Some('=') {
                        return self.error("expected :=");
                    }
                    self.emit(Kind::Declare);
                }
                '|' => self.emit(Kind::Pipe),
                '"' => self.delimited('"', Kind::Quoted, "unterminated quoted string")?,
                '\'' => self.delimited('\'', Kind::Character, "unterminated character constant")?,
                '`' => match self.rest().find('`') {
                    Some(end) => {
                        self.at += end + 1;
                        self.emit(Kind::Raw);
                    }
                    None => return self.error("unterminated raw quoted string"),
                },
                '$' => self.named(Kind::Variable, Kind::Variable)?,
                '.' if !self.rest().starts_with(|c: char| c.is_ascii_digit())
                    && !self.rest().is_empty() =>
                {
                    self.named(Kind::Field, Kind::Dot)?;
                }
                c if c.is_ascii_digit() || matches!(c, '.' | '+' | '-') => {
                    self.at -= 1;
                    self.number()?;
                }
                c if is_name(c) => self.word()?,
                '(' => {
                    depth += 1;
                    self.emit(Kind::LeftParen);
                }
                ')' if depth == 0 => return self.error("unexpected right paren"),
                ')' => {
                    depth -= 1;
                    self.emit(Kind::RightParen);
                }
                c if c == ' ' || c.is_ascii_graphic() => self.emit(Kind::Other),
                c => {
                    let reason = format!("unrecognized character in action: {}", point(Some(c)));
                    return self.error(&reason);
                }
            }
        }
    }

    /// A run of white space, without the last of it where that belongs to `" -}}"`.
    fn space(&mut self) {
        let run = self.rest().len() - self.rest().trim_start_matches(SPACES).len();
        self.at += run;
        let last = &self.text[self.at - 1..];
        if last[1..].starts_with("-}}") {
            self.at -= 1;
            if run == 1 {
                return;
            }
        }
        self.emit(Kind::Space);
    }

    fn delimited(&mut self, end: char, kind: Kind, unended: &str) -> Option<()> {
        loop {
            match self.next() {
                Some('\\') if !matches!(self.next(), None | Some('\n')) => {}
                None | Some('\n' | '\\') => return self.error(unended),
                Some(c) if c == end => {
                    self.emit(kind);
                    return Some(());
                }
                Some(_) => {}
            }
        }
    }

    /// `.Name` or `$name`, or the mark alone.
    fn named(&mut self, kind: Kind, alone: Kind) -> Option<()> {
        if self.at_terminator() {
            self.emit(alone);
            return Some(());
        }
        self.name_ends()?;
        self.emit(kind);
        Some(())
    }

    fn word(&mut self) -> Option<()> {
        self.name_ends()?;
        let kind = match &self.text[self.start..self.at] {
            "nil" => Kind::Nil,
            "true" | "false" => Kind::Bool,
            word if KEYWORDS.contains(&word) => Kind::Keyword,
            _ => Kind::Identifier,
        };
        self.emit(kind);
        Some(())
    }

    fn name_ends(&mut self) -> Option<()> {
        self.at += self.rest().len() - self.rest().trim_start_matches(is_name).len();
        if self.at_terminator() {
            return Some(());
        }
        let reason = format!("bad character {}", point(self.rest().chars().next()));
        self.error(&reason)
    }

    fn number(&mut self) -> Option<()> {
        let mut well = self.digits();
        let mut kind = Kind::Number;
        if well && self.rest().starts_with(['+', '-']) {
            // A complex number has no spaces and ends in its `i`.
            well = self.digits() && self.text[..self.at].ends_with('i');
            kind = Kind::Complex;
        }
        if well {
            self.emit(kind);
            return Some(());
        }
        let reason = format!(
            "bad number syntax: {}",
            crate::output::text::quote(&self.text[self.start..self.at])
        );
        self.error(&reason)
    }

    fn digits(&mut self) -> bool {
        self.accept(&['+', '-']);
        let mut digits = "0123456789_";
        if self.accept(&['0']) {
            if self.accept(&['x', 'X']) {
                digits = "0123456789abcdefABCDEF_";
            } else if self.accept(&['o', 'O']) {
                digits = "01234567_";
            } else if self.accept(&['b', 'B']) {
                digits = "01_";
            }
        }
        self.accept_all(digits);
        if self.accept(&['.']) {
            self.accept_all(digits);
        }
        let exponent: &[char] = match digits.len() {
            11 => &['e', 'E'],
            23 => &['p', 'P'],
            _ => &[],
        };
        if self.accept(exponent) {
            self.accept(&['+', '-']);
            self.accept_all("0123456789_");
        }
        self.accept(&['i']);
        match self.rest().chars().next() {
            Some(c) if is_name(c) => {
                self.at += c.len_utf8();
                false
            }
            _ => true,
        }
    }

    fn accept(&mut self, any: &[char]) -> bool {
        let found = self.rest().starts_with(any);
        self.at += usize::from(found);
        found
    }

    fn accept_all(&mut self, digits: &str) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches(|c| digits.contains(c)).len();
    }

    fn at_terminator(&self) -> bool {
        match self.rest().chars().next() {
            None | Some('.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(c) => SPACES.contains(&c) || self.rest().starts_with(CLOSE),
        }
    }

    fn at_close(&self) -> bool {
        self.rest().starts_with(CLOSE) || self.trims_right()
    }

    fn trims_right(&self) -> bool {
        self.rest().starts_with(SPACES) && self.rest()[1..].starts_with("-}}")
    }

    /// Steps over the end of an action and the white space that it trims.
    fn close(&mut self) -> Token {
        let trims = self.trims_right();
        self.start = self.at + if trims { 2 } else { 0 };
        self.at = self.start + CLOSE.len();
        let token = self.token(Kind::Close);
        if trims {
            self.at = self.text.len() - self.rest().trim_start_matches(SPACES).len();
        }
        self.start = self.at;
        token
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest().chars().next()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn token(&self, kind: Kind) -> Token {
        Token {
            kind,
            text: self.text[self.start..self.at].to_owned(),
            at: self.start,
            line: line(self.text, self.start),
        }
    }

    fn emit(&mut self, kind: Kind) {
        self.tokens.push(self.token(kind));
        self.start = self.at;
    }

    fn error(&mut self, reason: &str) -> Option<()> {
        self.tokens.push(Token {
            kind: Kind::Error,
            text: reason.to_owned(),
            at: self.start,
            line: line(self.text, self.start),
        });
        None
    }
}

fn trims_left(rest: &str) -> bool {
    rest.starts_with('-') && rest[1..].starts_with(SPACES)
}

fn is_name(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// `U+007D '}'`; the end of the text is the point -1, as Go has it.
fn point(c: Option<char>) -> String {
    match c {
        None => "U+FFFFFFFFFFFFFFFF".into(),
        Some(c) if c.is_control() => format!("U+{:04X}", u32::from(c)),
        Some(c) => format!("U+{:04X} '{c}'", u32::from(c)),
    }
}
