//! How slow a client may be: silence is not the only way to hold a connection for ever. Pure.

use std::time::Duration;

/// Bytes a second. Slower is as good as silent.
const SLOWEST: u64 = 1 << 10;

/// What was waited for a client, and what it did meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    waited: Duration,
    bytes: u64,
}

impl Pace {
    /// Counts `bytes` that took `waited`. Says whether they are too few by now, as often as
    /// `patience` has been waited for: only what the client is waited for counts, not what the
    /// disk takes.
    pub(crate) fn lags(&mut self, waited: Duration, bytes: u64, patience: Duration) -> bool {
        self.waited += waited;
        self.bytes = self.bytes.saturating_add(bytes);
        if self.waited < patience {
            return false;
        }
        let lags = self.bytes < least(self.waited);
        *self = Pace::default();
        lags
    }
}

/// The fewest bytes that may move in so long.
pub(crate) fn least(time: Duration) -> u64 {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    millis.saturating_mul(SLOWEST) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn a_trickle_is_too_slow() {
        let mut pace = Pace::default();
        let second = Duration::from_secs(1);
        let lagged = (0..60).map(|_| pace.lags(second, 1, PATIENCE));
        let lagged: Vec<bool> = lagged.collect();
        assert!(lagged[59] && !lagged[..59].contains(&true));
    }

    #[test]
    fn a_slow_line_is_not() {
        let mut pace = Pace::default();
        for _ in 0..600 {
            assert!(!pace.lags(Duration::from_secs(1), 4096, PATIENCE));
        }
        // A pause is made up for by what came before it.
        let mut pace = Pace::default();
        assert!(!pace.lags(Duration::from_secs(1), 100_000, PATIENCE));
        assert!(!pace.lags(Duration::from_secs(59), 1, PATIENCE));
        // And what came long ago counts no more.
        assert!(pace.lags(Duration::from_secs(60), 1, PATIENCE));
    }
}
