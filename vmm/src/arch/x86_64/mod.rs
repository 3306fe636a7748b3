//! x86-64: the state in which the kernel finds its machine.
//!
//! The kernel is entered by the 64-bit Linux boot protocol: long mode, identity paging of the
//! first GiB, a zero page in `rsi`. There is no firmware. CPUs and the IO-APIC are announced by an
//! MP table, memory by the zero page's e820 map, devices on the command line.
//!
//! ```text
//!  0x0500  GDT           0x9fc00  MP table (in what would be the EBDA)
//!  0x7000  zero page     0x100000 .. RAM
//!  0x9000  page tables   0x1000000  kernel, as its ELF headers say
//!  0x20000 command line  top of low RAM  initramfs
//! ```

pub mod boot;
pub mod cpuid;
pub mod elf;
pub mod mptable;
pub mod registers;

/// The first interrupt line for devices, and how many there are. Below lie the timer, the
/// cascade, COM1 and others that the kernel believes it knows.
pub const FIRST_IRQ: u32 = 5;
/// The IO-APIC has 24 pins.
pub const IRQ_COUNT: u32 = 24;

pub(crate) const GDT: u64 = 0x500;
pub(crate) const ZERO_PAGE: u64 = 0x7000;
pub(crate) const STACK: u64 = 0x8ff0;
pub(crate) const PML4: u64 = 0x9000;
pub(crate) const PDPT: u64 = 0xa000;
pub(crate) const PD: u64 = 0xb000;
pub(crate) const COMMAND_LINE: u64 = 0x2_0000;
pub(crate) const COMMAND_LINE_MAX: usize = 2048;
pub(crate) const MP_TABLE: u64 = 0x9_fc00;
pub(crate) const HIGH_MEMORY: u64 = 0x10_0000;

/// Where KVM may put its three pages of task state on Intel, below the firmware that isn't there.
pub(crate) const KVM_TSS: usize = 0xfffb_d000;
