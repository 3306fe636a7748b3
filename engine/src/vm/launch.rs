//! From a plan to a running `hull-vmm`, and away again.
//!
//! Everything is opened here and handed over as descriptors; the VMM opens nothing. Each step that
//! leaves something behind registers how to take it back, so a failure at any step leaves nothing.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use hull_protocol::frame;
use hull_protocol::vmm::{Disk, Jail, Started, VmConfig};
use rustix::fs::{MemfdFlags, memfd_create};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::cgroup::Cgroup;
use super::limits::Limits;
use super::process::VmProcess;
use super::running::Running;
use super::{VmError, init_layer, messages, scratch};
use crate::error::EngineError;
use crate::id::ContainerId;
use crate::layout::{Layout, make_private, remove_tree};
use crate::store::Store;

/// How long `hull-vmm` may take to announce itself: namespaces, not the guest.
const STARTED_DEADLINE: Duration = Duration::from_secs(60);

/// What a VM is made of.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) id: ContainerId,
    pub(crate) options: crate::api::Options,
    pub(crate) layers: Vec<PathBuf>,
    pub(crate) limits: Limits,
    /// Where this run's lines will begin in the log.
    pub(crate) log_base: u64,
}

/// Starts a VM. Once this returns its process is known to the store; the guest may still boot.
pub(crate) async fn launch(
    layout: &Layout,
    store: &Store,
    plan: Plan,
    abort: &CancellationToken,
) -> Result<Running, EngineError> {
    let (prepared, mut undo) = {
        let (layout, store, plan) = (layout.clone(), store.clone(), plan.clone());
        let task = tokio::task::spawn_blocking(move || {
            let mut undo = Undo::default();
            let prepared = prepare(&layout, &store, &plan, &mut undo);
            (prepared, undo)
        });
        // To its end, even if it is to be given up: what it makes must be known to be unmade.
        let (prepared, undo) = task.await.map_err(|_| EngineError::Closing)?;
        (prepared?, undo)
    };
    let cgroup = prepared.cgroup.clone();
    let (process, messages) = tokio::select! {
        biased;
        () = abort.cancelled() => return Err(VmError::Aborted.into()),
        spawned = spawn(&plan, prepared) => spawned?,
    };
    store
        .set_process(&plan.id, &process.identity)
        .inspect_err(|_| process.kill())?;
    undo.disarm();
    Ok(Running {
        layout: layout.vm(&plan.id),
        id: plan.id,
        process,
        cgroup,
        messages: Some(messages),
        store: store.clone(),
    })
}

/// Steps to take back, last first, unless all went well.
#[derive(Default)]
struct Undo(Vec<Box<dyn FnOnce() + Send>>);

impl Undo {
    fn push(&mut self, step: impl FnOnce() + Send + 'static) {
        self.0.push(Box::new(step));
    }

    fn disarm(&mut self) {
        self.0.clear();
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        while let Some(step) = self.0.pop() {
            step();
        }
    }
}

/// Open descriptors, and the configuration that names them.
struct Prepared {
    config: VmConfig,
    fds: Vec<OwnedFd>,
    cgroup: Option<Cgroup>,
}

fn prepare(
    layout: &Layout,
    store: &Store,
    plan: &Plan,
    undo: &mut Undo,
) -> Result<Prepared, EngineError> {
    let vm = layout.vm(&plan.id);
    let options = &plan.options;
    let (first, count) = (options.defaults.first_uid, options.defaults.uid_count);
    let uid = store.take_uid(&plan.id, first, count, plan.log_base)?;
    {
        let (store, id) = (store.clone(), plan.id.clone());
        undo.push(move || warn(store.forget_vm(&id)));
    }
    remove_tree(vm.dir()).map_err(VmError::file("remove", vm.dir()))?;
    make_private(vm.dir()).map_err(VmError::file("make", vm.dir()))?;
    {
        let dir = vm.dir().to_owned();
        undo.push(move || warn(remove_tree(&dir)));
    }
    let mut fds: Vec<OwnedFd> = Vec::new();
    let mut hand_over = |fd: OwnedFd| {
        let number = fd.as_raw_fd();
        fds.push(fd);
        number
    };
    let kvm = File::options().read(true).write(true).open(&options.kvm);
    let kvm = kvm.map_err(|source| VmError::NoKvm {
        path: options.kvm.clone(),
        source,
    })?;
    let read = |path: &Path| File::open(path).map_err(VmError::file("open", path));
    let mut layers = Vec::new();
    for path in &plan.layers {
        layers.push(hand_over(read(path)?.into()));
    }
    let init = layout.init_layer(&plan.id);
    init_layer::ensure(&plan.layers, &init)?;
    layers.push(hand_over(read(&init)?.into()));
    let bytes = plan.limits.scratch_bytes;
    let template = layout.scratch_template(bytes);
    // A size of its own is not worth a template.
    let template = (bytes == options.defaults.scratch_bytes).then_some(&*template);
    let disk = scratch::open(template, bytes, &layout.scratch(&plan.id))?;
    let listen =
        |path: PathBuf| UnixListener::bind(&path).map_err(VmError::file("listen on", path));
    let report = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(vm.report());
    let report = report.map_err(VmError::file("make", vm.report()))?;
    let cgroup = match (layout.cgroup_root(), layout.cgroup(&plan.id)) {
        (Some(root), Some(path)) => {
            let doomed = Cgroup::at(path.clone());
            undo.push(move || {
                // Kill first: a VMM that was spawned but not recorded is still inside.
                warn(doomed.kill());
                warn(doomed.remove());
            });
            Some(Cgroup::create(root, path, &plan.limits)?)
        }
        _ => None,
    };
    let cgroup_fd = match &cgroup {
        Some(group) => Some(hand_over(group.open()?.into())),
        None => None,
    };
    let config = VmConfig {
        id: plan.id.short().to_owned(),
        memory_mib: plan.limits.memory_mib,
        vcpus: plan.limits.vcpus,
        kvm: hand_over(kvm.into()),
        kernel: hand_over(read(&options.kernel)?.into()),
        initramfs: hand_over(read(&options.initramfs)?.into()),
        cmdline: String::new(),
        console: None,
        control: hand_over(listen(vm.control())?.into()),
        vsock: hand_over(listen(vm.vsock())?.into()),
        layers,
        disks: vec![Disk {
            fd: hand_over(disk.into()),
            read_only: false,
        }],
        started: -1,
        report: hand_over(report.into()),
        jail: Some(Jail {
            uid,
            cgroup: cgroup_fd,
        }),
    };
    Ok(Prepared {
        config,
        fds,
        cgroup,
    })
}

