//! Who may touch a container's disk: its run, its removal, or whoever wants its files while it
//! does not run.
//!
//! ```text
//!              disk lock held by
//!  at rest ──► nobody ── files wanted ──► a VM without the container's process ──► nobody
//!                                         (lingers a moment: `cp` asks twice)
//!          ──► the run, from the launch until its VM is gone
//!          ──► the removal
//! ```
//!
//! Only a guest ever reads the disk, so files of a container that does not run need a VM too.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedMutexGuard, watch};

use super::run::{Purpose, Started, raise, wind_down};
use super::{Container, oci};
use crate::agent::AgentClient;
use crate::context::Context;
use crate::error::EngineError;
use crate::state::Phase;

/// How long a VM waits for the next who wants files.
const LINGER: Duration = Duration::from_secs(2);

/// The right to use the disk.
pub(crate) type Disk = OwnedMutexGuard<()>;

/// A container's disk and the VM that shows its files, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Attic {
    disk: Arc<tokio::sync::Mutex<()>>,
    /// Locked while a VM is being made: those who come meanwhile share it.
    attendant: tokio::sync::Mutex<Option<Attendant>>,
    claims: watch::Sender<Claims>,
}

/// How many want the disk for something else.
#[derive(Clone, Copy, Debug, Default)]
struct Claims {
    /// Of those who let others finish, and the others too.
    waiting: usize,
    /// Of those who do not.
    seizing: usize,
}

/// Takes a claim back, also where whoever had it gives up.
struct Claim<'a> {
    claims: &'a watch::Sender<Claims>,
    seizing: usize,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.claims.send_modify(|claims| {
            claims.waiting -= 1;
            claims.seizing -= self.seizing;
        });
    }
}

/// A VM that shows files.
#[derive(Debug)]
struct Attendant {
    agent: AgentClient,
    users: Arc<watch::Sender<usize>>,
}

impl Attendant {
    fn access(&self) -> Access {
        self.users.send_modify(|n| *n += 1);
        Access {
            agent: self.agent.clone(),
            _user: Some(User(self.users.clone())),
        }
    }
}

/// A way to the container's files, for as long as it is kept.
#[derive(Debug)]
pub(crate) struct Access {
    pub(crate) agent: AgentClient,
    /// `None` for a container that runs: its VM is there anyway.
    _user: Option<User>,
}

#[derive(Debug)]
struct User(Arc<watch::Sender<usize>>);

impl Drop for User {
    fn drop(&mut self) {
        self.0.send_modify(|n| *n -= 1);
    }
}

impl Attic {
    /// The disk, once nobody uses it. Whoever reads files is let finish.
    pub(super) async fn disk(&self) -> Disk {
        self.claim(0).await
    }

    /// The disk, whoever reads files.
    pub(super) async fn seize(&self) -> Disk {
        self.claim(1).await
    }

    async fn claim(&self, seizing: usize) -> Disk {
        self.claims.send_modify(|claims| {
            claims.waiting += 1;
            claims.seizing += seizing;
        });
        let _claim = Claim {
            claims: &self.claims,
            seizing,
        };
        self.disk.clone().lock_owned().await
    }

    /// The disk of a VM that an earlier engine started. Nobody else can have it yet.
    pub(super) fn inherit(&self) -> Option<Disk> {
        self.disk.clone().try_lock_owned().ok()
    }
}

/// A way to the container's files: through its own VM where it runs, through one for the purpose
/// where it does not.
pub(crate) async fn enter(
    context: &Arc<Context>,
    container: &Arc<Container>,
) -> Result<Access, EngineError> {
    let mut watch = container.watch();
    loop {
        let phase = {
            let snapshot = watch.borrow_and_update();
            match (snapshot.phase, &snapshot.live) {
                (Phase::Running, Some(live)) => {
                    return Ok(Access {
                        agent: live.agent.clone(),
                        _user: None,
                    });
                }
                (phase, _) => phase,
            }
        };
        match phase {
            Phase::Created | Phase::Exited | Phase::Restarting => {
                if let Some(access) = attend(context, container).await? {
                    return Ok(access);
                }
            }
            Phase::Paused => return Err(EngineError::Paused(container.id().clone(), "cp")),
            Phase::Removing | Phase::Gone | Phase::Dead => {
                return Err(EngineError::NoSuchContainer(container.id().to_string()));
            }
            Phase::Running | Phase::Starting(_) | Phase::Ending(_) => {
                watch.changed().await.map_err(|_| EngineError::Closing)?;
            }
        }
    }
}

/// In a task of its own: whoever wants the files may go, and what was begun has to be kept or
/// unmade. `None` where the container does not rest any more.
async fn attend(
    context: &Arc<Context>,
    container: &Arc<Container>,
) -> Result<Option<Access>, EngineError> {
    let (context, container) = (context.clone(), container.clone());
    let task = tokio::spawn(async move {
        let mut slot = container.attic.attendant.lock().await;
        if let Some(there) = &*slot {
            return Ok(Some(there.access()));
        }
        let mut watch = container.watch();
        let rests = |phase| matches!(phase, Phase::Created | Phase::Exited | Phase::Restarting);
        let disk = tokio::select! {
            biased;
            disk = container.attic.disk.clone().lock_owned() => disk,
            _ = watch.wait_for(|s| !rests(s.phase)) => return Ok(None),
        };
        if !rests(container.snapshot().phase) {
            return Ok(None);
        }
        let started = show(&context, &container, disk).await?;
        let attendant = Attendant {
            agent: started.agent.clone(),
            users: Arc::new(watch::Sender::new(0)),
        };
        let access = attendant.access();
        let users = attendant.users.subscribe();
        *slot = Some(attendant);
        drop(slot);
        let staying = (context.clone(), container.clone());
        context.spawn(async move { stay(&staying.0, &staying.1, started, users).await });
        Ok(Some(access))
    });
    task.await.map_err(|_| EngineError::Closing)?
}

/// A VM with the container's root and nothing that runs in it.
async fn show(
    context: &Context,
    container: &Container,
    disk: Disk,
) -> Result<Started, EngineError> {
    let image = context.images.find(&container.blueprint().image_id).await?;
    let purpose = Purpose::Show(oci::root(image.layers.len()));
    let mut claims = container.attic.claims.subscribe();
    let given_up = async {
        // Its sender is the container's.
        let _ = claims.wait_for(|claims| claims.seizing > 0).await;
    };
    raise(context, container, image.layers, disk, purpose, given_up).await
}

/// Keeps the VM while somebody uses it, and for a moment after.
async fn stay(
    context: &Context,
    container: &Container,
    started: Started,
    mut users: watch::Receiver<usize>,
) {
    let attic = &container.attic;
    let (mut claims, mut seizing) = (attic.claims.subscribe(), attic.claims.subscribe());
    let mut slot = loop {
        // Both senders are in the container and outlive this.
        let unused = async {
            let _ = users.wait_for(|n| *n == 0).await;
            let wanted = claims.wait_for(|claims| claims.waiting > 0);
            // Over time, or for somebody.
            let _ = tokio::time::timeout(LINGER, wanted).await;
        };
        let seized = async {
            let _ = seizing.wait_for(|claims| claims.seizing > 0).await;
        };
        tokio::select! {
            biased;
            () = seized => {
                started.running.process.kill();
                break attic.attendant.lock().await;
            }
            () = started.running.process.ended() => break attic.attendant.lock().await,
            () = unused => {}
        }
        let slot = attic.attendant.lock().await;
        if *users.borrow_and_update() == 0 {
            break slot;
        }
    };
    *slot = None;
    drop(slot);
    wind_down(context, started).await;
}
