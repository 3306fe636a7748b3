//! Go's `Sprintf`: `%[1]*.2f` and what it says of a format that its arguments do not fit.

use super::print::Printer;
use super::scalar::Flags;
use super::value::{Data, Value};

/// More than this is no width.
const WIDEST: i64 = 1_000_000;

pub(crate) fn printf(format: &str, arguments: &[Value]) -> String {
    let mut state = State {
        rest: format.chars(),
        arguments,
        next: 0,
        reordered: false,
        well_indexed: true,
    };
    let mut out = String::new();
    while let Some(c) = state.rest.next() {
        match c {
            '%' => out.push_str(&state.verb()),
            c => out.push(c),
        }
    }
    if !state.reordered && state.next < arguments.len() {
        let extra: Vec<String> = arguments[state.next..].iter().map(extra).collect();
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    out
}

fn extra(value: &Value) -> String {
    match value.clone().out_of_interface() {
        value if value.is_valid() => format!("{}={value}", value.ty),
        _ => "<nil>".into(),
    }
}

struct State<'a> {
    rest: std::str::Chars<'a>,
    arguments: &'a [Value],
    next: usize,
    /// Some verb said which argument it wants.
    reordered: bool,
    well_indexed: bool,
}

impl State<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.clone().next()
    }

    fn verb(&mut self) -> String {
        let mut flags = Flags::default();
        let mut complaints = String::new();
        self.well_indexed = true;
        while let Some(c) = self.peek() {
            match c {
                '#' => flags.sharp = true,
                '0' => flags.zero = true,
                '+' => flags.plus = true,
                '-' => flags.minus = true,
                ' ' => flags.space = true,
                _ => break,
            }
            self.rest.next();
        }
        let mut after_index = self.index();
        if self.peek() == Some('*') {
            self.rest.next();
            match self.size() {
                Some(width) => {
                    flags.minus |= width < 0;
                    flags.width = usize::try_from(width.unsigned_abs()).ok();
                }
                None => complaints.push_str("%!(BADWIDTH)"),
            }
            after_index = false;
        } else {
            flags.width = self.digits();
            if after_index && flags.width.is_some() {
                self.well_indexed = false;
            }
        }
        if self.peek() == Some('.') {
            self.rest.next();
            if after_index {
                self.well_indexed = false;
            }
            after_index = self.index();
            if self.peek() == Some('*') {
                self.rest.next();
                match self.size().and_then(|size| usize::try_from(size).ok()) {
                    Some(precision) => flags.precision = Some(precision),
                    None => complaints.push_str("%!(BADPREC)"),
                }
                after_index = false;
            } else {
                flags.precision = Some(self.digits().unwrap_or(0));
            }
        }
        if !after_index {
            self.index();
        }
        let Some(verb) = self.rest.next() else {
            return complaints + "%!(NOVERB)";
        };
        complaints + &self.shown(flags, verb)
    }

    fn shown(&mut self, mut flags: Flags, verb: char) -> String {
        if verb == '%' {
            return "%".into();
        }
        if !self.well_indexed {
            return format!("%!{verb}(BADINDEX)");
        }
        let Some(argument) = self.arguments.get(self.next) else {
            return format!("%!{verb}(MISSING)");
        };
        self.next += 1;
        if verb == 'v' {
            flags.source = std::mem::take(&mut flags.sharp);
            flags.names = std::mem::take(&mut flags.plus);
        }
        let printer = Printer {
            flags,
            complaining: false,
        };
        printer.argument(argument, verb)
    }

    /// `[3]`: which argument is next. Says whether there was one.
    fn index(&mut self) -> bool {
        if self.peek() != Some('[') {
            return false;
        }
        self.reordered = true;
        let rest = self.rest.as_str();
        let Some(end) = rest.find(']') else {
            self.rest.next();
            self.well_indexed = false;
            return false;
        };
        let wanted = rest[1..end].parse::<usize>().ok();
        self.rest = rest[end + 1..].chars();
        match wanted.and_then(|wanted| wanted.checked_sub(1)) {
            Some(at) if at < self.arguments.len() => {
                self.next = at;
                true
            }
            _ => {
                self.well_indexed = false;
                true
            }
        }
    }

    /// The argument that a `*` stands for.
    fn size(&mut self) -> Option<i64> {
        let argument = self.arguments.get(self.next)?.clone().out_of_interface();
        self.next += 1;
        let size = match argument.data {
            Data::Int(size) => size,
            Data::Uint(size) => i64::try_from(size).ok()?,
            _ => return None,
        };
        (size.abs() <= WIDEST).then_some(size)
    }

    fn digits(&mut self) -> Option<usize> {
        let rest = self.rest.as_str();
        let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let digits = &rest[..rest.len() - after.len()];
        self.rest = after.chars();
        let number: i64 = digits.parse().ok()?;
        usize::try_from(number).ok().filter(|_| number <= WIDEST)
    }
}
