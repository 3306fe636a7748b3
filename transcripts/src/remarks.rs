//! What is known beforehand about a replay: steps that are not replayed, commands that are changed
//! for it, and the differences that remain, each with its reason.
//!
//! ```text
//! flow 30-docker101-run
//!
//! skip 12 13
//!   There are no bind mounts yet.
//!
//! edit 26 sleep 2 => true
//!   What the recording waits for is waited for by name.
//!
//! drop registry2
//!   Another flow had started it.
//!
//! only hull 29 46
//!   What is printed comes from the container, by one client as by the other.
//!
//! known both 56
//!   Init is ours.
//! stdout
//! -    1 root     /sbin/docker-init -- ps
//! +    1 root     /sbin/hull-init -- ps
//! ```
//!
//! `edit` changes a step's command, `drop` takes lines with a text out of all outputs of a flow. All
//! the lines that differ are listed, so that a step differs as it is known to and not otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

/// Which program is called `docker` in a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Client {
    /// Our own.
    Hull,
    /// The real one.
    Docker,
}

/// All remarks, by flow.
#[derive(Debug, Default)]
pub struct Remarks {
    flows: BTreeMap<String, OfFlow>,
}

/// The remarks about one flow.
#[derive(Debug, Default, Clone)]
pub struct OfFlow {
    skipped: BTreeSet<u32>,
    only: Vec<(Client, u32)>,
    edits: Vec<Edit>,
    dropped: Vec<String>,
    known: BTreeMap<(u32, Client), Vec<String>>,
}

#[derive(Debug, Clone)]
struct Edit {
    step: u32,
    from: String,
    to: String,
}

/// A file of remarks that does not have the form.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct RemarksError {
    line: usize,
    reason: &'static str,
}

impl Client {
    /// Both, one after the other.
    pub const BOTH: [Self; 2] = [Self::Hull, Self::Docker];
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hull => "hull",
            Self::Docker => "docker",
        })
    }
}

impl FromStr for Remarks {
    type Err = RemarksError;

    fn from_str(text: &str) -> Result<Self, RemarksError> {
        let mut remarks = Self::default();
        let mut flow: Option<String> = None;
        // The steps whose known differences are being listed.
        let mut listing: Vec<(u32, Client)> = Vec::new();
        // A remark without a reason is none.
        let mut owes_reason = false;
        for (index, line) in text.lines().enumerate() {
            let bad = |reason| RemarksError {
                line: index + 1,
                reason,
            };
            if line.starts_with("  ") {
                owes_reason = false;
                continue;
            }
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if owes_reason {
                return Err(bad("the remark before has no reason"));
            }
            if let Some(name) = line.strip_prefix("flow ") {
                flow = Some(name.to_owned());
                remarks.flows.entry(name.to_owned()).or_default();
                listing.clear();
                continue;
            }
            let name = flow.as_ref().ok_or_else(|| bad("no flow yet"))?;
            let of = remarks.flows.entry(name.clone()).or_default();
            if line.starts_with(['-', '+'])
                || ["stdout", "stderr"].contains(&line)
                || line.starts_with("exit ")
            {
                if listing.is_empty() {
                    return Err(bad("no step is known to differ so"));
                }
                for place in &listing {
                    of.known.entry(*place).or_default().push(line.to_owned());
                }
                continue;
            }
            let (verb, rest) = line.split_once(' ').ok_or_else(|| bad("no such remark"))?;
            listing.clear();
            owes_reason = true;
            match verb {
                "skip" => of
                    .skipped
                    .extend(steps(rest).ok_or_else(|| bad("not steps"))?),
                "drop" => of.dropped.push(rest.to_owned()),
                "only" | "known" => {
                    let (who, list) = rest.split_once(' ').ok_or_else(|| bad("for whom?"))?;
                    let steps = steps(list).ok_or_else(|| bad("not steps"))?;
                    let clients = clients(who).ok_or_else(|| bad("no such client"))?;
                    let all = clients
                        .iter()
                        .flat_map(|client| steps.iter().map(|step| (*step, *client)));
                    match verb {
                        "only" => of.only.extend(all.map(|(step, client)| (client, step))),
                        _ => listing.extend(all),
                    }
                }
                "edit" => {
                    let (step, edit) = rest.split_once(' ').ok_or_else(|| bad("no step"))?;
                    let (from, to) = edit.split_once(" => ").ok_or_else(|| bad("no arrow"))?;
                    of.edits.push(Edit {
                        step: step.parse().map_err(|_| bad("not a step"))?,
                        from: from.to_owned(),
                        to: to.to_owned(),
                    });
                }
                _ => return Err(bad("no such remark")),
            }
        }
        Ok(remarks)
    }
}

