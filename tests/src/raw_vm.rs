//! A `hull-vmm` without an engine, with a few instructions for a guest.
//!
//! For what a well-behaved kernel never does, and for what can be seen only from right beside the
//! process: exit reports, the control socket, configurations that cannot be.

use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use hull_protocol::frame;
use hull_protocol::vmm::{Control, ControlReply, ExitReport, Started, VmConfig};
use tempfile::TempDir;

use crate::programs::program;

/// Where the instructions lie: the first address that is free for a kernel.
const ENTRY: u64 = 0x10_0000;

/// Instructions, put together one after the other. 64-bit mode, identity mapping, no IDT.
#[derive(Debug, Default, Clone)]
pub struct Code(Vec<u8>);

impl Code {
    /// `out` of one byte to a port.
    #[must_use]
    pub fn out(mut self, port: u16, value: u8) -> Self {
        let [low, high] = port.to_le_bytes();
        self.0.extend([0x66, 0xba, low, high, 0xb0, value, 0xee]);
        self
    }

    /// Prints on the serial port.
    #[must_use]
    pub fn print(self, text: &str) -> Self {
        text.bytes().fold(self, |code, byte| code.out(0x3f8, byte))
    }

    /// An instruction that does not exist; without an IDT, a triple fault.
    #[must_use]
    pub fn undefined(mut self) -> Self {
        self.0.extend([0x0f, 0x0b]);
        self
    }

    /// Any bytes.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    /// From the start again, for ever.
    #[must_use]
    pub fn again(mut self) -> Self {
        let back = -(self.0.len() as i32 + 5);
        self.0.push(0xe9);
        self.0.extend(back.to_le_bytes());
        self
    }

    /// Waits for an interrupt that never comes.
    #[must_use]
    pub fn halt(mut self) -> Self {
        self.0.extend([0xf4, 0xeb, 0xfd]);
        self
    }

    /// An ELF executable that begins with these instructions.
    fn image(&self) -> Vec<u8> {
        let mut bytes = vec![0; 120];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0, b"\x7fELF\x02\x01\x01");
        put(16, &2u16.to_le_bytes());
        put(18, &62u16.to_le_bytes());
        put(24, &ENTRY.to_le_bytes());
        put(32, &64u64.to_le_bytes());
        put(54, &56u16.to_le_bytes());
        put(56, &1u16.to_le_bytes());
        put(64, &1u32.to_le_bytes());
        put(72, &120u64.to_le_bytes());
        put(88, &ENTRY.to_le_bytes());
        put(96, &(self.0.len() as u64).to_le_bytes());
        put(104, &(self.0.len() as u64).to_le_bytes());
        bytes.extend(&self.0);
        bytes
    }
}

/// What a VM is made of, before it is started.
#[derive(Debug)]
pub struct RawVm {
    folder: TempDir,
    kept: Vec<OwnedFd>,
    control: UnixListener,
    started: (UnixStream, UnixStream),
    report: File,
    console: File,
    /// The VMM.
    pub program: PathBuf,
    /// May be spoilt before the start.
    pub config: VmConfig,
}

impl RawVm {
    /// A guest of 64 MiB that runs these instructions.
    pub fn new(code: &Code) -> Self {
        Self::with_kernel(&code.image())
    }

    /// A guest with this for a kernel.
    pub fn with_kernel(image: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kernel = folder.path().join("kernel");
        fs::write(&kernel, image).unwrap();
        let initramfs = folder.path().join("initramfs");
        fs::write(&initramfs, []).unwrap();
        Self::in_folder(folder, &kernel, &initramfs)
    }

    /// A guest with these files for kernel and initramfs.
    pub fn with_files(kernel: &Path, initramfs: &Path) -> Self {
        Self::in_folder(tempfile::tempdir().unwrap(), kernel, initramfs)
    }

