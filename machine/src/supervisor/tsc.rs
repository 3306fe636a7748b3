//! The speed of the time stamp counter, which the emulated CPU shares with this one.

use std::arch::x86_64::_rdtsc;
use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

/// Long enough for some ten parts in a million.
const WINDOW: Duration = Duration::from_millis(60);

/// Where an instruction takes a nanosecond.
pub(super) const COUNTING: Kilohertz = Kilohertz(1_000_000);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kilohertz(pub(super) u64);

impl fmt::Display for Kilohertz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

pub(super) fn measure() -> Kilohertz {
    let (start, first) = moment();
    thread::sleep(WINDOW);
    let (end, last) = moment();
    let nanoseconds = u128::from(end.duration_since(start).as_nanos() as u64).max(1);
    let ticks = u128::from(last.wrapping_sub(first));
    Kilohertz((ticks * 1_000_000 / nanoseconds) as u64)
}

/// Both clocks at once: of some tries the one that was interrupted least.
fn moment() -> (Instant, u64) {
    let tries = (0..10).map(|_| {
        let before = ticks();
        let now = Instant::now();
        (ticks().wrapping_sub(before), now, before)
    });
    tries.min_by_key(|(took, ..)| *took).map_or_else(
        || (Instant::now(), ticks()),
        |(took, now, before)| (now, before + took / 2),
    )
}

fn ticks() -> u64 {
    // SAFETY: every x86-64 CPU has the instruction.
    unsafe { _rdtsc() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measurements_agree() {
        let (a, b) = (measure().0 as f64, measure().0 as f64);
        assert!((a / b - 1.0).abs() < 0.01, "{a} and {b} kHz");
        assert!(a > 100_000.0, "{a} kHz");
    }
}
