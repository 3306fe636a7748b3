//! Stands in for `hull-vmm` and the guest inside it, so that the engine is tested without KVM.
//!
//! It takes the same configuration, announces itself the same way, listens on the same sockets and
//! speaks the same protocol; but the container's processes are plain processes of this host,
//! in the host's own filesystem. Programs with special names make it misbehave: see [`misbehave`].

mod agent;
mod files;
mod journal;
mod process;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::FromRawFd;
use std::os::unix::net::UnixListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use hull_protocol::frame;
use hull_protocol::vmm::{
    Control, ControlReply, ExitReason, ExitReport, Started, VmConfig, VmInfo, VmState,
};

use agent::Agent;

fn main() {
    let fd: i32 = std::env::args()
        .nth(2)
        .expect("--config-fd N")
        .parse()
        .expect("a number");
    // SAFETY: the engine handed it over for this.
    let config: VmConfig =
        serde_json::from_reader(unsafe { File::from_raw_fd(fd) }).expect("a configuration");
    // SAFETY: the process has one thread.
    match unsafe { libc::fork() } {
        -1 => panic!("cannot fork"),
        0 => {}
        child => announce(&config, u32::try_from(child).expect("a pid")),
    }
    // SAFETY: this process's copy; the parent has its own.
    unsafe { libc::close(config.started) };
    let vm = Arc::new(Vm {
        report: config.report,
        id: config.id.clone(),
        memory_mib: config.memory_mib,
    });
    let agent = Arc::new(Agent::new(vm.clone()));
    // SAFETY: the configuration's, used once.
    let vsock = unsafe { UnixListener::from_raw_fd(config.vsock) };
    // SAFETY: as above.
    let control = unsafe { UnixListener::from_raw_fd(config.control) };
    end_with_the_test(&control);
    let root = files::root(config.disks[0].fd);
    std::thread::spawn(move || {
        for stream in vsock.incoming().flatten() {
            let (agent, root) = (agent.clone(), root.clone());
            std::thread::spawn(move || connected(stream, &agent, &root));
        }
    });
    for stream in control.incoming().flatten() {
        let vm = vm.clone();
        std::thread::spawn(move || controlled(stream, &vm));
    }
}

/// A test that forgets its containers takes them with it when its folder goes.
fn end_with_the_test(control: &UnixListener) {
    let address = control.local_addr().expect("bound");
    let path = address.as_pathname().expect("a path").to_owned();
    std::thread::spawn(move || {
        while path.exists() {
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        std::process::exit(0);
    });
}

/// The parent's part, as of the jail: says who the child is, waits, exits.
fn announce(config: &VmConfig, pid: u32) -> ! {
    // SAFETY: the configuration's, used once.
    let mut started = unsafe { UnixStream::from_raw_fd(config.started) };
    frame::write(&mut started, &Started { pid }).expect("announced");
    while !matches!(started.read(&mut [0]), Ok(0) | Err(_)) {}
    // SAFETY: ends this process only.
    unsafe { libc::_exit(0) }
}

/// The machine itself.
pub(crate) struct Vm {
    report: i32,
    id: String,
    memory_mib: u32,
}

impl Vm {
    /// Ends it, with a report.
    pub(crate) fn end(&self, reason: ExitReason, message: &str) -> ! {
        // SAFETY: the configuration's, used once, as the process ends here.
        let mut file = unsafe { File::from_raw_fd(self.report) };
        let report = ExitReport {
            reason,
            message: message.to_owned(),
            console_tail: None,
        };
        file.write_all(&serde_json::to_vec(&report).expect("json"))
            .expect("written");
        std::process::exit(reason.status().into())
    }
}

fn connected(mut stream: UnixStream, agent: &Arc<Agent>, root: &Path) {
    let mut line = Vec::new();
    let mut byte = [0];
    while byte != *b"\n" {
        if stream.read_exact(&mut byte).is_err() {
            return;
        }
        line.push(byte[0]);
    }
    let accepted = stream.write_all(b"OK 1073741824\n").is_ok();
    match line.as_slice() {
        b"CONNECT 1024\n" if accepted => agent.control(stream),
        b"CONNECT 1025\n" if accepted => agent.stdio(stream),
        b"CONNECT 1026\n" if accepted => files::serve(root, stream),
        _ => {}
    }
}

fn controlled(mut stream: UnixStream, vm: &Vm) {
    while let Ok(request) = frame::read::<Control>(&mut stream) {
        let reply = match request {
            Control::Stop => vm.end(ExitReason::Stopped, "stopped by the engine"),
            Control::Info => ControlReply::Info(VmInfo {
                id: vm.id.clone(),
                version: "fake".into(),
                state: VmState::Running,
                memory_mib: vm.memory_mib,
                vcpus: 1,
                ready: true,
            }),
            Control::Pause | Control::Resume => ControlReply::Done,
            Control::Metrics => ControlReply::Failed("no metrics".into()),
        };
        if frame::write(&mut stream, &reply).is_err() {
            return;
        }
    }
}
