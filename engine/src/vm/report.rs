//! How a VM ended, from what its process left behind.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use hull_protocol::vmm::{ExitReason, ExitReport};

/// A report is short; the console's tail is the most of it.
const LONGEST: u64 = 64 << 10;

/// The end of a VM whose agent did not say how the process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// What the container's exit code becomes.
    pub(crate) exit_code: i32,
    /// For people.
    pub(crate) message: String,
    /// For want of memory on the host.
    pub(crate) oom_killed: bool,
}

/// What the report file says; with none, the process was killed.
pub(crate) fn end_of(report: &Path) -> End {
    let (exit_code, message) = match read(report) {
        Some(r) => match r.reason {
            ExitReason::Stopped => (137, "the VM was stopped".to_owned()),
            ExitReason::PowerOff => (255, "the guest powered off by itself".to_owned()),
            ExitReason::GuestReset => (255, format!("the guest's kernel panicked: {}", r.message)),
            ExitReason::TripleFault => (255, format!("the guest crashed: {}", r.message)),
            ExitReason::OutOfMemory => (137, format!("out of memory: {}", r.message)),
            ExitReason::KvmError | ExitReason::Internal | ExitReason::Config => {
                (255, format!("the VM failed: {}", r.message))
            }
        },
        None => (137, "the VM's process was killed".to_owned()),
    };
    let oom_killed = message.starts_with("out of memory");
    End {
        exit_code,
        message,
        oom_killed,
    }
}

fn read(path: &Path) -> Option<ExitReport> {
    let mut json = Vec::new();
    File::open(path)
        .ok()?
        .take(LONGEST)
        .read_to_end(&mut json)
        .ok()?;
    serde_json::from_slice(&json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(reason: ExitReason) -> End {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report");
        let report = ExitReport {
            reason,
            message: "why".into(),
            console_tail: None,
        };
        std::fs::write(&path, serde_json::to_vec(&report).unwrap()).unwrap();
        end_of(&path)
    }

    #[test]
    fn every_reason_has_a_code_and_a_message() {
        assert_eq!(end(ExitReason::Stopped).exit_code, 137);
        let panic = end(ExitReason::GuestReset);
        assert_eq!(panic.exit_code, 255);
        assert_eq!(panic.message, "the guest's kernel panicked: why");
        assert!(end(ExitReason::OutOfMemory).oom_killed);
    }

    #[test]
    fn no_report_means_killed() {
        assert_eq!(end_of(Path::new("/nonexistent")).exit_code, 137);
    }
}
