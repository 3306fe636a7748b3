//! Pure: the header of a chain -> what is asked (virtio 1.2, 5.2.6).

use virtio_bindings::virtio_blk as abi;

use super::super::chain::Chain;
use crate::memory::GuestRam;

/// The unit of all positions.
pub const SECTOR: u64 = 512;
/// Bytes of the identification string.
pub const ID_LENGTH: usize = abi::VIRTIO_BLK_ID_BYTES as usize;
const HEADER: usize = 16;
const SEGMENT: usize = 16;
/// Segments of one discard or write-zeroes request, as announced in the configuration.
pub const MAX_SEGMENTS: usize = 16;
/// The most sectors a segment may cover, as announced.
pub const MAX_SEGMENT_SECTORS: u32 = 1 << 22;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Fill the driver's buffers from this byte on.
    Read {
        /// Where.
        offset: u64,
        /// How much.
        length: u32,
    },
    /// Store the driver's buffers from this byte on.
    Write {
        /// Where.
        offset: u64,
        /// How much.
        length: u32,
    },
    /// Make what was written durable.
    Flush,
    /// The disk's name.
    Id,
    /// Forget ranges: (offset, length) in bytes.
    Discard(Vec<(u64, u64)>),
    /// Zero ranges: (offset, length) in bytes.
    WriteZeroes(Vec<(u64, u64)>),
}

/// Why there is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No header, or no byte for the status: not a block request at all. The device stops.
    #[error("chain too short for a block request")]
    Short,
    /// Answered with an I/O error.
    #[error("request outside the disk or of a wrong length")]
    Invalid,
    /// Answered as unsupported.
    #[error("unsupported request type {0}")]
    Unsupported(u32),
}

/// The shape of a disk, as far as requests are checked against it.
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    /// In bytes, a multiple of [`SECTOR`].
    pub size: u64,
    /// Refuse to change it.
    pub read_only: bool,
}

/// Parses a chain's header and checks it against the disk.
///
/// # Errors
/// See [`RequestError`].
pub fn parse(chain: &Chain, memory: &GuestRam, disk: Geometry) -> Result<Request, RequestError> {
    let mut header = [0; HEADER];
    if chain.writable_length() == 0 || chain.read(memory, 0, &mut header) != HEADER {
        return Err(RequestError::Short);
    }
    let [t0, t1, t2, t3, _, _, _, _, s0, s1, s2, s3, s4, s5, s6, s7] = header;
    let kind = u32::from_le_bytes([t0, t1, t2, t3]);
    let sector = u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
    let payload = chain.readable_length() - HEADER as u32;
    let room = chain.writable_length() - 1;
    match kind {
        abi::VIRTIO_BLK_T_IN => {
            let offset = range(sector, u64::from(room), disk)?;
            Ok(Request::Read {
                offset,
                length: room,
            })
        }
        abi::VIRTIO_BLK_T_OUT => {
            writable(disk)?;
            let offset = range(sector, u64::from(payload), disk)?;
            Ok(Request::Write {
                offset,
                length: payload,
            })
        }
        abi::VIRTIO_BLK_T_FLUSH => Ok(Request::Flush),
        abi::VIRTIO_BLK_T_GET_ID if room as usize >= ID_LENGTH => Ok(Request::Id),
        abi::VIRTIO_BLK_T_GET_ID => Err(RequestError::Invalid),
        abi::VIRTIO_BLK_T_DISCARD => {
            writable(disk)?;
            Ok(Request::Discard(segments(chain, memory, payload, disk)?))
        }
        abi::VIRTIO_BLK_T_WRITE_ZEROES => {
            writable(disk)?;
            Ok(Request::WriteZeroes(segments(
                chain, memory, payload, disk,
            )?))
        }
        other => Err(RequestError::Unsupported(other)),
    }
}

fn writable(disk: Geometry) -> Result<(), RequestError> {
    if disk.read_only {
        Err(RequestError::Invalid)
    } else {
        Ok(())
    }
}

/// The byte position of whole sectors inside the disk.
fn range(sector: u64, length: u64, disk: Geometry) -> Result<u64, RequestError> {
    let offset = sector.checked_mul(SECTOR).ok_or(RequestError::Invalid)?;
    let end = offset.checked_add(length).ok_or(RequestError::Invalid)?;
    if length.is_multiple_of(SECTOR) && end <= disk.size {
        Ok(offset)
    } else {
        Err(RequestError::Invalid)
    }
}

fn segments(
    chain: &Chain,
    memory: &GuestRam,
    payload: u32,
    disk: Geometry,
) -> Result<Vec<(u64, u64)>, RequestError> {
    let payload = payload as usize;
    let count = payload / SEGMENT;
    if count == 0 || count > MAX_SEGMENTS || !payload.is_multiple_of(SEGMENT) {
        return Err(RequestError::Invalid);
    }
    (0..count)
        .map(|index| {
            let mut bytes = [0; SEGMENT];
            if chain.read(memory, HEADER + index * SEGMENT, &mut bytes) != SEGMENT {
                return Err(RequestError::Invalid);
            }
            let [s0, s1, s2, s3, s4, s5, s6, s7, n0, n1, n2, n3, flags @ ..] = bytes;
            let sectors = u32::from_le_bytes([n0, n1, n2, n3]);
            // Bit 0 allows to unmap, which is always done; no other is defined.
            if sectors > MAX_SEGMENT_SECTORS || u32::from_le_bytes(flags) & !1 != 0 {
                return Err(RequestError::Invalid);
            }
            let length = u64::from(sectors) * SECTOR;
            let sector = u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
            Ok((range(sector, length, disk)?, length))
        })
        .collect()
}
