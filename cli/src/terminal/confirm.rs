//! Asks before something is done that cannot be undone.

use std::io::{self, BufRead, Write};

/// Whether the answer to a warning is yes. No answer is no.
pub(crate) fn confirm(warning: &str) -> io::Result<bool> {
    ask(warning, &mut io::stdin().lock(), &mut io::stdout())
}

fn ask(warning: &str, input: &mut impl BufRead, out: &mut impl Write) -> io::Result<bool> {
    write!(out, "{warning}\nAre you sure you want to continue? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    input.read_line(&mut answer)?;
    Ok(answer.trim().eq_ignore_ascii_case("y"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_y_is_yes() {
        for (typed, expected) in [
            ("y\n", true),
            ("Y\n", true),
            ("n\n", false),
            ("yes\n", false),
            ("\n", false),
            ("", false),
        ] {
            let mut out = Vec::new();
            let answer = ask("WARNING!", &mut typed.as_bytes(), &mut out).unwrap();
            assert_eq!(answer, expected, "{typed:?}");
            let shown = String::from_utf8(out).unwrap();
            assert_eq!(shown, "WARNING!\nAre you sure you want to continue? [y/N] ");
        }
    }
}