    fn in_folder(folder: TempDir, kernel: &Path, initramfs: &Path) -> Self {
        let file = |name: &str| {
            let mut options = File::options();
            options.read(true).write(true).create_new(true);
            options.open(folder.path().join(name)).unwrap()
        };
        let (kernel, initramfs) = (File::open(kernel).unwrap(), File::open(initramfs).unwrap());
        let (report, console) = (file("report"), file("console"));
        let kvm = File::options()
            .read(true)
            .write(true)
            .open("/dev/kvm")
            .unwrap();
        let control = UnixListener::bind(folder.path().join("control.sock")).unwrap();
        let vsock = UnixListener::bind(folder.path().join("vsock.sock")).unwrap();
        let started = UnixStream::pair().unwrap();
        let config = VmConfig {
            id: "raw".into(),
            memory_mib: 64,
            vcpus: 1,
            kvm: kvm.as_raw_fd(),
            kernel: kernel.as_raw_fd(),
            initramfs: initramfs.as_raw_fd(),
            cmdline: String::new(),
            console: Some(console.as_raw_fd()),
            control: control.as_raw_fd(),
            vsock: vsock.as_raw_fd(),
            layers: Vec::new(),
            disks: Vec::new(),
            started: started.1.as_raw_fd(),
            report: report.as_raw_fd(),
            jail: None,
        };
        let kept = vec![kvm.into(), kernel.into(), initramfs.into(), vsock.into()];
        Self {
            folder,
            kept,
            control,
            started,
            report,
            console,
            program: program("hull-vmm"),
            config,
        }
    }

    /// Starts it.
    pub fn start(self) -> RunningVm {
        let (reader, writer) = std::io::pipe().unwrap();
        (&writer)
            .write_all(&serde_json::to_vec(&self.config).unwrap())
            .unwrap();
        drop(writer);
        let mut inherited: Vec<RawFd> = self.kept.iter().map(AsRawFd::as_raw_fd).collect();
        inherited.extend([self.control.as_raw_fd(), self.started.1.as_raw_fd()]);
        inherited.extend([
            self.report.as_raw_fd(),
            self.console.as_raw_fd(),
            reader.as_raw_fd(),
        ]);
        let mut command = Command::new(&self.program);
        command.args(["--config-fd", &reader.as_raw_fd().to_string()]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let inherit = move || {
            for &fd in &inherited {
                // SAFETY: changes a flag of a descriptor that is open.
                unsafe { libc::fcntl(fd, libc::F_SETFD, 0) };
            }
            Ok(())
        };
        // SAFETY: only async-signal-safe system calls between fork and exec.
        unsafe { command.pre_exec(inherit) };
        let process = command.spawn().unwrap();
        RunningVm { vm: self, process }
    }
}

/// A VM at work.
#[derive(Debug)]
pub struct RunningVm {
    vm: RawVm,
    process: Child,
}

impl RunningVm {
    /// Waits for [`Started`].
    pub fn started(&mut self) -> Started {
        frame::read(&mut self.vm.started.0).unwrap()
    }

    /// Asks on the control socket.
    pub fn control(&self, request: &Control) -> ControlReply {
        let path = self.vm.folder.path().join("control.sock");
        let mut socket = UnixStream::connect(path).unwrap();
        frame::write(&mut socket, request).unwrap();
        frame::read(&mut socket).unwrap()
    }

    /// Opens a connection to a port of the guest; returns once the guest has taken it.
    pub fn dial(&self, port: u32) -> UnixStream {
        let path = self.vm.folder.path().join("vsock.sock");
        let mut socket = UnixStream::connect(path).unwrap();
        writeln!(socket, "CONNECT {port}").unwrap();
        let mut byte = [0];
        while byte != *b"\n" {
            socket.read_exact(&mut byte).unwrap();
        }
        socket
    }

    /// Lets the parent of a jailed VM go, as the engine does once it holds the VM by a pidfd.
    pub fn let_go(&mut self) {
        for end in [&self.vm.started.0, &self.vm.started.1] {
            // An end that is closed already is as good.
            let _ = end.shutdown(std::net::Shutdown::Both);
        }
    }

    /// Sends a signal to the process.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// How much the guest has printed.
    pub fn printed(&self) -> u64 {
        self.vm.console.metadata().unwrap().len()
    }

    /// Waits for the end: exit code, report if there is one, what it said on stderr.
    pub fn end(self) -> (i32, Option<ExitReport>, String) {
        let output = self.process.wait_with_output().unwrap();
        let mut report = self.vm.report;
        report.rewind().unwrap();
        let mut json = String::new();
        report.read_to_string(&mut json).unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (
            output.status.code().unwrap_or(-1),
            serde_json::from_str(&json).ok(),
            said,
        )
    }
}
