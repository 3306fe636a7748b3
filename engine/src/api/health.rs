//! What is known about a container's health.

use crate::time::Timestamp;

/// How a container with a health check is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HealthStatus {
    /// No check has passed yet, and not enough have failed.
    #[default]
    Starting,
    /// The latest checks passed.
    Healthy,
    /// Too many failed in a row; or nobody checks any more.
    Unhealthy,
}

impl HealthStatus {
    /// Docker's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// Docker's `State.Health`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// How it is.
    pub status: HealthStatus,
    /// How many checks failed since the last that passed.
    pub failing_streak: u32,
    /// The latest checks, the last one last.
    pub log: Vec<Checked>,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// When it began.
    pub start: Timestamp,
    /// When it was over.
    pub end: Timestamp,
    /// 0 passes; -1 where there is none.
    pub exit_code: i32,
    /// What it said, no more than 4 KiB of it.
    pub output: String,
}