async fn spawn(plan: &Plan, mut prepared: Prepared) -> Result<(VmProcess, File), EngineError> {
    let step = VmError::step::<io::Error>;
    let (ours, theirs) =
        std::os::unix::net::UnixStream::pair().map_err(step("make a socket pair"))?;
    prepared.config.started = theirs.as_raw_fd();
    prepared.fds.push(theirs.into());
    let config = config_file(&prepared.config).map_err(step("hand over the VM's configuration"))?;
    let config_fd = config.as_raw_fd();
    prepared.fds.push(config.into());
    let messages = messages::bounded_file().map_err(step("make a file for the VM's messages"))?;
    let stderr = messages
        .try_clone()
        .map_err(step("make a file for the VM's messages"))?;
    let mut command = Command::new(&plan.options.vmm);
    command
        .arg("--config-fd")
        .arg(config_fd.to_string())
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr)
        // A launch that is given up ends its VMM before there is a VM.
        .kill_on_drop(true);
    let inherited: Vec<RawFd> = prepared.fds.iter().map(AsRawFd::as_raw_fd).collect();
    // SAFETY: between fork and exec the closure makes only async-signal-safe calls and allocates
    // nothing.
    unsafe { command.pre_exec(move || keep_open(&inherited)) };
    let mut child = command
        .spawn()
        .map_err(VmError::file("run", &plan.options.vmm))?;
    // Only the child has them now: the socket pair ends when it does.
    drop(prepared);
    let started = announced(ours).await;
    // The parent exits once our end is closed, whatever it announced; a failure shows elsewhere.
    let reap = tokio::spawn(async move {
        let _ = child.wait().await;
    });
    match started {
        Ok(process) => Ok((process, messages)),
        Err(e) => {
            // Its last words are complete when it has ended.
            let _ = tokio::time::timeout(Duration::from_secs(5), reap).await;
            let said = messages::tail(&messages);
            let why = if said.is_empty() { e.to_string() } else { said };
            Err(VmError::Died(why).into())
        }
    }
}

/// Waits for the pid and takes hold of the process while it cannot be reaped.
async fn announced(socket: std::os::unix::net::UnixStream) -> io::Result<VmProcess> {
    socket.set_read_timeout(Some(STARTED_DEADLINE))?;
    let read = tokio::task::spawn_blocking(move || {
        let mut socket = socket;
        let started: io::Result<Started> = frame::read(&mut socket);
        (started, socket)
    });
    let (started, socket) = read.await.map_err(io::Error::other)?;
    let process = VmProcess::of(started?.pid);
    drop(socket);
    process
}

fn config_file(config: &VmConfig) -> io::Result<File> {
    let mut file = File::from(memfd_create("hull-vm-config", MemfdFlags::CLOEXEC)?);
    file.write_all(&serde_json::to_vec(config)?)?;
    file.rewind()?;
    Ok(file)
}

fn keep_open(fds: &[RawFd]) -> io::Result<()> {
    for fd in fds {
        // SAFETY: changes a flag of a descriptor that this process, the child, has.
        if unsafe { libc::fcntl(*fd, libc::F_SETFD, 0) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    // A signal to the engine's terminal is not for the VMs.
    // SAFETY: takes no argument.
    unsafe { libc::setsid() };
    Ok(())
}

fn warn<E: std::fmt::Display>(result: Result<(), E>) {
    if let Err(error) = result {
        tracing::warn!(%error, "cleaning up after a failed start");
    }
}
