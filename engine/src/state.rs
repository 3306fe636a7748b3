//! The life of a container, as a pure function.
//!
//! ```text
//!             Start                Launched               ProcessEnded          VmGone
//!  Created ──────────► Starting ─────────────► Running ─────────────► Ending ─────────► Exited
//!     ▲                 │    ▲                  │    ▲                   ▲                 │
//!     └──LaunchFailed───┘    │            Pause ▼    │ Unpause, Signal   │ ProcessEnded    │
//!                            │                 Paused ──────────────────┘                  │
//!                            └─────────────────────── Start ──────────────────────────────┘
//!
//!             Due               Launched               ProcessEnded, by its policy
//!  Restarting ─────► Starting ────────────► Running ─────────────────────────────► Ending ──┐
//!   │   ▲                                                                                   │
//!   │   └────────────────────────────────────── VmGone ─────────────────────────────────────┘
//!   └─ Signal ──► Exited
//!
//!  Created, Exited, Dead ── Remove ──► Removing ── Removed ──► gone
//!                                          └────── RemoveFailed ──► Dead
//! ```
//!
//! `Starting` and `Ending` are Hull's own: a VM takes time to come and go. What Docker shows
//! meanwhile is where it came from, and where it goes to.
//!
//! This module decides. The container's task ([`crate::container`]) does. Whether a policy wants
//! another start is decided in [`crate::restart`].

use crate::api::Status;

/// Where a container stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    /// Never started.
    Created,
    /// A VM is being made.
    Starting(Rest),
    /// The first process runs.
    Running,
    /// The vCPUs are held.
    Paused,
    /// The first process has ended, or never was, the VM not yet.
    Ending(Rest),
    /// Neither runs.
    Exited,
    /// Neither runs, until the time has come that its policy starts it again.
    Restarting,
    /// What it has on the host is being removed.
    Removing,
    /// Removal failed; only another removal helps.
    Dead,
    /// Nothing is left of it.
    Gone,
}

/// Where a container comes to rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Rest {
    Created,
    Exited,
    Restarting,
    /// Its removal had begun when an engine died; it goes on once the VM is gone.
    Removing,
}

/// Something was asked for or has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Start,
    Launched,
    LaunchFailed,
    Signal(Meaning),
    Pause,
    Unpause,
    Unplug,
    ProcessEnded(Then),
    VmGone,
    /// The time to start it again has come.
    Due,
    Remove(Force),
    Removed,
    RemoveFailed,
}

/// What a signal is to a container that is about to start again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Its end is wanted.
    Stop,
    /// It has no process to hear it.
    Other,
}

/// What comes after an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Rest,
    StartAgain,
}

/// Whether a removal may end the container first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Force {
    No,
    Yes,
}

/// What is to be done, in order. Where doing fails, the phase does not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Make the VM and start the process in it.
    Launch,
    /// Give up a launch that is under way.
    AbortLaunch,
    /// Send the signal.
    Deliver,
    /// Hold the vCPUs.
    Hold,
    /// Let them run.
    Release,
    /// End the VM at once.
    PullPlug,
    /// Delete what it has on the host.
    Delete,
    /// Ask again after the next change of phase.
    Retry,
    /// Say [`Event::Due`] when the policy's time has come.
    Arm,
    /// Do not say it any more.
    Disarm,
}

/// Why something cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    AlreadyRunning,
    NotRunning,
    Paused,
    NotPaused,
    Restarting,
    StillRunning,
    Removing,
    Dead,
    /// An event that cannot come in this phase; not a user's doing.
    Unexpected,
}

impl Phase {
    /// Docker's word for it.
    pub(crate) fn status(self) -> Status {
        match self {
            Self::Created | Self::Ending(Rest::Created) | Self::Starting(Rest::Created) => {
                Status::Created
            }
            Self::Running => Status::Running,
            Self::Paused => Status::Paused,
            Self::Exited | Self::Ending(Rest::Exited) | Self::Starting(Rest::Exited) => {
                Status::Exited
            }
            Self::Restarting
            | Self::Ending(Rest::Restarting)
            | Self::Starting(Rest::Restarting) => Status::Restarting,
            Self::Removing
            | Self::Gone
            | Self::Ending(Rest::Removing)
            | Self::Starting(Rest::Removing) => Status::Removing,
            Self::Dead => Status::Dead,
        }
    }

    /// Whether a process runs, or soon will.
    pub(crate) fn is_active(self) -> bool {
        matches!(self, Self::Starting(_) | Self::Running | Self::Paused) || self.is_between_runs()
    }

    /// Whether its policy will start it again.
    pub(crate) fn is_between_runs(self) -> bool {
        matches!(self, Self::Restarting | Self::Ending(Rest::Restarting))
    }
}

