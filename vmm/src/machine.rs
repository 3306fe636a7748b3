//! Puts a VM together from open descriptors, runs it, and says how it ended.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use hull_protocol::power;
use hull_protocol::vmm::{ExitReason, ExitReport, Metrics, VmConfig, VmInfo, VmState};
use kvm_bindings::{CpuId, KVM_PIT_SPEAKER_DUMMY, kvm_pit_config, kvm_userspace_memory_region};
use kvm_ioctls::{Cap, IoEventAddress, Kvm, VcpuFd, VmFd};
use vm_memory::{GuestMemoryBackend, GuestMemoryRegion};
use vmm_sys_util::eventfd::EventFd;

use crate::arch::x86_64::{FIRST_IRQ, IRQ_COUNT, KVM_TSS, boot, cpuid, mptable, registers};
use crate::config::Resources;
use crate::devices::power::{PowerPort, RESET_PORT, Ready, ResetPort};
use crate::devices::serial::{self, Console, Tail};
use crate::devices::virtio::VirtioDevice;
use crate::devices::virtio::balloon::{Balloon, HostMemory};
use crate::devices::virtio::blk::Blk;
use crate::devices::virtio::fs::Fs;
use crate::devices::virtio::rng::{HostEntropy, Rng};
use crate::devices::virtio::transport::Transport;
use crate::devices::virtio::vsock::Vsock;
use crate::exit::{End, Ending};
use crate::memory::{self, GuestRam, MMIO_START, MapError};
use crate::vcpu::{Buses, Vcpus};

/// One page of registers for each virtio device.
const PAGE: u64 = 0x1000;

/// What every guest is told. `reboot=k`: a reset goes to the keyboard controller's port, which is
/// the one that is listened to. `panic=-1`: at once. `swiotlb=noforce`: no device here needs
/// memory below 4 GiB, for which a larger guest would keep, and touch, 64 MiB.
/// `page_reporting_order`: free memory goes back in pieces of 512 KiB, and while there are 16 MiB
/// of it; of 2 MiB and 64 by default.
const COMMAND_LINE: &str = "reboot=k panic=-1 tsc=reliable random.trust_cpu=on swiotlb=noforce \
    page_reporting.page_reporting_order=7";

