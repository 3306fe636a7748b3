//! Packs a kernel's ELF file: the same program, without what only aligns it.
//!
//! The kernel's linker puts segments 2 MiB apart in the file and pads code up to
//! the next 2 MiB, so that the running kernel can map it with large pages. Neither
//! has to be in the file: each segment is written at the next page of the file,
//! long runs of filling inside it (zeros, and `int3` between functions) are left out
//! by splitting it there, and guest memory is zero where nothing is loaded.
//! Addresses do not change. Section headers
//! go, as nobody reads them; notes stay, since they hold the PVH entry.

use anyhow::{Context, Result, bail, ensure};

const HEADER: usize = 64;
const ENTRY: usize = 56;
const PAGE: u64 = 4096;
const LOAD: u32 = 1;
const NOTE: u32 = 4;
const EXECUTABLE: u32 = 1;
const INT3: u8 = 0xcc;
/// A gap shorter than this is not worth a segment of its own.
const GAP: usize = 64 * 1024;

/// One program header.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Segment {
    kind: u32,
    flags: u32,
    offset: u64,
    virtual_address: u64,
    physical_address: u64,
    file_size: u64,
    memory_size: u64,
}

/// Returns the packed file.
pub(crate) fn pack(elf: &[u8]) -> Result<Vec<u8>> {
    let header = elf.get(..HEADER).context("the kernel has no ELF header")?;
    if !header.starts_with(b"\x7fELF\x02\x01") {
        bail!("the kernel is not a 64-bit little-endian ELF file");
    }
    let segments = segments(elf)?;
    let loads: Vec<Segment> = segments
        .iter()
        .filter(|segment| segment.kind == LOAD)
        .map(|segment| split(elf, segment))
        .collect::<Result<Vec<_>>>()?
        .concat();
    let notes: Vec<&Segment> = segments
        .iter()
        .filter(|segment| segment.kind == NOTE)
        .collect();

    let count = loads.len() + notes.len();
    let mut table = Vec::new();
    let mut body = vec![0; (HEADER + count * ENTRY).next_multiple_of(PAGE as usize)];
    for load in &loads {
        let content = bytes(elf, load)?;
        // ELF wants offsets to match addresses within a page.
        let offset = (body.len() as u64).next_multiple_of(PAGE) + load.virtual_address % PAGE;
        body.resize(usize::try_from(offset)?, 0);
        body.extend_from_slice(content);
        table.extend(encode(
            &Segment {
                offset,
                ..load.clone()
            },
            PAGE,
        ));
    }
    for note in notes {
        // Inside a loaded segment, but a reader finds it by its own offset.
        let offset = body.len().next_multiple_of(8);
        body.resize(offset, 0);
        body.extend_from_slice(bytes(elf, note)?);
        table.extend(encode(
            &Segment {
                offset: offset as u64,
                ..note.clone()
            },
            4,
        ));
    }
    body[..HEADER].copy_from_slice(header);
    put(&mut body, 32, &(HEADER as u64).to_le_bytes());
    put(&mut body, 40, &0u64.to_le_bytes());
    put(&mut body, 56, &u16::try_from(count)?.to_le_bytes());
    // No section headers: their entry size, their number, the index of their names.
    put(&mut body, 58, &[0; 6]);
    put(&mut body, HEADER, &table);
    Ok(body)
}

fn segments(elf: &[u8]) -> Result<Vec<Segment>> {
    let (start, count) = (usize::try_from(u64_at(elf, 32)?)?, u16_at(elf, 56)?);
    ensure!(
        usize::from(u16_at(elf, 54)?) == ENTRY,
        "the kernel's program headers have another size"
    );
    (0..usize::from(count))
        .map(|index| {
            let at = start + index * ENTRY;
            Ok(Segment {
                kind: u32_at(elf, at)?,
                flags: u32_at(elf, at + 4)?,
                offset: u64_at(elf, at + 8)?,
                virtual_address: u64_at(elf, at + 16)?,
                physical_address: u64_at(elf, at + 24)?,
                file_size: u64_at(elf, at + 32)?,
                memory_size: u64_at(elf, at + 40)?,
            })
        })
        .collect()
}

