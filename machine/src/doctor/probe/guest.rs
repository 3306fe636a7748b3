//! The probe's guest: one page-table set, one IDT, a few dozen bytes of code.
//!
//! x86-64 only, like the rest of what boots guests today. Layout of its memory:
//!
//! ```text
//!   0x1000 PML4   0x2000 PDPT   0x3000 PD: one 2 MiB identity page
//!   0x4000 GDT    0x5000 IDT    0x6000 code   below 0x8000 stack
//! ```

use std::io;
use std::ptr;

use kvm_bindings::{KVM_MAX_CPUID_ENTRIES, kvm_regs, kvm_segment, kvm_userspace_memory_region};
use kvm_ioctls::{Cap, Kvm, VcpuExit, VcpuFd, VmFd};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// Exceptions that the guest takes and survives: `int3` and `ud2`.
pub(super) const EXPECTED_EXCEPTIONS: u8 = 2;

/// Instructions in one slice: `dec` and `jnz` for each turn of the loop.
pub(super) const SLICE_INSTRUCTIONS: u32 = 2 * LOOP_TURNS;

const LOOP_TURNS: u32 = 50_000;
const PORT_EXCEPTIONS: u16 = 0x10;
const PORT_SLICE: u16 = 0x11;

const MEMORY: usize = 0x8000;
const PML4: u64 = 0x1000;
const PDPT: u64 = 0x2000;
const PD: u64 = 0x3000;
const GDT: u64 = 0x4000;
const IDT: u64 = 0x5000;
const CODE: u64 = 0x6000;
const STACK: u64 = 0x8000;

const CODE_SELECTOR: u16 = 0x08;
const DATA_SELECTOR: u16 = 0x10;

#[derive(Debug, thiserror::Error)]
pub(super) enum GuestError {
    #[error("cannot open /dev/kvm: {0}")]
    Open(io::Error),
    #[error("KVM API version {0}, Hull needs 12")]
    Version(i32),
    #[error("KVM has no {0}")]
    Capability(&'static str),
    #[error("cannot {operation}: {source}")]
    Setup {
        operation: &'static str,
        source: io::Error,
    },
    #[error("KVM_RUN of a ring-0 guest: {0}")]
    Run(io::Error),
    #[error("a ring-0 guest ended with {0}")]
    Exit(String),
}

/// One vCPU in ring 0, about to take its exceptions.
pub(super) struct Guest {
    vcpu: VcpuFd,
    // Dropped after the vCPU: the kernel must not run a guest whose memory is gone.
    _vm: VmFd,
    _memory: Memory,
}

impl Guest {
    pub(super) fn create() -> Result<Self, GuestError> {
        let kvm = Kvm::new().map_err(|e| GuestError::Open(e.into()))?;
        match kvm.get_api_version() {
            12 => {}
            other => return Err(GuestError::Version(other)),
        }
        for (cap, name) in [
            (Cap::UserMemory, "user memory"),
            (Cap::Irqchip, "in-kernel irqchip"),
        ] {
            if !kvm.check_extension(cap) {
                return Err(GuestError::Capability(name));
            }
        }
        let mut memory = Memory::map()?;
        memory.fill();
        let vm = kvm.create_vm().map_err(setup("create a VM"))?;
        let region = kvm_userspace_memory_region {
            slot: 0,
            flags: 0,
            guest_phys_addr: 0,
            memory_size: MEMORY as u64,
            userspace_addr: memory.start as u64,
        };
        // SAFETY: the mapping is ours, as long as the region says, and outlives the VM.
        unsafe { vm.set_user_memory_region(region) }.map_err(setup("give the VM memory"))?;
        let vcpu = vm.create_vcpu(0).map_err(setup("create a vCPU"))?;
        // Without a CPUID that says so the vCPU has no long mode to enter.
        let cpuid = kvm
            .get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)
            .map_err(setup("read the supported CPUID"))?;
        vcpu.set_cpuid2(&cpuid)
            .map_err(setup("set the vCPU's CPUID"))?;
        enter_long_mode(&vcpu)?;
        Ok(Self {
            vcpu,
            _vm: vm,
            _memory: memory,
        })
    }

