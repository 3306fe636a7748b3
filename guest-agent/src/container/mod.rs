//! The guest's one container: from its specification to its last process.

pub(crate) mod blueprint;
mod cell;
pub(crate) mod launch;
pub(crate) mod limits;
pub(crate) mod mounts;
pub(crate) mod persona;
mod program;
mod reaper;
mod seccomp;
mod setup;
mod stats;
mod top;
pub(crate) mod user;

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use hull_protocol::agent::{AgentError, ErrorKind, Exec, Limits, ProcessEntry, ProcessId, Stats};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

use crate::cgroup::{Cgroup, Frozen, OomCounter};
use crate::container::blueprint::{Blueprint, ProcessPlan};
use crate::container::cell::Materials;
use crate::container::launch::{Child, Held};
use crate::container::user::Credentials;
use crate::fault::fault;
use crate::platform::{Platform, PlatformError};
use crate::process::Process;
use crate::process::wiring::{self, AgentEnds};
use crate::request::Create;
use crate::spec::Resources;

/// A container whose first process exists.
pub(crate) struct Container {
    first: Arc<Process>,
    held: Mutex<Option<Held>>,
    plan: ProcessPlan,
    credentials: Credentials,
    group: Arc<Cgroup>,
    devpts: OwnedFd,
}

impl Container {
    /// Makes everything up to the `execve` of the first process.
    pub(crate) fn create(platform: &dyn Platform, create: Create) -> Result<Self, AgentError> {
        let stdio = create.stdio;
        let root = create.root.clone();
        let plan = Blueprint::new(create)?;
        platform.prepare()?;
        let root = platform.root(&root)?;
        let devpts = devpts()?;
        let group = Arc::new(Cgroup::create(platform.cgroup(), &plan.resources)?);
        let door = group.door()?;
        let (agent_ends, child_ends) = wiring::wire(stdio, &devpts)?;
        let given = Materials {
            root: root.as_fd(),
            devpts: devpts.as_fd(),
            cgroup: door.as_fd(),
            hidden: platform.hidden(),
            console: child_ends.pty,
        };
        let (child, go) = launch::first(&plan, &given, child_ends)?;
        let (first, credentials) = adopt(
            ProcessId::init(),
            &child,
            agent_ends,
            OomCounter::container(&group),
        )?;
        Ok(Self {
            first,
            held: Mutex::new(Some(child.held(go))),
            plan: plan.process,
            credentials,
            group,
            devpts,
        })
    }

    pub(crate) fn first(&self) -> &Arc<Process> {
        &self.first
    }

    /// Lets the first process run, once.
    pub(crate) fn start(&self) -> Result<(), AgentError> {
        let held = {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            held.take()
        };
        let held = held.ok_or_else(|| fault(ErrorKind::State, "the container has been started"))?;
        Ok(held.release()?)
    }

    /// Starts another process in the container.
    pub(crate) fn exec(&self, exec: Exec) -> Result<Arc<Process>, AgentError> {
        let waiting = self
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some();
        if waiting || self.first.exit().is_some() {
            return Err(fault(ErrorKind::State, "the container is not running"));
        }
        let id = exec.process.clone();
        let stdio = exec.stdio;
        let plan = self.plan.exec(exec, &self.credentials)?;
        let door = self.group.door()?;
        let (agent_ends, child_ends) = wiring::wire(stdio, &self.devpts)?;
        let oom = OomCounter::exec(&self.group);
        let child = launch::exec(&plan, self.first.pidfd().as_fd(), door.as_fd(), child_ends)?;
        let (process, _) = adopt(id, &child, agent_ends, oom)?;
        child.running();
        Ok(process)
    }

    pub(crate) fn processes(&self) -> Vec<ProcessEntry> {
        top::list(&self.group.pids())
    }

    /// What it has used.
    pub(crate) fn stats(&self) -> Stats {
        stats::read(|file| self.group.text(file))
    }

    /// Limits it anew; what uses more than it may gives back, or is killed, as the kernel decides.
    pub(crate) fn limit(&self, limits: Limits) -> Result<(), AgentError> {
        Ok(self.group.limit(&Resources::from(limits))?)
    }

    /// Holds everything in it.
    pub(crate) fn freeze(&self) -> Result<Frozen, AgentError> {
        Ok(Frozen::new(&self.group)?)
    }

    /// Kills everything in it.
    pub(crate) fn kill(&self) {
        // The first process takes the others with it: they share its pid namespace. Killing the
        // group as well only makes it quicker.
        let _ = self.group.kill();
        let _ = self.first.signal(libc::SIGKILL);
    }
}

/// Waits for a child to be ready and puts it in the care of a keeper.
fn adopt(
    id: ProcessId,
    child: &Child,
    ends: AgentEnds,
    oom: OomCounter,
) -> Result<(Arc<Process>, Credentials), AgentError> {
    let adopted = child
        .prepared()
        .map_err(AgentError::from)
        .and_then(|credentials| {
            let process = Process::adopt(id, child.pid, ends, oom)?;
            Ok((process, credentials))
        });
    if adopted.is_err() {
        launch::discard(child);
    }
    adopted
}

/// A devpts of the container's own, not attached yet. The agent opens terminals through this
/// descriptor, so a container that mounts something else there cannot give it another's.
fn devpts() -> Result<OwnedFd, AgentError> {
    let failed = |e: rustix::io::Errno| PlatformError::System {
        step: "mount",
        subject: "devpts".to_owned(),
        source: e.into(),
    };
    let make = || {
        let context = rustix::mount::fsopen("devpts", FsOpenFlags::FSOPEN_CLOEXEC)?;
        for (key, value) in [
            ("source", "devpts"),
            ("ptmxmode", "0666"),
            ("mode", "0620"),
            ("gid", "5"),
        ] {
            rustix::mount::fsconfig_set_string(&context, key, value)?;
        }
        rustix::mount::fsconfig_create(&context)?;
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
    };
    Ok(make().map_err(failed)?)
}
