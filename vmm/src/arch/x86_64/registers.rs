//! Registers of the boot processor at the kernel's entry.

use kvm_bindings::{Msrs, kvm_fpu, kvm_msr_entry, kvm_regs, kvm_segment, kvm_sregs};
use kvm_ioctls::VcpuFd;
use vm_memory::{Bytes, GuestAddress, GuestMemoryError};

use super::{GDT, PD, PDPT, PML4, STACK, ZERO_PAGE};
use crate::memory::GuestRam;

const CR0_PROTECTED: u64 = 1;
const CR0_PAGING: u64 = 1 << 31;
const CR4_PAE: u64 = 1 << 5;
const EFER_LONG_ENABLED: u64 = 1 << 8;
const EFER_LONG_ACTIVE: u64 = 1 << 10;

const PAGE_PRESENT_WRITABLE: u64 = 3;
const PAGE_LARGE: u64 = 1 << 7;

const MSR_MISC_ENABLE: u32 = 0x1a0;
const MISC_ENABLE_FAST_STRINGS: u64 = 1;
const MSR_MTRR_DEFAULT: u32 = 0x2ff;
/// MTRRs enabled, everything write-back: there is no firmware to have set them.
const MTRR_WRITE_BACK: u64 = 1 << 11 | 6;

/// Flat 64-bit code, flat data, and a task segment, as `GDT[2..]` at selectors 0x10, 0x18, 0x20.
const DESCRIPTORS: [u64; 5] = [
    0,
    0,
    0x00af_9b00_0000_ffff,
    0x00cf_9300_0000_ffff,
    0x008f_8b00_0000_ffff,
];

/// Writes the tables that the registers point at.
///
/// # Errors
/// Guest memory is smaller than 64 KiB.
pub fn write_tables(memory: &GuestRam) -> Result<(), GuestMemoryError> {
    for (index, descriptor) in DESCRIPTORS.iter().enumerate() {
        memory.write_obj(*descriptor, GuestAddress(GDT + index as u64 * 8))?;
    }
    memory.write_obj(PDPT | PAGE_PRESENT_WRITABLE, GuestAddress(PML4))?;
    memory.write_obj(PD | PAGE_PRESENT_WRITABLE, GuestAddress(PDPT))?;
    let mut directory = Vec::with_capacity(4096);
    for page in 0..512u64 {
        directory
            .extend_from_slice(&(page << 21 | PAGE_LARGE | PAGE_PRESENT_WRITABLE).to_le_bytes());
    }
    memory.write_slice(&directory, GuestAddress(PD))
}

/// Sets the boot processor's registers to the 64-bit boot protocol's.
///
/// # Errors
/// As the `KVM_SET_*` requests.
pub fn set_boot_processor(vcpu: &VcpuFd, entry: GuestAddress) -> Result<(), kvm_ioctls::Error> {
    let regs = kvm_regs {
        rflags: 2,
        rip: entry.0,
        rsp: STACK,
        rbp: STACK,
        rsi: ZERO_PAGE,
        ..kvm_regs::default()
    };
    vcpu.set_regs(&regs)?;
    let mut sregs = vcpu.get_sregs()?;
    set_long_mode(&mut sregs);
    vcpu.set_sregs(&sregs)
}

/// Sets what every processor needs.
///
/// # Errors
/// As the `KVM_SET_*` requests.
pub fn set_common(vcpu: &VcpuFd) -> Result<(), kvm_ioctls::Error> {
    let entry = |index, data| kvm_msr_entry {
        index,
        data,
        ..kvm_msr_entry::default()
    };
    let list = [
        entry(MSR_MISC_ENABLE, MISC_ENABLE_FAST_STRINGS),
        entry(MSR_MTRR_DEFAULT, MTRR_WRITE_BACK),
    ];
    // A list of two entries is always within the limit of the structure.
    if let Ok(msrs) = Msrs::from_entries(&list) {
        vcpu.set_msrs(&msrs)?;
    }
    vcpu.set_fpu(&kvm_fpu {
        fcw: 0x37f,
        mxcsr: 0x1f80,
        ..kvm_fpu::default()
    })
}

fn set_long_mode(sregs: &mut kvm_sregs) {
    let flat = |selector, type_, l, db| kvm_segment {
        base: 0,
        limit: 0xffff_ffff,
        selector,
        type_,
        present: 1,
        dpl: 0,
        db,
        s: 1,
        l,
        g: 1,
        avl: 0,
        unusable: 0,
        padding: 0,
    };
    let data = flat(0x18, 3, 0, 1);
    sregs.cs = flat(0x10, 11, 1, 0);
    sregs.ds = data;
    sregs.es = data;
    sregs.fs = data;
    sregs.gs = data;
    sregs.ss = data;
    sregs.tr = kvm_segment {
        s: 0,
        l: 0,
        db: 0,
        limit: 0xfffff,
        ..flat(0x20, 11, 0, 0)
    };
    sregs.gdt.base = GDT;
    sregs.gdt.limit = (DESCRIPTORS.len() * 8 - 1) as u16;
    sregs.idt.base = 0;
    sregs.idt.limit = 0;
    sregs.cr0 |= CR0_PROTECTED | CR0_PAGING;
    sregs.cr3 = PML4;
    sregs.cr4 |= CR4_PAE;
    sregs.efer |= EFER_LONG_ENABLED | EFER_LONG_ACTIVE;
}
