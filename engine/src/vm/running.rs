//! A VM that runs: how it ends, and taking back what it has on the host; also those that an
//! earlier engine started.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cgroup::Cgroup;
use super::limits::Limits;
use super::process::VmProcess;
use super::report::{End, end_of};
use super::{VmError, messages};
use crate::error::EngineError;
use crate::id::ContainerId;
use crate::layout::{Layout, VmLayout, remove_tree};
use crate::store::{Store, VmRow};

/// How long the kernel may take to see that a cgroup is empty.
const CGROUP_GRACE: Duration = Duration::from_secs(10);
const CGROUP_POLL: Duration = Duration::from_millis(5);

/// A VM process and what it holds on the host.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) id: ContainerId,
    pub(crate) process: VmProcess,
    pub(crate) layout: VmLayout,
    pub(super) cgroup: Option<Cgroup>,
    /// Its stderr; lost with the engine that started it.
    pub(super) messages: Option<File>,
    pub(super) store: Store,
}

impl Running {
    /// How it ended, once its process has.
    pub(crate) fn end(&self) -> End {
        let mut end = end_of(&self.layout.report());
        if self.cgroup.as_ref().is_some_and(Cgroup::oom_killed) {
            end.oom_killed = true;
            end.exit_code = 137;
            end.message = "the VM was killed: out of memory".to_owned();
        }
        let said = self
            .messages
            .as_ref()
            .map(messages::tail)
            .unwrap_or_default();
        if !said.is_empty() && !said.contains(&end.message) {
            end.message = format!("{} ({})", end.message, said.replace('\n', "; "));
        }
        end
    }

    /// Kills it if it still runs, and takes back all it has on the host.
    pub(crate) async fn clean_up(self) -> Result<(), EngineError> {
        self.process.kill();
        self.process.ended().await;
        if let Some(cgroup) = &self.cgroup {
            empty_and_remove(cgroup)
                .await
                .map_err(VmError::step("remove the VM's cgroup"))?;
        }
        remove_tree(self.layout.dir()).map_err(VmError::file("remove", self.layout.dir()))?;
        self.store.forget_vm(&self.id)?;
        Ok(())
    }
}

/// Takes hold of a VM that an earlier engine started; `None` if it has ended.
pub(crate) fn adopt(
    layout: &Layout,
    store: &Store,
    id: &ContainerId,
    row: &VmRow,
) -> io::Result<Option<Running>> {
    let Some(identity) = &row.process else {
        return Ok(None);
    };
    let Some(process) = VmProcess::find(identity)? else {
        return Ok(None);
    };
    Ok(Some(Running {
        id: id.clone(),
        process,
        layout: layout.vm(id),
        cgroup: layout.cgroup(id).map(Cgroup::at),
        messages: None,
        store: store.clone(),
    }))
}

/// Limits a VM that runs anew; without control groups there is nothing to set.
pub(crate) fn limit(cgroup: Option<PathBuf>, limits: &Limits) -> Result<(), VmError> {
    cgroup.map_or(Ok(()), |path| Cgroup::at(path).limit(limits))
}

/// Removes what dead VMs of earlier engines left: sockets, folders, and control groups with
/// whatever still runs in them.
pub(crate) async fn sweep(layout: &Layout, live: &BTreeSet<ContainerId>) -> io::Result<()> {
    let folders: BTreeSet<PathBuf> = live
        .iter()
        .map(|id| layout.vm(id).dir().to_owned())
        .collect();
    for dir in children(&layout.vms())? {
        if !folders.contains(&dir) {
            remove_tree(&dir)?;
        }
    }
    let groups: BTreeSet<PathBuf> = live.iter().filter_map(|id| layout.cgroup(id)).collect();
    let Some(root) = layout.cgroup_root() else {
        return Ok(());
    };
    for dir in children(root)? {
        if dir.is_dir() && !groups.contains(&dir) {
            let group = Cgroup::at(dir);
            group.kill()?;
            empty_and_remove(&group).await?;
        }
    }
    Ok(())
}

fn children(dir: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(dir) {
        Ok(entries) => entries.map(|e| e.map(|e| e.path())).collect(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(e),
    }
}

async fn empty_and_remove(cgroup: &Cgroup) -> io::Result<()> {
    let started = tokio::time::Instant::now();
    loop {
        match cgroup.remove() {
            Err(e)
                if e.kind() == io::ErrorKind::ResourceBusy && started.elapsed() < CGROUP_GRACE =>
            {
                tokio::time::sleep(CGROUP_POLL).await;
            }
            other => return other,
        }
    }
}
