//! When a container is started again by itself: Docker's restart policies and back-off, pure.
//!
//! | policy | after an end | when the engine opens |
//! |---|---|---|
//! | `always` | started, unless it was stopped by hand | started, however it ended |
//! | `unless-stopped` | the same | started, unless it was stopped by hand |
//! | `on-failure[:n]` | started where its code is not 0, at most n times | an end that nobody saw counts as one |
//!
//! The first wait is 100 ms; each is twice the one before, up to a minute, until a run has lasted
//! ten seconds. A start by a user begins anew.

use std::time::Duration;

use crate::api::RestartPolicy;
use crate::error::EngineError;

const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// A run as long as this is no failure to start.
const STEADY: Duration = Duration::from_secs(10);

/// When to start again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    No,
    Always,
    UnlessStopped,
    /// At most this often; 0 is without limit.
    OnFailure(u32),
}

impl Policy {
    /// Reads what a client sent.
    pub(crate) fn parse(policy: &RestartPolicy) -> Result<Self, EngineError> {
        let invalid = |why: &str| EngineError::Invalid(format!("invalid restart policy: {why}"));
        let most = policy.maximum_retry_count;
        let read = match policy.name.as_str() {
            // What older clients send for none, with any count.
            "" => return Ok(Self::No),
            "no" => Self::No,
            "always" => Self::Always,
            "unless-stopped" => Self::UnlessStopped,
            "on-failure" => {
                let negative = |_| invalid("maximum retry count cannot be negative");
                let most = u64::try_from(most).map_err(negative)?;
                return Ok(Self::OnFailure(u32::try_from(most).unwrap_or(u32::MAX)));
            }
            other => {
                return Err(invalid(&format!(
                    "unknown policy '{other}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
                )));
            }
        };
        match most {
            0 => Ok(read),
            1.. => Err(invalid(
                "maximum retry count can only be used with 'on-failure'",
            )),
            _ => Err(invalid(
                "maximum retry count can only be used with 'on-failure' and cannot be negative",
            )),
        }
    }

    /// Of a container that was admitted.
    pub(crate) fn of(policy: &RestartPolicy) -> Self {
        Self::parse(policy).unwrap_or(Self::No)
    }

    /// Whether a container that rests is started when the engine opens.
    pub(crate) fn starts_with_engine(self, stopped_by_hand: bool) -> bool {
        match self {
            Self::Always => true,
            Self::UnlessStopped => !stopped_by_hand,
            Self::No | Self::OnFailure(_) => false,
        }
    }
}

/// What a policy has done since a user started the container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Restarts {
    /// How often it was started again.
    pub(crate) count: u32,
    /// A user sent it a signal.
    pub(crate) by_hand: bool,
    /// The next end is the last. Not stored: it is about the run that an engine watches.
    pub(crate) last_run: bool,
    /// The latest wait. Not stored: the first wait after an engine has opened is short.
    wait: Duration,
}

/// An end, as far as a policy cares.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunEnd {
    pub(crate) exit_code: i32,
    pub(crate) lasted: Duration,
}

impl Restarts {
    /// As an earlier engine stored it.
    pub(crate) fn stored(count: u32, by_hand: bool) -> Self {
        Self {
            count,
            by_hand,
            ..Self::default()
        }
    }

    /// Whether another run is to come, and takes it into account.
    pub(crate) fn start_again(&mut self, policy: Policy, end: RunEnd) -> bool {
        let wanted = match policy {
            _ if self.last_run => false,
            Policy::No => false,
            Policy::Always => true,
            Policy::UnlessStopped => !self.by_hand,
            Policy::OnFailure(most) => end.exit_code != 0 && (most == 0 || self.count < most),
        };
        if wanted {
            let fresh = self.wait.is_zero() || end.lasted >= STEADY;
            self.wait = match fresh {
                true => FIRST_WAIT,
                false => self.wait.saturating_mul(2).min(LONGEST_WAIT),
            };
            self.count = self.count.saturating_add(1);
        }
        wanted
    }

