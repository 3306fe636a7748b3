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
//!  Created, Exited, Dead ── Remove ──► Removing ── Removed ──► gone
//!                                          └────── RemoveFailed ──► Dead
//! ```
//!
//! `Starting` and `Ending` are Hull's own: a VM takes time to come and go. What Docker shows
//! meanwhile is where it came from, and `exited`.
//!
//! This module decides. The container's task ([`crate::container`]) does.

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
}

/// Something was asked for or has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Start,
    Launched,
    LaunchFailed,
    Signal,
    Pause,
    Unpause,
    Unplug,
    ProcessEnded,
    VmGone,
    Remove(Force),
    Removed,
    RemoveFailed,
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
}

/// Why something cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    AlreadyRunning,
    NotRunning,
    Paused,
    NotPaused,
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
            Self::Removing | Self::Gone => Status::Removing,
            Self::Dead => Status::Dead,
        }
    }

    /// Whether a process runs, or soon will.
    pub(crate) fn is_active(self) -> bool {
        matches!(self, Self::Starting(_) | Self::Running | Self::Paused)
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
        (Phase::Running | Phase::Starting(_), Event::Start) => Err(Denied::AlreadyRunning),
        (Phase::Paused, Event::Start) => Err(Denied::Paused),
        (Phase::Ending(_), Event::Start) => go(phase, &[Retry]),
        (Phase::Removing, Event::Start | Event::Remove(_)) => Err(Denied::Removing),
        (Phase::Dead, Event::Start) => Err(Denied::Dead),

        (Phase::Starting(_), Event::Launched) => go(Phase::Running, &[]),
        (Phase::Starting(Rest::Created), Event::LaunchFailed) => go(Phase::Created, &[]),
        (Phase::Starting(Rest::Exited), Event::LaunchFailed) => go(Phase::Exited, &[]),

        (Phase::Running, Event::Signal) => go(phase, &[Deliver]),
        (Phase::Paused, Event::Signal) => go(Phase::Running, &[Release, Deliver]),
        (Phase::Starting(_), Event::Signal | Event::Pause) => go(phase, &[Retry]),
        (_, Event::Signal) => Err(Denied::NotRunning),

        (Phase::Running, Event::Pause) => go(Phase::Paused, &[Hold]),
        (Phase::Paused, Event::Pause) => Err(Denied::Paused),
        (_, Event::Pause) => Err(Denied::NotRunning),
        (Phase::Paused, Event::Unpause) => go(Phase::Running, &[Release]),
        (_, Event::Unpause) => Err(Denied::NotPaused),

        (Phase::Running | Phase::Paused, Event::Unplug) => go(phase, &[PullPlug]),
        (Phase::Starting(_), Event::Unplug) => go(phase, &[AbortLaunch]),
        (_, Event::Unplug) => Err(Denied::NotRunning),

        (Phase::Running | Phase::Paused, Event::ProcessEnded) => {
            go(Phase::Ending(Rest::Exited), &[])
        }
        (Phase::Ending(Rest::Created), Event::VmGone) => go(Phase::Created, &[]),
        (Phase::Ending(Rest::Exited), Event::VmGone) => go(Phase::Exited, &[]),

        (Phase::Created | Phase::Exited | Phase::Dead, Event::Remove(_)) => {
            go(Phase::Removing, &[Delete])
        }
        (Phase::Running | Phase::Paused, Event::Remove(Force::No)) => Err(Denied::StillRunning),
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
            | Event::ProcessEnded
            | Event::VmGone
            | Event::Removed
            | Event::RemoveFailed,
        ) => Err(Denied::Unexpected),
    }
}

#[cfg(test)]
mod tests;
