//! Opening a data root that another engine left, however it ended.
//!
//! | stored | VM's process | becomes |
//! |---|---|---|
//! | running, paused | lives | adopted: output and wait go on where they were |
//! | running, paused | gone | exited by the exit report, or between two runs by its policy |
//! | restarting | lives | wound down, then between two runs |
//! | restarting | none | between two runs: its time comes |
//! | created, exited | lives | wound down: a start nobody was told of, an end not finished, files |
//! | created, exited, dead | none | as it is |
//! | removing | lives | wound down, then removed |
//! | removing | none | removed |
//!
//! What has ever run and rests is started where its policy wants that ([`crate::restart`]), each in
//! its turn ([`crate::opening`]).
//!
//! After that, what belongs to no VM (folders, sockets, control groups) is removed.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::api::{ContainerState, Status};
use crate::container::{Beginning, Started, start_task};
use crate::context::Context;
use crate::error::EngineError;
use crate::layout::remove_tree;
use crate::opening;
use crate::restart::{Policy, Restarts, RunEnd};
use crate::state::{Phase, Rest};
use crate::store::Row;
use crate::time::{Timestamp, lasted};
use crate::vm::{self, Running, VmError};

/// Brings every stored container back.
pub(crate) async fn recover(context: &Arc<Context>) -> Result<(), EngineError> {
    let mut found = Vec::new();
    for row in context.store.load()? {
        let running = match &row.vm {
            Some(vm) => vm::adopt(&context.layout, &context.store, &row.blueprint.id, vm)
                .map_err(VmError::step("look for a VM's process"))?,
            None => None,
        };
        found.push((row, running));
    }
    // Before the sweep: it removes the reports.
    let mut all = Vec::new();
    for (mut row, running) in found {
        if running.is_none() {
            settle(context, &mut row)?;
        }
        start_with_engine(&mut row);
        all.push((row, running));
    }
    let live: BTreeSet<_> = all
        .iter()
        .filter(|(_, running)| running.is_some())
        .map(|(row, _)| row.blueprint.id.clone())
        .collect();
    vm::sweep(&context.layout, &live)
        .await
        .map_err(VmError::step("clean up after earlier VMs"))?;
    sweep_folders(context)?;
    let mut waiting = opening::Row::default();
    for (row, running) in all {
        begin(context, row, running, &mut waiting)?;
    }
    context.spawn(waiting.call(context.options.defaults.starts_at_once));
    Ok(())
}

/// Writes down the end of a run that ended while nobody looked.
fn settle(context: &Context, row: &mut Row) -> Result<(), EngineError> {
    let id = row.blueprint.id.clone();
    if matches!(row.state.status, Status::Running | Status::Paused) {
        let end = vm::end_of(&context.layout.vm(&id).report());
        let now = Timestamp::now();
        let run = RunEnd {
            exit_code: end.exit_code,
            lasted: lasted(row.state.started_at, now),
        };
        row.state = ContainerState {
            status: match row.restarts.start_again(policy(row), run) {
                true => Status::Restarting,
                false => Status::Exited,
            },
            pid: 0,
            exit_code: end.exit_code,
            error: end.message,
            oom_killed: end.oom_killed,
            finished_at: Some(now),
            ..row.state.clone()
        };
        context.store.set_state(&id, &row.state, &row.restarts)?;
    }
    context.store.forget_vm(&id)?;
    row.vm = None;
    Ok(())
}

/// What rests is between two runs where its policy says so, as if a user had started it.
fn start_with_engine(row: &mut Row) {
    let rests = row.state.status == Status::Exited;
    if rests && policy(row).starts_with_engine(row.restarts.by_hand) {
        row.restarts = Restarts::default();
        row.state.status = Status::Restarting;
    }
}

fn policy(row: &Row) -> Policy {
    Policy::of(&row.blueprint.host_config.restart_policy)
}

fn begin(
    context: &Arc<Context>,
    row: Row,
    running: Option<Running>,
    waiting: &mut opening::Row,
) -> Result<(), EngineError> {
    let log_base = row.vm.as_ref().map_or(0, |vm| vm.log_base);
    context.registry.claim(&row.name, &row.blueprint.id)?;
    let phase = match row.state.status {
        Status::Created => Phase::Created,
        Status::Running => Phase::Running,
        Status::Restarting => Phase::Restarting,
        Status::Paused => Phase::Paused,
        Status::Removing => Phase::Removing,
        Status::Exited => Phase::Exited,
        Status::Dead => Phase::Dead,
    };
    let started_at = row.state.started_at.unwrap_or_else(Timestamp::now);
    let adopted = matches!(phase, Phase::Running | Phase::Paused);
    let beginning = match running {
        None if phase == Phase::Restarting => Beginning::Waiting(waiting.stand()),
        None => Beginning::Rest(phase),
        Some(running) if adopted => Beginning::Adopted {
            started: Box::new(Started::adopted(running, started_at)),
            phase,
            log_base,
        },
        Some(running) => Beginning::Leftover {
            started: Box::new(Started::adopted(running, started_at)),
            phase: match phase {
                Phase::Created => Rest::Created,
                Phase::Restarting => Rest::Restarting,
                Phase::Removing => Rest::Removing,
                _ => Rest::Exited,
            },
        },
    };
    let state = (row.state, row.restarts);
    start_task(context, row.blueprint, row.name, state, beginning);
    Ok(())
}

/// Folders of containers that are in no record: a create or a removal that was cut short.
fn sweep_folders(context: &Context) -> Result<(), EngineError> {
    let dir = context.layout.containers();
    let failed = |source| EngineError::File {
        path: dir.clone(),
        source,
    };
    for entry in std::fs::read_dir(&dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let known = entry
            .file_name()
            .to_str()
            .map(|id| context.store.has(id))
            .transpose()?;
        if known != Some(true) {
            remove_tree(&entry.path()).map_err(failed)?;
        }
    }
    Ok(())
}
