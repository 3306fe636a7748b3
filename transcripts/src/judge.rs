//! Whether a step went as it was recorded, or differed only as it is known to.

use crate::lines::changes;
use crate::normal::Normal;
use crate::recording::{Seen, Step};
use crate::remarks::{Client, OfFlow};

/// A complaint about a step, in the form of remarks, if there is one.
pub fn judge(
    step: &Step,
    client: Client,
    seen: &Seen,
    mut ours: Normal,
    of: &OfFlow,
) -> Option<String> {
    let mut theirs = Normal::default();
    let mut found = Vec::new();
    let outputs = [
        ("stdout", &step.seen.stdout, &seen.stdout),
        ("stderr", &step.seen.stderr, &seen.stderr),
    ];
    for (name, recorded, printed) in outputs {
        let changes = changes(
            &theirs.text(&of.kept(recorded)),
            &ours.text(&of.kept(printed)),
        );
        if !changes.is_empty() {
            found.push(name.to_owned());
            found.extend(changes);
        }
    }
    if step.seen.code != seen.code {
        found.push(format!("exit {}", seen.code));
    }
    let known = of.known(step.number, client);
    if found == known {
        return None;
    }
    let number = step.number;
    if found.is_empty() {
        return Some(format!(
            "known {client} {number}\n  does not differ any more: remove it\n"
        ));
    }
    let command = step.command.replace('\n', "\n  ");
    let listed = if known.is_empty() {
        ""
    } else {
        "  (It differs otherwise than is known.)\n"
    };
    Some(format!(
        "known {client} {number}\n  $ {command}\n{listed}{}\n",
        found.join("\n")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remarks::Remarks;

    fn verdict(remarks: &str, stdout: &str, code: i32) -> Option<String> {
        let step = Step {
            number: 4,
            command: "docker ps".into(),
            typed: None,
            seen: Seen {
                stdout: "a\n859aa5c61b64\n".into(),
                ..Seen::default()
            },
        };
        let seen = Seen {
            stdout: stdout.into(),
            code,
            ..Seen::default()
        };
        let of = remarks.parse::<Remarks>().unwrap().of("x");
        judge(&step, Client::Hull, &seen, Normal::default(), &of)
    }

    const KNOWN: &str = "flow x\nknown hull 4\n  So it is.\nstdout\n-a\n+b\nexit 1\n";

    #[test]
    fn what_is_the_same_or_differs_as_known_passes() {
        assert_eq!(verdict("", "a\n111111111111\n", 0), None);
        assert_eq!(verdict(KNOWN, "b\n111111111111\n", 1), None);
    }

    #[test]
    fn a_new_a_changed_and_a_stale_difference_are_told() {
        let new = verdict("", "b\n111111111111\n", 1).unwrap();
        assert_eq!(new, "known hull 4\n  $ docker ps\nstdout\n-a\n+b\nexit 1\n");
        let changed = verdict(KNOWN, "c\n111111111111\n", 1).unwrap();
        assert!(
            changed.contains("+c") && changed.contains("otherwise"),
            "{changed}"
        );
        let stale = verdict(KNOWN, "a\n111111111111\n", 0).unwrap();
        assert!(stale.contains("remove it"), "{stale}");
    }
}
