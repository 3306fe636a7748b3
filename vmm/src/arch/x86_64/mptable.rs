//! The MultiProcessor table (Intel MP specification 1.4): CPUs, one bus, one IO-APIC, its lines.

use vm_memory::{Bytes, GuestAddress, GuestMemoryError};

use super::{IRQ_COUNT, MP_TABLE};
use crate::memory::GuestRam;

const LOCAL_APIC: u32 = 0xfee0_0000;
const IO_APIC: u32 = 0xfec0_0000;
const APIC_VERSION: u8 = 0x14;
const ENTRY_PROCESSOR: u8 = 0;
const ENTRY_BUS: u8 = 1;
const ENTRY_IO_APIC: u8 = 2;
const ENTRY_IO_INTERRUPT: u8 = 3;
const ENTRY_LOCAL_INTERRUPT: u8 = 4;
const ISA: u8 = 0;

/// Writes the table for so many CPUs. It fits in the KiB that its place has.
///
/// # Errors
/// Guest memory is smaller than 640 KiB.
pub fn write(memory: &GuestRam, vcpus: u8) -> Result<(), GuestMemoryError> {
    memory.write_slice(&table(vcpus), GuestAddress(MP_TABLE))
}

fn table(vcpus: u8) -> Vec<u8> {
    let io_apic_id = vcpus;
    let mut entries = Vec::new();
    let mut count = 0u16;
    let mut add = |entry: &[u8]| {
        entries.extend_from_slice(entry);
        count += 1;
    };
    for id in 0..vcpus {
        // Usable, and the first is the boot processor.
        let flags = if id == 0 { 3 } else { 1 };
        let mut entry = vec![ENTRY_PROCESSOR, id, APIC_VERSION, flags];
        entry.extend_from_slice(&0x600u32.to_le_bytes()); // family 6
        entry.extend_from_slice(&0x201u32.to_le_bytes()); // FPU and APIC on chip
        entry.extend_from_slice(&[0; 8]);
        add(&entry);
    }
    add(b"\x01\x00ISA   ");
    debug_assert_eq!(ENTRY_BUS, 1);
    let mut io_apic = vec![ENTRY_IO_APIC, io_apic_id, APIC_VERSION, 1];
    io_apic.extend_from_slice(&IO_APIC.to_le_bytes());
    add(&io_apic);
    for line in 0..IRQ_COUNT as u8 {
        // Vectored, with the bus's own polarity and trigger: edge, active high.
        add(&[ENTRY_IO_INTERRUPT, 0, 0, 0, ISA, line, io_apic_id, line]);
    }
    add(&[ENTRY_LOCAL_INTERRUPT, 3, 0, 0, ISA, 0, 0, 0]); // ExtINT on LINT0
    add(&[ENTRY_LOCAL_INTERRUPT, 1, 0, 0, ISA, 0, 0xff, 1]); // NMI on LINT1 of all

    let mut header = b"PCMP".to_vec();
    header.extend_from_slice(&((44 + entries.len()) as u16).to_le_bytes());
    header.extend_from_slice(&[4, 0]); // revision 1.4, checksum
    header.extend_from_slice(b"HULL    ");
    header.extend_from_slice(b"microVM     ");
    header.extend_from_slice(&[0; 6]); // no OEM table
    header.extend_from_slice(&count.to_le_bytes());
    header.extend_from_slice(&LOCAL_APIC.to_le_bytes());
    header.extend_from_slice(&[0; 4]); // no extension
    let sum = checksum(&header).wrapping_add(checksum(&entries));
    header[7] = 0u8.wrapping_sub(sum);

    let mut pointer = b"_MP_".to_vec();
    pointer.extend_from_slice(&(MP_TABLE as u32 + 16).to_le_bytes());
    pointer.extend_from_slice(&[1, 4, 0, 0, 0, 0, 0, 0]); // one paragraph, 1.4
    pointer[10] = 0u8.wrapping_sub(checksum(&pointer));
    [pointer, header, entries].concat()
}

fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_parts_sum_to_zero_and_fit_their_place() {
        for vcpus in [1, 2, 32] {
            let table = table(vcpus);
            assert!(table.len() <= 1024, "{vcpus} CPUs: {} bytes", table.len());
            assert_eq!(checksum(&table[..16]), 0);
            assert_eq!(checksum(&table[16..]), 0);
            let length = u16::from_le_bytes([table[20], table[21]]) as usize;
            assert_eq!(length, table.len() - 16);
        }
    }
}
