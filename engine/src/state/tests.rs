use super::*;
use proptest::prelude::*;

const PHASES: [Phase; 15] = [
    Phase::Created,
    Phase::Starting(Rest::Created),
    Phase::Starting(Rest::Exited),
    Phase::Starting(Rest::Restarting),
    Phase::Running,
    Phase::Paused,
    Phase::Ending(Rest::Created),
    Phase::Ending(Rest::Exited),
    Phase::Ending(Rest::Restarting),
    Phase::Ending(Rest::Removing),
    Phase::Exited,
    Phase::Restarting,
    Phase::Removing,
    Phase::Dead,
    Phase::Gone,
];

const EVENTS: [Event; 16] = [
    Event::Start,
    Event::Launched,
    Event::LaunchFailed,
    Event::Signal(Meaning::Stop),
    Event::Signal(Meaning::Other),
    Event::Pause,
    Event::Unpause,
    Event::Unplug,
    Event::ProcessEnded(Then::Rest),
    Event::ProcessEnded(Then::StartAgain),
    Event::VmGone,
    Event::Due,
    Event::Remove(Force::No),
    Event::Remove(Force::Yes),
    Event::Removed,
    Event::RemoveFailed,
];

/// The world as the effects make it: what may exist besides the state itself.
#[derive(Debug, Default)]
struct World {
    vm: bool,
    launching: bool,
    process: bool,
    held: bool,
    armed: bool,
    files: bool,
}

impl World {
    /// What could happen next in this world, besides what users ask for.
    fn possible(&self, phase: Phase, event: Event) -> bool {
        match event {
            Event::Launched | Event::LaunchFailed => self.launching,
            Event::ProcessEnded(_) => self.process,
            Event::Due => self.armed,
            Event::VmGone => self.vm && !self.process && !self.launching,
            Event::Removed | Event::RemoveFailed => phase == Phase::Removing,
            _ => true,
        }
    }

    fn apply(&mut self, event: Event, effects: &[Effect]) {
        match event {
            Event::Launched => (self.launching, self.process, self.vm) = (false, true, true),
            Event::LaunchFailed => (self.launching, self.vm) = (false, false),
            Event::ProcessEnded(_) => (self.process, self.held) = (false, false),
            Event::Due => self.armed = false,
            Event::VmGone => self.vm = false,
            Event::Removed => self.files = false,
            _ => {}
        }
        for effect in effects {
            match effect {
                Effect::Launch => {
                    assert!(!self.vm && !self.launching, "two VMs");
                    self.launching = true;
                }
                Effect::AbortLaunch => assert!(self.launching),
                Effect::Deliver => assert!(self.process && !self.held, "nobody hears the signal"),
                Effect::Hold => {
                    assert!(self.process && !self.held);
                    self.held = true;
                }
                Effect::Release => {
                    assert!(self.held);
                    self.held = false;
                }
                Effect::PullPlug => assert!(self.vm),
                Effect::Delete => {
                    assert!(!self.vm && !self.launching, "deleted under a VM");
                    assert!(!self.armed, "deleted, and about to start");
                }
                Effect::Arm => {
                    assert!(!self.armed && !self.vm && !self.launching, "two starts");
                    self.armed = true;
                }
                Effect::Disarm => {
                    assert!(self.armed);
                    self.armed = false;
                }
                Effect::Retry => {}
            }
        }
    }

    fn agrees_with(&self, phase: Phase) -> bool {
        let vm = matches!(phase, Phase::Running | Phase::Paused | Phase::Ending(_));
        self.vm == vm
            && self.launching == matches!(phase, Phase::Starting(_))
            && self.process == matches!(phase, Phase::Running | Phase::Paused)
            && self.held == (phase == Phase::Paused)
            && self.armed == (phase == Phase::Restarting)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn the_state_always_says_what_the_world_is(
        picks in proptest::collection::vec(any::<proptest::sample::Index>(), 0..60),
    ) {
        let mut phase = Phase::Created;
        let mut world = World { files: true, ..World::default() };
        for pick in picks {
            let event = *pick.get(&EVENTS);
            if !world.possible(phase, event) {
                continue;
            }
            match next(phase, event) {
                Ok((after, effects)) => {
                    world.apply(event, &effects);
                    prop_assert!(world.agrees_with(after), "{phase:?} {event:?} {after:?} {world:?}");
                    phase = after;
                }
                Err(denied) => prop_assert!(
                    denied != Denied::Unexpected,
                    "what can happen must be handled: {phase:?} {event:?}"
                ),
            }
        }
    }
}

#[test]
fn a_retry_never_changes_the_phase_and_only_waits_for_a_change_to_come() {
    for phase in PHASES {
        for event in EVENTS {
            if let Ok((after, effects)) = next(phase, event)
                && effects.contains(&Effect::Retry)
            {
                assert_eq!(after, phase, "{event:?}");
                let coming = [
                    Event::Launched,
                    Event::LaunchFailed,
                    Event::ProcessEnded(Then::Rest),
                    Event::VmGone,
                ];
                assert!(
                    coming.iter().any(|e| next(phase, *e).is_ok()),
                    "{phase:?} waits for ever"
                );
            }
        }
    }
}

#[test]
fn a_forced_removal_is_refused_only_where_one_is_under_way() {
    for phase in PHASES {
        let denied = next(phase, Event::Remove(Force::Yes)).err();
        match phase {
            Phase::Removing | Phase::Ending(Rest::Removing) | Phase::Gone => {
                assert_eq!(denied, Some(Denied::Removing));
            }
            _ => assert_eq!(denied, None, "{phase:?}"),
        }
    }
}

#[test]
fn a_paused_container_hears_a_signal_once_it_runs_again() {
    let (after, effects) = next(Phase::Paused, Event::Signal(Meaning::Stop)).unwrap();
    assert_eq!(after, Phase::Running);
    assert_eq!(effects, [Effect::Release, Effect::Deliver]);
}

#[test]
fn a_stop_between_two_runs_is_the_end_and_another_signal_is_not() {
    for (phase, stopped) in [
        (Phase::Restarting, Phase::Exited),
        (Phase::Ending(Rest::Restarting), Phase::Ending(Rest::Exited)),
    ] {
        let after = |meaning| next(phase, Event::Signal(meaning)).map(|(after, _)| after);
        assert_eq!(after(Meaning::Stop), Ok(stopped));
        assert_eq!(after(Meaning::Other), Ok(phase));
        assert_eq!(next(phase, Event::Start), Err(Denied::AlreadyRunning));
        assert_eq!(next(phase, Event::Pause), Err(Denied::Restarting));
    }
}

#[test]
fn a_start_by_policy_that_fails_is_not_tried_again() {
    let (after, effects) = next(Phase::Starting(Rest::Restarting), Event::LaunchFailed).unwrap();
    assert_eq!((after, effects.as_slice()), (Phase::Exited, &[][..]));
}
