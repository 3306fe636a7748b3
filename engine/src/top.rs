//! The processes of a container, as `ps -ef` shows them.

use hull_protocol::agent::{Answer, Call, ProcessEntry};

use crate::agent::AgentFailure;
use crate::api::Top;
use crate::container::Container;
use crate::context::Context;
use crate::error::EngineError;
use crate::time::Timestamp;

const TITLES: [&str; 8] = ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"];

pub(crate) async fn top(
    context: &Context,
    container: &Container,
    ps_args: &str,
) -> Result<Top, EngineError> {
    if !matches!(ps_args.trim(), "" | "-ef") {
        return Err(EngineError::NotSupported(format!(
            "ps arguments other than -ef: {ps_args}"
        )));
    }
    let live = container.live()?;
    let deadline = context.options.defaults.call_deadline;
    let Answer::Processes { list } = live.agent.call(Call::Processes, deadline).await? else {
        return Err(AgentFailure::Unexpected.into());
    };
    let now = Timestamp::now().seconds();
    Ok(Top {
        titles: TITLES.map(str::to_owned).to_vec(),
        processes: list.iter().map(|p| row(p, now)).collect(),
    })
}

fn row(process: &ProcessEntry, now: i64) -> Vec<String> {
    let started = i64::try_from(process.started).unwrap_or(now);
    let seconds = process.cpu_ms / 1000;
    let age = u64::try_from(now - started).unwrap_or(0).max(1);
    let stime = Timestamp(started.saturating_mul(1_000_000_000)).to_string();
    vec![
        if process.uid == 0 {
            "root".to_owned()
        } else {
            process.uid.to_string()
        },
        process.pid.to_string(),
        process.parent.to_string(),
        (seconds.saturating_mul(100) / age).min(99).to_string(),
        stime.get(11..16).unwrap_or("?").to_owned(),
        process.tty.clone(),
        format!(
            "{:02}:{:02}:{:02}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        ),
        process.command.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_that_of_ps() {
        let process = ProcessEntry {
            pid: 1,
            parent: 0,
            uid: 0,
            cpu_ms: 3_725_000,
            started: 3600 * 5 + 60 * 7,
            tty: "?".into(),
            command: "sleep 100".into(),
        };
        let row = row(&process, 3600 * 24);
        assert_eq!(
            row,
            ["root", "1", "0", "5", "05:07", "?", "01:02:05", "sleep 100"]
        );
    }
}
