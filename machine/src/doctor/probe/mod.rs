//! Whether this host's KVM can run a guest kernel, found out by running one.
//!
//! Some hosts offer a `/dev/kvm` that runs user mode natively and *emulates* supervisor
//! code: about a million instructions a second, and only a part of the instruction set.
//! Opening the device, its API version and its capabilities look right there. So the probe
//! starts a guest of a few dozen bytes in 64-bit ring 0 which takes two exceptions through
//! its IDT and then counts down loops of known length, an exit to the host after each:
//!
//! ```text
//!   int3, ud2 ──► handlers ──► out EXCEPTIONS ──► loop ──► out SLICE ──► loop ─ …
//! ```
//!
//! An incomplete KVM fails at the exceptions, a slow one at the loops. The best loop counts,
//! so that a busy host is not mistaken for an emulating one. The exits also bound the time:
//! the host looks at its deadline after each, and a KVM that does not come back at all is
//! left behind on its thread.

mod guest;
mod verdict;

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

pub use verdict::{Verdict, cached};

/// The whole probe, device opened to verdict.
pub const DEADLINE: Duration = Duration::from_secs(2);

/// Slices run at most; the best one counts.
const SLICES: usize = 6;

/// Below this many million instructions a second a guest kernel would take minutes to boot.
///
/// Measured with this guest: ring 0 emulated instruction by instruction gives 3.6, nested KVM
/// inside an entirely emulated machine 510, hardware thousands.
const MIN_MIPS: f64 = 25.0;

/// Runs the probe guest, whatever an earlier probe said.
pub fn run() -> Verdict {
    let started = Instant::now();
    let (sender, receiver) = mpsc::channel();
    let spawned = thread::Builder::new()
        .name("kvm-probe".into())
        .spawn(move || {
            // The receiver is gone when the deadline has passed: nobody wants the verdict.
            let _ = sender.send(probe(started + DEADLINE));
        });
    if let Err(error) = spawned {
        return Verdict::Unknown {
            reason: format!("cannot start the probe's thread: {error}"),
        };
    }
    receiver
        .recv_timeout(DEADLINE + Duration::from_millis(500))
        .unwrap_or(Verdict::Hangs)
}

fn probe(deadline: Instant) -> Verdict {
    let mut guest = match guest::Guest::create() {
        Ok(guest) => guest,
        Err(error) => return error.into(),
    };
    match guest.exceptions() {
        Ok(guest::EXPECTED_EXCEPTIONS) => {}
        Ok(taken) => {
            return Verdict::Incomplete {
                reason: format!(
                    "a ring-0 guest took {taken} of {} exceptions",
                    guest::EXPECTED_EXCEPTIONS
                ),
            };
        }
        Err(error) => return error.into(),
    }
    let mut best: f64 = 0.0;
    for _ in 0..SLICES {
        let before = Instant::now();
        if let Err(error) = guest.slice() {
            return error.into();
        }
        best = best.max(mips(guest::SLICE_INSTRUCTIONS, before.elapsed()));
        if Instant::now() >= deadline {
            break;
        }
    }
    judge(best)
}

fn mips(instructions: u32, took: Duration) -> f64 {
    f64::from(instructions) / (took.as_secs_f64() * 1e6).max(1e-3)
}

fn judge(mips: f64) -> Verdict {
    if mips < MIN_MIPS {
        Verdict::Slow { mips }
    } else {
        Verdict::Works { mips }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probe_answers_within_its_deadline_on_any_host() {
        let started = Instant::now();
        let verdict = run();
        assert!(
            started.elapsed() < DEADLINE + Duration::from_secs(1),
            "{verdict}"
        );
    }

    #[test]
    fn emulated_ring_0_is_refused_and_nested_tcg_is_accepted() {
        assert!(!judge(3.6).can_run());
        assert!(judge(510.0).can_run());
        assert!(judge(3000.0).can_run());
    }

    #[test]
    fn speed_is_instructions_by_time() {
        let speed = mips(200_000, Duration::from_millis(2));
        assert!((speed - 100.0).abs() < 0.01, "{speed}");
    }
}
