//! Waiting for a container's end, told apart by what counts as one.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::api::{WaitCondition, WaitOutcome, Waiting};
use crate::container::{Container, Snapshot};
use crate::context::Context;
use crate::state::Phase;

/// Begins now: whatever comes after is seen.
pub(crate) fn begin(
    context: &Context,
    container: &Arc<Container>,
    condition: WaitCondition,
) -> Waiting {
    let mut watch = container.watch();
    let before = watch.borrow().ends;
    // What a policy starts again has ended too, also where its next run is seen first.
    let (sender, receiver) = oneshot::channel();
    context.spawn(async move {
        let met = move |now: &Snapshot| match condition {
            _ if now.phase == Phase::Gone => true,
            WaitCondition::NotRunning => !now.phase.is_active() || now.ends != before,
            WaitCondition::NextExit => now.ends != before,
            WaitCondition::Removed => now.phase == Phase::Dead,
        };
        if let Ok(now) = watch.wait_for(met).await {
            // Why a start failed is told to who asked for the start, as Docker does.
            let removal_failed = now.phase == Phase::Dead;
            let error = removal_failed.then(|| now.state.error.clone());
            let outcome = WaitOutcome {
                exit_code: now.latest_code,
                error,
            };
            drop(now);
            // Who asked may have left.
            let _ = sender.send(outcome);
        }
    });
    Waiting(receiver)
}