    /// Runs the guest through its exceptions; says how many its handlers counted.
    pub(super) fn exceptions(&mut self) -> Result<u8, GuestError> {
        self.run_to(PORT_EXCEPTIONS)
    }

    /// Runs [`SLICE_INSTRUCTIONS`] instructions of the guest.
    pub(super) fn slice(&mut self) -> Result<(), GuestError> {
        self.run_to(PORT_SLICE).map(drop)
    }

    fn run_to(&mut self, expected: u16) -> Result<u8, GuestError> {
        match self.vcpu.run().map_err(|e| GuestError::Run(e.into()))? {
            VcpuExit::IoOut(port, [value]) if port == expected => Ok(*value),
            VcpuExit::InternalError => Err(GuestError::Exit("KVM_INTERNAL_ERROR".into())),
            VcpuExit::Shutdown => Err(GuestError::Exit("a triple fault".into())),
            other => Err(GuestError::Exit(format!("{other:?}"))),
        }
    }
}

fn setup<E: Into<io::Error>>(operation: &'static str) -> impl FnOnce(E) -> GuestError {
    move |source| GuestError::Setup {
        operation,
        source: source.into(),
    }
}

fn enter_long_mode(vcpu: &VcpuFd) -> Result<(), GuestError> {
    const CR0_PE_WP_PG: u64 = 1 | 1 << 16 | 1 << 31;
    const CR4_PAE: u64 = 1 << 5;
    const EFER_LME_LMA: u64 = 1 << 8 | 1 << 10;

    let mut sregs = vcpu
        .get_sregs()
        .map_err(setup("read the vCPU's registers"))?;
    let segment = |selector, type_, l| kvm_segment {
        base: 0,
        limit: 0xffff_ffff,
        selector,
        type_,
        present: 1,
        dpl: 0,
        db: 1 - l,
        s: 1,
        l,
        g: 1,
        ..Default::default()
    };
    sregs.cs = segment(CODE_SELECTOR, 11, 1);
    let data = segment(DATA_SELECTOR, 3, 0);
    (sregs.ds, sregs.es, sregs.fs, sregs.gs, sregs.ss) = (data, data, data, data, data);
    (sregs.gdt.base, sregs.gdt.limit) = (GDT, 3 * 8 - 1);
    (sregs.idt.base, sregs.idt.limit) = (IDT, 32 * 16 - 1);
    sregs.cr0 = CR0_PE_WP_PG;
    sregs.cr3 = PML4;
    sregs.cr4 = CR4_PAE;
    sregs.efer = EFER_LME_LMA;
    vcpu.set_sregs(&sregs).map_err(setup("enter long mode"))?;

    let regs = kvm_regs {
        rip: CODE,
        rsp: STACK,
        rflags: 2,
        ..Default::default()
    };
    vcpu.set_regs(&regs)
        .map_err(setup("set the vCPU's registers"))
}

/// The guest's memory.
struct Memory {
    start: *mut u8,
}

