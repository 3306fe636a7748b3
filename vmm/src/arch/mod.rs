//! What depends on the processor: boot state, CPUID, interrupt tables.

pub mod x86_64;
