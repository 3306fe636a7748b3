//! Pure: packet headers (virtio 1.2, 5.10.6).

/// The host's address.
pub const HOST_CID: u64 = 2;
/// The guest's. Each VM has a device of its own, so all have the same.
pub const GUEST_CID: u64 = 3;

const STREAM: u16 = 1;

/// What a packet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Op {
    /// Open a connection.
    Request = 1,
    /// It is open.
    Response = 2,
    /// It is over, or never was.
    Reset = 3,
    /// One side will not send, or not receive, any more.
    Shutdown = 4,
    /// Bytes.
    Data = 5,
    /// How much room there is.
    CreditUpdate = 6,
    /// How much room is there?
    CreditRequest = 7,
}

/// `Shutdown`: the sender will receive no more.
pub const SHUTDOWN_RECEIVE: u32 = 1;
/// `Shutdown`: the sender will send no more.
pub const SHUTDOWN_SEND: u32 = 2;

/// A packet's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// From whom.
    pub src_cid: u64,
    /// To whom.
    pub dst_cid: u64,
    /// The sender's port.
    pub src_port: u32,
    /// The receiver's port.
    pub dst_port: u32,
    /// Bytes that follow.
    pub length: u32,
    /// What for.
    pub op: Op,
    /// See `SHUTDOWN_*`.
    pub flags: u32,
    /// The sender's room for received bytes.
    pub buf_alloc: u32,
    /// How many received bytes the sender has consumed, ever.
    pub fwd_cnt: u32,
}

/// Why bytes are not a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Not a stream.
    #[error("socket type {0} is not a stream")]
    Kind(u16),
    /// An operation that does not exist.
    #[error("unknown operation {0}")]
    Op(u16),
}

impl Header {
    /// Bytes of a header.
    pub const SIZE: usize = 44;

    /// Reads a header.
    ///
    /// # Errors
    /// See [`HeaderError`].
    pub fn decode(bytes: &[u8; Self::SIZE]) -> Result<Self, HeaderError> {
        let u16_at = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let u32_at = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        let kind = u16_at(28);
        if kind != STREAM {
            return Err(HeaderError::Kind(kind));
        }
        let op = match u16_at(30) {
            1 => Op::Request,
            2 => Op::Response,
            3 => Op::Reset,
            4 => Op::Shutdown,
            5 => Op::Data,
            6 => Op::CreditUpdate,
            7 => Op::CreditRequest,
            other => return Err(HeaderError::Op(other)),
        };
        Ok(Self {
            src_cid: u64_at(0),
            dst_cid: u64_at(8),
            src_port: u32_at(16),
            dst_port: u32_at(20),
            length: u32_at(24),
            op,
            flags: u32_at(32),
            buf_alloc: u32_at(36),
            fwd_cnt: u32_at(40),
        })
    }

    /// Writes a header.
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut out = [0; Self::SIZE];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &self.src_cid.to_le_bytes());
        put(8, &self.dst_cid.to_le_bytes());
        put(16, &self.src_port.to_le_bytes());
        put(20, &self.dst_port.to_le_bytes());
        put(24, &self.length.to_le_bytes());
        put(28, &STREAM.to_le_bytes());
        put(30, &(self.op as u16).to_le_bytes());
        put(32, &self.flags.to_le_bytes());
        put(36, &self.buf_alloc.to_le_bytes());
        put(40, &self.fwd_cnt.to_le_bytes());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whatever_decodes_encodes_to_the_same_bytes(
            mut bytes in any::<[u8; 32]>(), rest in any::<[u8; 12]>(), op in 0u16..9, kind in 0u16..3,
        ) {
            bytes[28..30].copy_from_slice(&kind.to_le_bytes());
            bytes[30..32].copy_from_slice(&op.to_le_bytes());
            let mut all = [0; Header::SIZE];
            all[..32].copy_from_slice(&bytes);
            all[32..].copy_from_slice(&rest);
            match Header::decode(&all) {
                Ok(header) => prop_assert_eq!(header.encode(), all),
                Err(_) => prop_assert!(kind != STREAM || !(1..=7).contains(&op)),
            }
        }
    }
}