impl Remarks {
    /// Those about a flow; none if it has none.
    pub fn of(&self, flow: &str) -> OfFlow {
        self.flows.get(flow).cloned().unwrap_or_default()
    }
}

impl OfFlow {
    /// Whether a client runs a step.
    pub fn replayed(&self, step: u32, client: Client) -> bool {
        let mut only = self
            .only
            .iter()
            .filter(|(_, number)| *number == step)
            .peekable();
        let left_to_other = only.peek().is_some() && only.all(|(which, _)| *which != client);
        !self.skipped.contains(&step) && !left_to_other
    }

    /// A step's command as it is replayed, or what of an edit is not in it.
    pub fn edited(&self, step: u32, command: &str) -> Result<String, String> {
        let edits = self.edits.iter().filter(|edit| edit.step == step);
        let mut command = command.to_owned();
        for Edit { from, to, .. } in edits {
            if !command.contains(from.as_str()) {
                return Err(from.clone());
            }
            command = command.replace(from.as_str(), to);
        }
        Ok(command)
    }

    /// Output without the lines that are not compared.
    pub fn kept(&self, output: &str) -> String {
        let stays = |line: &&str| !self.dropped.iter().any(|text| line.contains(text.as_str()));
        output.split_inclusive('\n').filter(stays).collect()
    }

    /// The differences that a step is known to have.
    pub fn known(&self, step: u32, client: Client) -> &[String] {
        self.known.get(&(step, client)).map_or(&[], Vec::as_slice)
    }
}

/// `both`, or one of them.
fn clients(word: &str) -> Option<Vec<Client>> {
    match word {
        "both" => Some(Client::BOTH.into()),
        "hull" => Some(vec![Client::Hull]),
        "docker" => Some(vec![Client::Docker]),
        _ => None,
    }
}

/// `3 5-7`.
fn steps(list: &str) -> Option<Vec<u32>> {
    let mut steps = Vec::new();
    for word in list.split(' ') {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        steps.extend(first.parse::<u32>().ok()?..=last.parse().ok()?);
    }
    Some(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# remarks\n\nflow 30-run\n\nskip 3 5-7\n  Later.\n\nonly hull 9\n  The container's.\n\n\
        edit 2 sleep 2 => true\n  Named.\n\ndrop registry2\n  Another's.\n\n\
        known both 4\n  Ours.\nstdout\n-a\n+b\nexit 1\n\nflow other\n";

    #[test]
    fn each_kind_of_remark_has_its_effect() {
        let of = TEXT.parse::<Remarks>().unwrap().of("30-run");
        let replayed: Vec<u32> = (1..10)
            .filter(|n| of.replayed(*n, Client::Docker))
            .collect();
        assert_eq!(replayed, [1, 2, 4, 8]);
        assert!(of.replayed(9, Client::Hull));
        assert_eq!(
            of.edited(2, "docker ps; sleep 2").unwrap(),
            "docker ps; true"
        );
        assert_eq!(of.edited(2, "docker ps").unwrap_err(), "sleep 2");
        assert_eq!(of.edited(1, "sleep 2").unwrap(), "sleep 2");
        assert_eq!(of.kept("a\nx registry2\nb"), "a\nb");
        assert_eq!(
            of.known(4, Client::Docker),
            ["stdout", "-a", "+b", "exit 1"]
        );
        assert!(of.known(5, Client::Hull).is_empty());
    }

    #[test]
    fn what_says_nothing_is_refused() {
        for text in [
            "skip 1\n  Why.\n",
            "flow x\nskip 1\nskip 2\n  Why.\n",
            "flow x\nskip one\n",
            "flow x\nonly nobody 1\n",
            "flow x\nedit 1 a\n",
            "flow x\n-a\n",
            "flow x\nfrobnicate 1\n",
        ] {
            assert!(text.parse::<Remarks>().is_err(), "{text:?}");
        }
    }
}