impl Memory {
    fn map() -> Result<Self, GuestError> {
        // SAFETY: a fresh private mapping at an address of the kernel's choice.
        let start = unsafe {
            mmap_anonymous(
                ptr::null_mut(),
                MEMORY,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
        }
        .map_err(|e| GuestError::Setup {
            operation: "map memory",
            source: e.into(),
        })?;
        Ok(Self {
            start: start.cast(),
        })
    }

    /// Writes tables and code; before the VM exists, so nothing else sees the memory.
    fn fill(&mut self) {
        // SAFETY: the mapping is `MEMORY` bytes, readable, writable and only ours.
        let bytes = unsafe { std::slice::from_raw_parts_mut(self.start, MEMORY) };
        for (at, image) in image() {
            bytes[at..at + image.len()].copy_from_slice(&image);
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: mapped in `map` with this length; the VM that used it is dropped before.
        // A failure would leave one small mapping behind.
        let _ = unsafe { munmap(self.start.cast(), MEMORY) };
    }
}

/// What lies where in the guest's memory.
fn image() -> Vec<(usize, Vec<u8>)> {
    const PRESENT_WRITABLE: u64 = 0b11;
    const LARGE_PAGE: u64 = 1 << 7;
    // Accessed bits preset, so that the CPU need not write to the table.
    const GDT_CODE_64: u64 = 0x00af_9b00_0000_ffff;
    const GDT_DATA: u64 = 0x00cf_9300_0000_ffff;

    let (code, breakpoint, undefined) = code();
    let word = |value: u64| value.to_le_bytes().to_vec();
    let gate = |vector: usize, offset: usize| (IDT as usize + vector * 16, idt_gate(offset));
    vec![
        (PML4 as usize, word(PDPT | PRESENT_WRITABLE)),
        (PDPT as usize, word(PD | PRESENT_WRITABLE)),
        (PD as usize, word(PRESENT_WRITABLE | LARGE_PAGE)),
        (GDT as usize + 8, word(GDT_CODE_64)),
        (GDT as usize + 16, word(GDT_DATA)),
        gate(3, breakpoint),
        gate(6, undefined),
        (CODE as usize, code),
    ]
}

/// The code, and where in it the handlers of `#BP` and `#UD` start.
fn code() -> (Vec<u8>, usize, usize) {
    let mut code = vec![
        0xcc, // int3
        0x0f,
        0x0b, // ud2
        0x88,
        0xd8, // mov al, bl
        0xe6,
        PORT_EXCEPTIONS as u8, // out EXCEPTIONS, al
    ];
    let slice = code.len();
    code.push(0xb9); // mov ecx, LOOP_TURNS
    code.extend(LOOP_TURNS.to_le_bytes());
    code.extend([0xff, 0xc9]); // dec ecx
    code.extend([0x75, 0xfc]); // jnz to the dec
    code.extend([0xe6, PORT_SLICE as u8]); // out SLICE, al
    let back = slice as i8 - (code.len() + 2) as i8;
    code.extend([0xeb, back.to_le_bytes()[0]]); // jmp to the next slice
    let breakpoint = code.len();
    code.extend([0x48, 0xff, 0xc3]); // inc rbx
    code.extend([0x48, 0xcf]); // iretq
    let undefined = code.len();
    code.extend([0x48, 0xff, 0xc3]); // inc rbx
    code.extend([0x48, 0x83, 0x04, 0x24, 0x02]); // add qword [rsp], 2: past the ud2
    code.extend([0x48, 0xcf]); // iretq
    (code, breakpoint, undefined)
}

fn idt_gate(offset: usize) -> Vec<u8> {
    const INTERRUPT_GATE: u8 = 0x8e;
    let handler = (CODE as usize + offset) as u16;
    let mut gate = vec![0; 16];
    gate[0..2].copy_from_slice(&handler.to_le_bytes());
    gate[2..4].copy_from_slice(&CODE_SELECTOR.to_le_bytes());
    gate[5] = INTERRUPT_GATE;
    gate
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_fits_the_memory_and_does_not_overlap() {
        let mut pieces = image();
        pieces.sort_by_key(|(at, _)| *at);
        let mut end = 0;
        for (at, bytes) in pieces {
            assert!(at >= end, "piece at {at:#x} overlaps the one before");
            end = at + bytes.len();
        }
        assert!(end <= STACK as usize - 0x1000, "no room for the stack");
    }

    #[test]
    fn slices_jump_back_to_their_first_instruction() {
        let (code, breakpoint, _) = code();
        let jump = breakpoint as i8;
        let target = jump + i8::from_le_bytes([code[breakpoint - 1]]);
        assert_eq!(code[target as usize], 0xb9);
    }
}