/// Decides.
pub(crate) fn next(phase: Phase, event: Event) -> Result<(Phase, Vec<Effect>), Denied> {
    use Effect::*;
    let go = |next, effects: &[Effect]| Ok((next, effects.to_vec()));
    match (phase, event) {
        (Phase::Gone, _) => Err(Denied::Removing),

        (Phase::Created, Event::Start) => go(Phase::Starting(Rest::Created), &[Launch]),
        (Phase::Exited, Event::Start) => go(Phase::Starting(Rest::Exited), &[Launch]),
        (
            Phase::Running
            | Phase::Starting(_)
            | Phase::Restarting
            | Phase::Ending(Rest::Restarting),
            Event::Start,
        ) => Err(Denied::AlreadyRunning),
        (Phase::Paused, Event::Start) => Err(Denied::Paused),
        (Phase::Ending(Rest::Removing), Event::Start | Event::Remove(_)) => Err(Denied::Removing),
        (Phase::Ending(_), Event::Start) => go(phase, &[Retry]),
        (Phase::Removing, Event::Start | Event::Remove(_)) => Err(Denied::Removing),
        (Phase::Dead, Event::Start) => Err(Denied::Dead),

        (Phase::Starting(_), Event::Launched) => go(Phase::Running, &[]),
        (Phase::Starting(Rest::Created), Event::LaunchFailed) => go(Phase::Created, &[]),
        (Phase::Starting(_), Event::LaunchFailed) => go(Phase::Exited, &[]),

        (Phase::Running, Event::Signal(_)) => go(phase, &[Deliver]),
        (Phase::Paused, Event::Signal(_)) => go(Phase::Running, &[Release, Deliver]),
        (Phase::Starting(_), Event::Signal(_) | Event::Pause) => go(phase, &[Retry]),
        (Phase::Restarting, Event::Signal(Meaning::Stop)) => go(Phase::Exited, &[Disarm]),
        (Phase::Ending(Rest::Restarting), Event::Signal(Meaning::Stop)) => {
            go(Phase::Ending(Rest::Exited), &[])
        }
        (Phase::Restarting | Phase::Ending(Rest::Restarting), Event::Signal(Meaning::Other)) => {
            go(phase, &[])
        }
        (_, Event::Signal(_)) => Err(Denied::NotRunning),

        (Phase::Running, Event::Pause) => go(Phase::Paused, &[Hold]),
        (Phase::Restarting | Phase::Ending(Rest::Restarting), Event::Pause) => {
            Err(Denied::Restarting)
        }
        (Phase::Paused, Event::Pause) => Err(Denied::Paused),
        (_, Event::Pause) => Err(Denied::NotRunning),
        (Phase::Paused, Event::Unpause) => go(Phase::Running, &[Release]),
        (_, Event::Unpause) => Err(Denied::NotPaused),

        (Phase::Running | Phase::Paused, Event::Unplug) => go(phase, &[PullPlug]),
        (Phase::Starting(_), Event::Unplug) => go(phase, &[AbortLaunch]),
        (_, Event::Unplug) => Err(Denied::NotRunning),

        (Phase::Running | Phase::Paused, Event::ProcessEnded(Then::Rest)) => {
            go(Phase::Ending(Rest::Exited), &[])
        }
        (Phase::Running | Phase::Paused, Event::ProcessEnded(Then::StartAgain)) => {
            go(Phase::Ending(Rest::Restarting), &[])
        }
        (Phase::Ending(Rest::Created), Event::VmGone) => go(Phase::Created, &[]),
        (Phase::Ending(Rest::Exited), Event::VmGone) => go(Phase::Exited, &[]),
        (Phase::Ending(Rest::Restarting), Event::VmGone) => go(Phase::Restarting, &[Arm]),
        (Phase::Ending(Rest::Removing), Event::VmGone) => go(Phase::Removing, &[Delete]),
        (Phase::Restarting, Event::Due) => go(Phase::Starting(Rest::Restarting), &[Launch]),

        (Phase::Created | Phase::Exited | Phase::Dead, Event::Remove(_)) => {
            go(Phase::Removing, &[Delete])
        }
        (
            Phase::Running | Phase::Paused | Phase::Restarting | Phase::Ending(Rest::Restarting),
            Event::Remove(Force::No),
        ) => Err(Denied::StillRunning),
        (Phase::Restarting, Event::Remove(Force::Yes)) => go(Phase::Removing, &[Disarm, Delete]),
        (Phase::Running | Phase::Paused, Event::Remove(Force::Yes)) => {
            go(phase, &[PullPlug, Retry])
        }
        (Phase::Starting(_), Event::Remove(Force::No)) => Err(Denied::StillRunning),
        (Phase::Starting(_), Event::Remove(Force::Yes)) => go(phase, &[AbortLaunch, Retry]),
        (Phase::Ending(_), Event::Remove(_)) => go(phase, &[Retry]),

        (Phase::Removing, Event::Removed) => go(Phase::Gone, &[]),
        (Phase::Removing, Event::RemoveFailed) => go(Phase::Dead, &[]),

        (
            _,
            Event::Launched
            | Event::LaunchFailed
            | Event::ProcessEnded(_)
            | Event::VmGone
            | Event::Due
            | Event::Removed
            | Event::RemoveFailed,
        ) => Err(Denied::Unexpected),
    }
}

#[cfg(test)]
mod tests;