    /// How long after the end the next run begins.
    pub(crate) fn wait(&self) -> Duration {
        self.wait
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn policy(name: &str, most: i64) -> Result<Policy, String> {
        let policy = RestartPolicy {
            name: name.into(),
            maximum_retry_count: most,
        };
        Policy::parse(&policy).map_err(|e| e.to_string())
    }

    fn end(exit_code: i32, seconds: u64) -> RunEnd {
        RunEnd {
            exit_code,
            lasted: Duration::from_secs(seconds),
        }
    }

    #[test]
    fn policies_are_read_and_refused_in_dockers_words() {
        assert_eq!(policy("", 7), Ok(Policy::No));
        assert_eq!(policy("no", 0), Ok(Policy::No));
        assert_eq!(policy("always", 0), Ok(Policy::Always));
        assert_eq!(policy("on-failure", 0), Ok(Policy::OnFailure(0)));
        assert_eq!(policy("on-failure", 3), Ok(Policy::OnFailure(3)));
        for (name, most, why) in [
            ("on-failure", -1, "maximum retry count cannot be negative"),
            (
                "always",
                1,
                "maximum retry count can only be used with 'on-failure'",
            ),
            (
                "no",
                -1,
                "maximum retry count can only be used with 'on-failure' and cannot be negative",
            ),
            (
                "often",
                0,
                "unknown policy 'often'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
            ),
        ] {
            let told = policy(name, most).unwrap_err();
            assert_eq!(told, format!("invalid restart policy: {why}"));
        }
    }

    #[test]
    fn each_policy_wants_what_it_says() {
        let by_hand = Restarts::stored(0, true);
        for (policy, before, code, again) in [
            (Policy::No, Restarts::default(), 1, false),
            (Policy::Always, Restarts::default(), 0, true),
            (Policy::Always, by_hand, 0, true),
            (Policy::UnlessStopped, Restarts::default(), 0, true),
            (Policy::UnlessStopped, by_hand, 1, false),
            (Policy::OnFailure(0), Restarts::default(), 0, false),
            (Policy::OnFailure(0), Restarts::stored(999, false), 1, true),
            (Policy::OnFailure(3), Restarts::stored(2, false), 1, true),
            (Policy::OnFailure(3), Restarts::stored(3, false), 1, false),
        ] {
            let mut restarts = before;
            assert_eq!(
                restarts.start_again(policy, end(code, 0)),
                again,
                "{policy:?} {before:?} {code}"
            );
            assert_eq!(restarts.count, before.count + u32::from(again));
            let mut last = Restarts {
                last_run: true,
                ..before
            };
            assert!(!last.start_again(policy, end(code, 0)), "{policy:?}");
        }
        for (policy, untouched, by_hand) in [
            (Policy::No, false, false),
            (Policy::Always, true, true),
            (Policy::UnlessStopped, true, false),
            (Policy::OnFailure(0), false, false),
        ] {
            assert_eq!(policy.starts_with_engine(false), untouched);
            assert_eq!(policy.starts_with_engine(true), by_hand);
        }
    }

    #[test]
    fn waits_double_up_to_a_minute_until_a_run_lasts() {
        let mut restarts = Restarts::default();
        let mut waits = Vec::new();
        for seconds in [0, 1, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0] {
            assert!(restarts.start_again(Policy::Always, end(0, seconds)));
            waits.push(u64::try_from(restarts.wait().as_millis()).unwrap());
        }
        let doubling = [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200];
        assert_eq!(waits[..10], doubling);
        assert_eq!(waits[10..], [60_000, 60_000, 100, 200]);
    }

    proptest! {
        #[test]
        fn no_order_of_ends_goes_beyond_the_limits(
            ends in proptest::collection::vec((0i32..3, 0u64..20), 0..40),
            most in 1u32..5,
        ) {
            let mut restarts = Restarts::default();
            for (code, seconds) in ends {
                let before = restarts.count;
                let again = restarts.start_again(Policy::OnFailure(most), end(code, seconds));
                prop_assert!(restarts.count <= most);
                prop_assert_eq!(again, code != 0 && before < most);
                prop_assert!(!again || restarts.wait() >= FIRST_WAIT);
                prop_assert!(restarts.wait() <= LONGEST_WAIT);
            }
        }
    }
}