fn bytes<'a>(elf: &'a [u8], segment: &Segment) -> Result<&'a [u8]> {
    let start = usize::try_from(segment.offset)?;
    let end = start
        .checked_add(usize::try_from(segment.file_size)?)
        .context("a segment is too long")?;
    elf.get(start..end)
        .context("a segment lies outside the kernel's file")
}

/// Whether bytes only fill a page. Between functions the linker fills with `int3`, which
/// nothing reads or runs.
fn is_filling(page: &[u8], flags: u32) -> bool {
    let all = |value| page.iter().all(|byte| *byte == value);
    all(0) || (flags & EXECUTABLE != 0 && all(INT3))
}

/// The segment without its long runs of filling; the last part keeps what
/// follows it in memory (bss).
fn split(elf: &[u8], segment: &Segment) -> Result<Vec<Segment>> {
    let content = bytes(elf, segment)?;
    let page = PAGE as usize;
    // Cut where the address, not the offset in the segment, starts a page.
    let first = page - (segment.virtual_address % PAGE) as usize;
    let mut cuts: Vec<usize> = vec![0];
    cuts.extend((first..content.len()).step_by(page));
    cuts.push(content.len());
    cuts.dedup();

    let mut parts: Vec<(usize, usize)> = Vec::new();
    for window in cuts.windows(2) {
        let (start, end) = (window[0], window[1]);
        if is_filling(&content[start..end], segment.flags) {
            continue;
        }
        match parts.last_mut() {
            Some(last) if start - last.1 < GAP => last.1 = end,
            _ => parts.push((start, end)),
        }
    }
    ensure!(
        !parts.is_empty(),
        "a segment of the kernel holds nothing but filling"
    );
    let last = parts.len() - 1;
    Ok(parts
        .into_iter()
        .enumerate()
        .map(|(index, (start, end))| {
            let (skip, length) = (start as u64, (end - start) as u64);
            Segment {
                offset: segment.offset + skip,
                virtual_address: segment.virtual_address.wrapping_add(skip),
                physical_address: segment.physical_address + skip,
                file_size: length,
                memory_size: if index == last {
                    segment.memory_size - skip
                } else {
                    length
                },
                ..segment.clone()
            }
        })
        .collect())
}

