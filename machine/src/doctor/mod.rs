//! `hull doctor`: what this host has, what it lacks, and what to do about it.
//!
//! A [`Report`] is a list of [`Check`]s, each about one thing that the VMM, the daemon or
//! the networks rely on. Reading the host ([`host`]) is separate from judging what was read
//! ([`judge`]), so the judgement is tested with made-up hosts.

mod host;
mod judge;
mod nftables;
pub mod probe;

use std::path::Path;

use serde::Serialize;

/// Where Hull's virtual machines can run, on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// On the host's own KVM.
    Host,
    /// In the emulated machine that `hull machine` keeps.
    Machine,
    /// Nowhere.
    Nowhere,
}

/// How one check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Ok,
    Missing,
}

/// For which way of running a check counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// Nothing runs without it.
    Always,
    /// Only where guests run on the host's own KVM.
    Host,
    /// Only where they run in the emulated machine.
    Machine,
    /// Good to know.
    Optional,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    pub name: &'static str,
    pub status: Status,
    pub need: Need,
    /// What was found.
    pub found: String,
    /// What to do about it; only where something is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// Everything that was looked at, and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    pub place: Place,
    pub checks: Vec<Check>,
}

impl Report {
    /// Whether Hull can run here at all: the exit code of `hull doctor`.
    pub fn can_run(&self) -> bool {
        self.place != Place::Nowhere
    }

    /// Whether a missing thing is in the way of running where the report says.
    pub fn blocks(&self, check: &Check) -> bool {
        check.status == Status::Missing
            && match check.need {
                Need::Always => true,
                Need::Host => self.place != Place::Machine,
                Need::Machine => self.place == Place::Nowhere,
                Need::Optional => false,
            }
    }
}

/// Looks at this host, with `data_root` as the place for Hull's state.
pub fn examine(data_root: &Path) -> Report {
    judge::report(&host::Facts::gather(data_root))
}
