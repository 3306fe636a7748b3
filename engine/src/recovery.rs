//! Opening a data root that another engine left, however it ended.
//!
//! | stored | VM's process | becomes |
//! |---|---|---|
//! | running, paused | lives | adopted: output and wait go on where they were |
//! | running, paused | gone | exited, by the exit report |
//! | created, exited | lives | wound down: a start nobody was told of, an end not finished, files |
//! | created, exited, dead | none | as it is |
//! | removing | any | removed |
//!
//! After that, what belongs to no VM (folders, sockets, control groups) is removed.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::api::{ContainerState, Status};
use crate::container::{Beginning, Started, start_task};
use crate::context::Context;
use crate::error::EngineError;
use crate::layout::remove_tree;
use crate::state::{Phase, Rest};
use crate::store::Row;
use crate::time::Timestamp;
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
    for (row, running) in all {
        begin(context, row, running)?;
    }
    Ok(())
}

/// Writes down the end of a run that ended while nobody looked.
fn settle(context: &Context, row: &mut Row) -> Result<(), EngineError> {
    let id = row.blueprint.id.clone();
    if matches!(
        row.state.status,
        Status::Running | Status::Paused | Status::Restarting
    ) {
        let end = vm::end_of(&context.layout.vm(&id).report());
        row.state = ContainerState {
            status: Status::Exited,
            pid: 0,
            exit_code: end.exit_code,
            error: end.message,
            oom_killed: end.oom_killed,
            finished_at: Some(Timestamp::now()),
            ..row.state.clone()
        };
        context.store.set_state(&id, &row.state)?;
    }
    context.store.forget_vm(&id)?;
    row.vm = None;
    Ok(())
}

fn begin(context: &Arc<Context>, row: Row, running: Option<Running>) -> Result<(), EngineError> {
    let log_base = row.vm.as_ref().map_or(0, |vm| vm.log_base);
    context.registry.claim(&row.name, &row.blueprint.id)?;
    let phase = match row.state.status {
        Status::Created => Phase::Created,
        Status::Running | Status::Restarting => Phase::Running,
        Status::Paused => Phase::Paused,
        Status::Removing => Phase::Removing,
        Status::Exited => Phase::Exited,
        Status::Dead => Phase::Dead,
    };
    let adopted = matches!(phase, Phase::Running | Phase::Paused);
    let beginning = match running {
        None => Beginning::Rest(phase),
        Some(running) if adopted => Beginning::Adopted {
            started: Box::new(Started::adopted(running)),
            phase,
            log_base,
        },
        Some(running) => Beginning::Leftover {
            started: Box::new(Started::adopted(running)),
            phase: match phase {
                Phase::Created => Rest::Created,
                _ => Rest::Exited,
            },
        },
    };
    start_task(context, row.blueprint, row.name, row.state, beginning);
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
