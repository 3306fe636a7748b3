//! Questions to a person at the terminal.

use std::io::{self, Read, Write};

use super::raw::RawMode;
use crate::failure::Failure;

/// Longer answers are cut off.
const MAX_LENGTH: usize = 64 << 10;

/// Asks for a line.
pub(crate) fn line(question: &str) -> Result<String, Failure> {
    ask(question)?;
    let mut line = String::new();
    io::stdin()
        .read_line(&mut line)
        .map_err(|error| Failure::new(format!("cannot read the answer: {error}")))?;
    Ok(line.trim().to_owned())
}

/// Asks for a line that is not shown.
pub(crate) fn secret(question: &str) -> Result<String, Failure> {
    let typed = {
        let failed = |error| Failure::new(format!("cannot read the answer: {error}"));
        // Before the question: who is quick must not see it either.
        let _raw = RawMode::enter().map_err(failed)?;
        ask(question)?;
        typed(&mut io::stdin().lock()).map_err(failed)?
    };
    writeln!(io::stdout())?;
    typed.ok_or_else(|| Failure::silent(130))
}

fn ask(question: &str) -> Result<(), Failure> {
    let mut out = io::stdout();
    write!(out, "{question}")?;
    out.flush()?;
    Ok(())
}

/// What was typed on a raw terminal up to the end of the line; nothing after Ctrl-C.
fn typed(input: &mut impl Read) -> io::Result<Option<String>> {
    let mut line: Vec<u8> = Vec::new();
    let mut key = [0];
    while input.read(&mut key)? == 1 {
        match key[0] {
            b'\r' | b'\n' | 4 => break,
            3 => return Ok(None),
            // Ctrl-U
            21 => line.clear(),
            8 | 127 => {
                // A whole character, however many bytes it has.
                while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
            }
            byte if line.len() < MAX_LENGTH => line.push(byte),
            _ => {}
        }
    }
    Ok(Some(String::from_utf8_lossy(&line).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_make_a_line() {
        let check = |keys: &str, expected: Option<&str>| {
            assert_eq!(typed(&mut keys.as_bytes()).unwrap().as_deref(), expected);
        };
        check("secret\r", Some("secret"));
        check("sec\u{7f}\u{7f}\r", Some("s"));
        check("é\u{7f}x\n", Some("x"));
        check("wrong\u{15}right\r", Some("right"));
        check("half\u{3}", None);
        check("end", Some("end"));
        check("\u{7f}\r", Some(""));
    }
}
