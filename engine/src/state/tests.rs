use super::*;
use proptest::prelude::*;

const PHASES: [Phase; 11] = [
    Phase::Created,
    Phase::Starting(Rest::Created),
    Phase::Starting(Rest::Exited),
    Phase::Running,
    Phase::Paused,
    Phase::Ending(Rest::Created),
    Phase::Ending(Rest::Exited),
    Phase::Exited,
    Phase::Removing,
    Phase::Dead,
    Phase::Gone,
];

const EVENTS: [Event; 13] = [
    Event::Start,
    Event::Launched,
    Event::LaunchFailed,
    Event::Signal,
    Event::Pause,
    Event::Unpause,
    Event::Unplug,
    Event::ProcessEnded,
    Event::VmGone,
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
    files: bool,
}

impl World {
    /// What could happen next in this world, besides what users ask for.
    fn possible(&self, phase: Phase, event: Event) -> bool {
        match event {
            Event::Launched | Event::LaunchFailed => self.launching,
            Event::ProcessEnded => self.process,
            Event::VmGone => self.vm && !self.process && !self.launching,
            Event::Removed | Event::RemoveFailed => phase == Phase::Removing,
            _ => true,
        }
    }

    fn apply(&mut self, event: Event, effects: &[Effect]) {
        match event {
            Event::Launched => (self.launching, self.process, self.vm) = (false, true, true),
            Event::LaunchFailed => (self.launching, self.vm) = (false, false),
            Event::ProcessEnded => (self.process, self.held) = (false, false),
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
                Effect::Delete => assert!(!self.vm && !self.launching, "deleted under a VM"),
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
                    Event::ProcessEnded,
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
            Phase::Removing | Phase::Gone => assert_eq!(denied, Some(Denied::Removing)),
            _ => assert_eq!(denied, None, "{phase:?}"),
        }
    }
}

#[test]
fn a_paused_container_hears_a_signal_once_it_runs_again() {
    let (after, effects) = next(Phase::Paused, Event::Signal).unwrap();
    assert_eq!(after, Phase::Running);
    assert_eq!(effects, [Effect::Release, Effect::Deliver]);
}