/// Why a VM could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// KVM refused a request.
    #[error("KVM: {request} failed")]
    Kvm {
        /// What was asked.
        request: &'static str,
        /// Why not.
        source: kvm_ioctls::Error,
    },
    /// KVM lacks something.
    #[error("this host's KVM has no {0}")]
    Missing(&'static str),
    /// Guest memory.
    #[error(transparent)]
    Memory(#[from] MapError),
    /// Kernel, initramfs or command line.
    #[error(transparent)]
    Boot(#[from] boot::BootError),
    /// The tables in low memory.
    #[error("cannot write boot tables")]
    Tables(#[from] vm_memory::GuestMemoryError),
    /// A device.
    #[error("cannot make the {device} device")]
    Device {
        /// Which.
        device: &'static str,
        /// Why.
        source: io::Error,
    },
    /// More devices than interrupt lines.
    #[error("too many devices: no interrupt line is left")]
    NoLine,
    /// A thread or an eventfd.
    #[error("cannot start the VM")]
    Host(#[from] io::Error),
}

impl BuildError {
    /// How the process ends by it.
    pub fn reason(&self) -> ExitReason {
        match self {
            Self::Memory(_) => ExitReason::OutOfMemory,
            Self::Kvm { .. } | Self::Missing(_) => ExitReason::KvmError,
            Self::Boot(_) | Self::Device { .. } => ExitReason::Config,
            Self::Tables(_) | Self::NoLine | Self::Host(_) => ExitReason::Internal,
        }
    }
}

fn kvm(request: &'static str) -> impl FnOnce(kvm_ioctls::Error) -> BuildError {
    move |source| BuildError::Kvm { request, source }
}

/// A VM, its vCPUs held.
#[derive(Debug)]
pub struct Machine {
    id: String,
    memory_mib: u32,
    vcpu_count: u8,
    vcpus: Vcpus,
    paused: bool,
    transports: Vec<Arc<Mutex<Transport>>>,
    ready: Arc<Ready>,
    ending: Arc<Ending>,
    tail: Option<Tail>,
    /// Last, so that it goes after everything that uses it.
    _vm: VmFd,
}

impl Machine {
    /// Builds the VM up to its first instruction.
    ///
    /// # Errors
    /// KVM, memory or a descriptor is not as it must be.
    pub fn build(
        config: &VmConfig,
        resources: Resources,
    ) -> Result<(Self, std::os::unix::net::UnixListener), BuildError> {
        let Resources {
            kvm: kvm_fd,
            kernel,
            initramfs,
            console,
            control,
            vsock,
            layers,
            disks,
        } = resources;
        let kvm = open_kvm(kvm_fd);
        let vm = kvm.create_vm().map_err(self::kvm("KVM_CREATE_VM"))?;
        let memory = Arc::new(memory::map(config.memory_mib)?);
        register_memory(&vm, &memory)?;
        create_interrupts(&kvm, &vm)?;

        let ending = Arc::new(Ending::new()?);
        let ready = Arc::new(Ready::new()?);
        let mut board = Board::new(&vm, Arc::clone(&memory));
        board.attach_ports(&ready, &ending);
        let mut words = COMMAND_LINE.to_owned();
        let tail = match console {
            Some(file) => {
                words.push_str(" console=ttyS0");
                Some(board.attach_console(file)?)
            }
            None => {
                words.push_str(" quiet");
                None
            }
        };
        board.attach_virtio("fs", || Fs::new(layers))?;
        for (file, read_only) in disks {
            board.attach_virtio("blk", || Blk::new(file, read_only))?;
        }
        let gate = Arc::clone(&ready);
        board.attach_virtio("vsock", move || Vsock::new(vsock, gate))?;
        board.attach_virtio("rng", || Ok(Rng::new(HostEntropy)))?;
        board.attach_virtio("balloon", || Ok(Balloon::new(HostMemory)))?;
        for word in board
            .words
            .iter()
            .chain([&config.cmdline])
            .filter(|word| !word.is_empty())
        {
            words.push(' ');
            words.push_str(word);
        }

        let entry = boot::load(&memory, &kernel, &initramfs, &words)?;
        mptable::write(&memory, config.vcpus)?;
        registers::write_tables(&memory)?;
        let supported = cpuid::supported(&kvm).map_err(self::kvm("KVM_GET_SUPPORTED_CPUID"))?;
        let fds = (0..config.vcpus)
            .map(|id| create_vcpu(&vm, &supported, id, config.vcpus, entry))
            .collect::<Result<Vec<_>, _>>()?;
        let Board {
            buses, transports, ..
        } = board;
        let vcpus = Vcpus::start(fds, &Arc::new(buses), &ending)?;
        let machine = Self {
            id: config.id.clone(),
            memory_mib: config.memory_mib,
            vcpu_count: config.vcpus,
            vcpus,
            paused: true,
            transports,
            ready,
            ending,
            tail,
            _vm: vm,
        };
        Ok((machine, control))
    }

    /// Told when the VM ends.
    pub fn ending(&self) -> &Arc<Ending> {
        &self.ending
    }

    /// Holds the vCPUs where they are.
    pub fn pause(&mut self) {
        if !self.paused {
            self.vcpus.hold();
            self.paused = true;
        }
    }

    /// Lets them run (on).
    pub fn resume(&mut self) {
        self.vcpus.release();
        self.paused = false;
    }

    /// What it is.
    pub fn info(&self) -> VmInfo {
        VmInfo {
            id: self.id.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state: if self.paused {
                VmState::Paused
            } else {
                VmState::Running
            },
            memory_mib: self.memory_mib,
            vcpus: self.vcpu_count,
            ready: self.ready.get(),
        }
    }

    /// What it did.
    pub fn metrics(&self) -> Metrics {
        let device = |transport: &Arc<Mutex<Transport>>| lock(transport).device().metrics();
        Metrics {
            vcpu_exits: self.vcpus.exits(),
            devices: self.transports.iter().map(device).collect(),
        }
    }

    /// Stops everything and says why it ended.
    pub fn finish(self) -> ExitReport {
        self.vcpus.stop();
        for transport in &self.transports {
            lock(transport).shut_down();
        }
        let none = || End {
            reason: ExitReason::Internal,
            message: "ended without a reason".into(),
        };
        let End { reason, message } = self.ending.reason().unwrap_or_else(none);
        ExitReport {
            reason,
            message,
            console_tail: self.tail.map(|tail| tail.text()),
        }
    }
}

fn lock(transport: &Mutex<Transport>) -> std::sync::MutexGuard<'_, Transport> {
    transport.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open_kvm(fd: OwnedFd) -> Kvm {
    // SAFETY: the descriptor is the engine's open /dev/kvm, and ownership passes on.
    unsafe { Kvm::from_raw_fd(fd.into_raw_fd()) }
}

fn register_memory(vm: &VmFd, memory: &GuestRam) -> Result<(), BuildError> {
    for (slot, region) in memory.iter().enumerate() {
        let description = kvm_userspace_memory_region {
            slot: slot as u32,
            flags: 0,
            guest_phys_addr: region.start_addr().0,
            memory_size: region.len(),
            userspace_addr: region.as_ptr() as u64,
        };
        // SAFETY: the region is mapped, and lives as long as the transports that the machine
        // keeps beside the VM.
        unsafe { vm.set_user_memory_region(description) }
            .map_err(kvm("KVM_SET_USER_MEMORY_REGION"))?;
    }
    Ok(())
}

fn create_interrupts(kvm: &Kvm, vm: &VmFd) -> Result<(), BuildError> {
    for (capability, name) in [
        (Cap::Irqchip, "in-kernel interrupt controller"),
        (Cap::Irqfd, "irqfd"),
        (Cap::Ioeventfd, "ioeventfd"),
        (Cap::ImmediateExit, "immediate_exit"),
    ] {
        if !kvm.check_extension(capability) {
            return Err(BuildError::Missing(name));
        }
    }
    vm.set_tss_address(KVM_TSS)
        .map_err(self::kvm("KVM_SET_TSS_ADDR"))?;
    vm.create_irq_chip()
        .map_err(self::kvm("KVM_CREATE_IRQCHIP"))?;
    if !kvm.check_extension(Cap::TscDeadlineTimer) {
        // Only then does the guest need the old timer, to calibrate the APIC's by.
        let pit = kvm_pit_config {
            flags: KVM_PIT_SPEAKER_DUMMY,
            ..kvm_pit_config::default()
        };
        vm.create_pit2(pit).map_err(self::kvm("KVM_CREATE_PIT2"))?;
    }
    Ok(())
}

fn create_vcpu(
    vm: &VmFd,
    supported: &CpuId,
    id: u8,
    count: u8,
    entry: vm_memory::GuestAddress,
) -> Result<VcpuFd, BuildError> {
    let vcpu = vm.create_vcpu(id.into()).map_err(kvm("KVM_CREATE_VCPU"))?;
    let cpuid = cpuid::for_vcpu(supported, id, count);
    vcpu.set_cpuid2(&cpuid).map_err(kvm("KVM_SET_CPUID2"))?;
    registers::set_common(&vcpu).map_err(kvm("setting registers"))?;
    if id == 0 {
        registers::set_boot_processor(&vcpu, entry).map_err(kvm("setting registers"))?;
    }
    Ok(vcpu)
}

/// Address spaces and interrupt lines while they are being handed out.
struct Board<'v> {
    vm: &'v VmFd,
    memory: Arc<GuestRam>,
    buses: Buses,
    transports: Vec<Arc<Mutex<Transport>>>,
    words: Vec<String>,
}

impl<'v> Board<'v> {
    fn new(vm: &'v VmFd, memory: Arc<GuestRam>) -> Self {
        let buses = Buses {
            io: crate::bus::Bus::default(),
            mmio: crate::bus::Bus::default(),
        };
        Self {
            vm,
            memory,
            buses,
            transports: Vec::new(),
            words: Vec::new(),
        }
    }

    fn attach_ports(&mut self, ready: &Arc<Ready>, ending: &Arc<Ending>) {
        let port = PowerPort {
            ready: Arc::clone(ready),
            ending: Arc::clone(ending),
        };
        self.buses
            .io
            .attach(power::PORT.into(), 1, Arc::new(Mutex::new(port)));
        let reset = ResetPort {
            ending: Arc::clone(ending),
        };
        self.buses
            .io
            .attach(RESET_PORT, 1, Arc::new(Mutex::new(reset)));
    }

    fn attach_console(&mut self, file: File) -> Result<Tail, BuildError> {
        let irqfd = EventFd::new(libc::EFD_NONBLOCK | libc::EFD_CLOEXEC)?;
        self.vm
            .register_irqfd(&irqfd, serial::IRQ)
            .map_err(kvm("KVM_IRQFD"))?;
        let tail = Tail::default();
        let console = Console::new(file, irqfd, tail.clone());
        self.buses
            .io
            .attach(serial::PORT, serial::PORTS, Arc::new(Mutex::new(console)));
        Ok(tail)
    }

    fn attach_virtio<D: VirtioDevice + 'static>(
        &mut self,
        device: &'static str,
        make: impl FnOnce() -> io::Result<D>,
    ) -> Result<(), BuildError> {
        let failed = |source| BuildError::Device { device, source };
        let made = make().map_err(failed)?;
        let transport = Transport::new(Box::new(made), Arc::clone(&self.memory)).map_err(failed)?;
        let slot = self.transports.len() as u32;
        let line = FIRST_IRQ + slot;
        if line >= IRQ_COUNT {
            return Err(BuildError::NoLine);
        }
        let base = MMIO_START + u64::from(slot) * PAGE;
        self.vm
            .register_irqfd(transport.irq().irqfd(), line)
            .map_err(kvm("KVM_IRQFD"))?;
        let notify = IoEventAddress::Mmio(
            base + u64::from(virtio_bindings::virtio_mmio::VIRTIO_MMIO_QUEUE_NOTIFY),
        );
        for (queue, kick) in transport.kicks().iter().enumerate() {
            self.vm
                .register_ioevent(kick, &notify, queue as u32)
                .map_err(kvm("KVM_IOEVENTFD"))?;
        }
        let transport = Arc::new(Mutex::new(transport));
        self.buses
            .mmio
            .attach(base, PAGE, Arc::clone(&transport) as _);
        self.transports.push(transport);
        self.words
            .push(format!("virtio_mmio.device=4K@{base:#x}:{line}"));
        Ok(())
    }
}

/// Descriptor of the VM's own end event, for the main loop.
pub(crate) fn ended_fd(machine: &Machine) -> i32 {
    machine.ending.event().as_raw_fd()
}