fn encode(segment: &Segment, align: u64) -> Vec<u8> {
    let mut entry = Vec::with_capacity(ENTRY);
    entry.extend(segment.kind.to_le_bytes());
    entry.extend(segment.flags.to_le_bytes());
    let fields = [
        segment.offset,
        segment.virtual_address,
        segment.physical_address,
        segment.file_size,
        segment.memory_size,
        align,
    ];
    entry.extend(fields.iter().flat_map(|field| field.to_le_bytes()));
    entry
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    let slice = bytes
        .get(at..at + N)
        .context("the kernel's ELF header is cut short")?;
    Ok(slice.try_into()?)
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: u64 = 0xffff_ffff_8100_0000;
    const PHYSICAL: u64 = 0x100_0000;

    fn file(segments: &[Segment], content: &[(usize, &[u8])], size: usize) -> Vec<u8> {
        let mut bytes = vec![0; size];
        put(&mut bytes, 0, b"\x7fELF\x02\x01\x01");
        put(&mut bytes, 24, &PHYSICAL.to_le_bytes());
        put(&mut bytes, 32, &(HEADER as u64).to_le_bytes());
        put(&mut bytes, 54, &(ENTRY as u16).to_le_bytes());
        put(&mut bytes, 56, &(segments.len() as u16).to_le_bytes());
        for (index, segment) in segments.iter().enumerate() {
            put(&mut bytes, HEADER + index * ENTRY, &encode(segment, PAGE));
        }
        for (at, value) in content {
            put(&mut bytes, *at, value);
        }
        bytes
    }

    fn segment(kind: u32, offset: u64, skip: u64, file_size: u64, memory_size: u64) -> Segment {
        Segment {
            kind,
            flags: 5,
            offset,
            virtual_address: BASE + skip,
            physical_address: PHYSICAL + skip,
            file_size,
            memory_size,
        }
    }

    /// What a loader would put in memory.
    fn loaded(elf: &[u8], size: usize) -> Vec<u8> {
        let mut memory = vec![0; size];
        for segment in segments(elf)
            .unwrap()
            .iter()
            .filter(|segment| segment.kind == LOAD)
        {
            let at = (segment.physical_address - PHYSICAL) as usize;
            put(&mut memory, at, bytes(elf, segment).unwrap());
        }
        memory
    }

    fn sample() -> Vec<u8> {
        file(
            &[
                segment(LOAD, 0x20_0000, 0, 0x8_0000, 0x8_0000),
                segment(LOAD, 0x40_0000, 0x20_0010, 0x3000, 0x9000),
                segment(NOTE, 0x20_0100, 0x100, 8, 8),
            ],
            &[
                (0x20_0000, b"code"),
                (0x20_0100, b"the note"),
                (0x27_f000, b"rodata"),
                (0x40_1234, b"data"),
            ],
            0x41_0000,
        )
    }

    #[test]
    fn memory_is_the_same_and_the_file_small() {
        let (whole, packed) = (sample(), pack(&sample()).unwrap());
        assert!(loaded(&whole, 0x30_0000) == loaded(&packed, 0x30_0000));
        assert!(packed.len() < 0x8000, "{:#x}", packed.len());
        assert_eq!(packed[24..32], whole[24..32], "entry");
    }

    #[test]
    fn filling_between_functions_goes_and_the_same_bytes_as_data_stay() {
        let filling = vec![INT3; 0x4_0000];
        let content: &[(usize, &[u8])] = &[(0x20_0000, b"code"), (0x20_1000, &filling)];
        let code = segment(LOAD, 0x20_0000, 0, 0x5_0000, 0x5_0000);
        let data = Segment {
            flags: 6,
            ..code.clone()
        };
        assert!(pack(&file(&[code], content, 0x41_0000)).unwrap().len() < 0x8000);
        assert!(pack(&file(&[data], content, 0x41_0000)).unwrap().len() > 0x4_0000);
    }

    #[test]
    fn the_last_part_keeps_the_memory_behind_it() {
        let packed = segments(&pack(&sample()).unwrap()).unwrap();
        let end = |segment: &Segment| segment.physical_address + segment.memory_size;
        assert_eq!(
            packed.iter().map(end).max(),
            Some(PHYSICAL + 0x20_0010 + 0x9000)
        );
        assert_eq!(
            packed.iter().filter(|segment| segment.kind == LOAD).count(),
            3
        );
    }

    #[test]
    fn offsets_match_addresses_within_a_page_and_the_note_is_found() {
        let packed = pack(&sample()).unwrap();
        for segment in segments(&packed).unwrap() {
            match segment.kind {
                LOAD => assert_eq!(segment.offset % PAGE, segment.virtual_address % PAGE),
                _ => assert_eq!(bytes(&packed, &segment).unwrap(), b"the note"),
            }
        }
    }

    #[test]
    fn packing_again_changes_nothing() {
        let once = pack(&sample()).unwrap();
        assert!(pack(&once).unwrap() == once);
    }

    #[test]
    fn what_is_no_kernel_is_refused() {
        assert!(pack(b"#!/bin/sh").is_err());
        assert!(pack(&[0; 100]).is_err());
        let mut beyond = sample();
        put(&mut beyond, HEADER + 32, &u64::MAX.to_le_bytes());
        assert!(pack(&beyond).is_err());
    }
}
