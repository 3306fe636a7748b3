//! Pure: the bytes of a FUSE request -> [`Request`], or why they are none.

use super::abi::{IN_HEADER, NAME_MAX, opcode};

/// As much of a request as is ever looked at: the longest is a name behind fixed fields. Longer
/// ones (writes) are refused by their opcode, batches of forgotten nodes are not read.
pub const MAX_INPUT: usize = IN_HEADER + 64 + NAME_MAX + 1;

/// A request to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// What the reply is matched by.
    pub unique: u64,
    /// The node it is about; checked by the backend.
    pub node: u64,
    /// What is wanted.
    pub operation: Operation<'a>,
}

/// What can be wanted. File handles are ignored: none are given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are those of the kernel's header")]
pub enum Operation<'a> {
    Init {
        major: u32,
        minor: u32,
        max_readahead: u32,
        features: u64,
    },
    Destroy,
    Lookup {
        name: &'a [u8],
    },
    GetAttr,
    ReadLink,
    Read {
        offset: u64,
        size: u32,
    },
    ReadDir {
        offset: u64,
        size: u32,
        detail: Detail,
    },
    StatFs,
    GetXattr {
        name: &'a [u8],
        size: u32,
    },
    ListXattr {
        size: u32,
    },
    Seek {
        offset: u64,
        seek: hull_layer::Seek,
    },
    /// Closing what was never opened.
    Release,
    /// Forgets and interrupts: nothing to do and nothing to say.
    Silent,
    /// Anything that would change a layer.
    Modify,
    Ioctl,
    /// Not known, or without a purpose on immutable files: Linux does not ask again.
    Unsupported,
}

/// What a directory's listing tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Names and types.
    Names,
    /// What a lookup of each name would tell, too.
    Attributes,
}

/// Why bytes are no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// There is no whole header, or it claims more than there is: no reply can be matched to it.
    #[error("FUSE request without a sound header")]
    Header,
    /// The arguments are too short, or a name is empty, too long or without an end.
    #[error("FUSE request {unique} with malformed arguments")]
    Arguments {
        /// What the reply is matched by.
        unique: u64,
    },
}

impl<'a> Request<'a> {
    /// Decodes a request of `total` bytes, of which `input` has the first [`MAX_INPUT`].
    ///
    /// # Errors
    /// The bytes are no request.
    pub fn parse(input: &'a [u8], total: u32) -> Result<Self, RequestError> {
        let mut header = Fields(input);
        let sound = (|| {
            let length = header.u32()?;
            let opcode = header.u32()?;
            let unique = header.u64()?;
            let node = header.u64()?;
            header.skip(16)?; // uid, gid, pid, total_extlen, padding
            let fits = length as usize >= IN_HEADER && length <= total;
            fits.then_some((length, opcode, unique, node))
        })();
        let (length, opcode, unique, node) = sound.ok_or(RequestError::Header)?;
        let arguments = input
            .get(IN_HEADER..input.len().min(length as usize))
            .unwrap_or_default();
        let operation = operation(opcode, arguments).ok_or(RequestError::Arguments { unique })?;
        Ok(Self {
            unique,
            node,
            operation,
        })
    }
}

fn operation(opcode: u32, arguments: &[u8]) -> Option<Operation<'_>> {
    let mut fields = Fields(arguments);
    Some(match opcode {
        opcode::INIT => {
            let (major, minor) = (fields.u32()?, fields.u32()?);
            let max_readahead = fields.u32()?;
            let low = fields.u32()?;
            // Kernels before 7.36 end here.
            let high = fields.u32().unwrap_or(0);
            let features = u64::from(low) | u64::from(high) << 32;
            Operation::Init {
                major,
                minor,
                max_readahead,
                features,
            }
        }
        opcode::DESTROY => Operation::Destroy,
        opcode::LOOKUP => Operation::Lookup {
            name: fields.name()?,
        },
        opcode::GETATTR => Operation::GetAttr,
        opcode::READLINK => Operation::ReadLink,
        opcode::READ => {
            let (offset, size) = fields.read()?;
            Operation::Read { offset, size }
        }
        opcode::READDIR => {
            let (offset, size) = fields.read()?;
            Operation::ReadDir {
                offset,
                size,
                detail: Detail::Names,
            }
        }
        opcode::READDIRPLUS => {
            let (offset, size) = fields.read()?;
            Operation::ReadDir {
                offset,
                size,
                detail: Detail::Attributes,
            }
        }
        opcode::STATFS => Operation::StatFs,
        opcode::GETXATTR => {
            let size = fields.u32()?;
            fields.skip(4)?;
            Operation::GetXattr {
                name: fields.name()?,
                size,
            }
        }
        opcode::LISTXATTR => Operation::ListXattr {
            size: fields.u32()?,
        },
        opcode::LSEEK => {
            fields.skip(8)?; // fh
            let offset = fields.u64()?;
            let seek = match fields.u32()?.cast_signed() {
                libc::SEEK_DATA => hull_layer::Seek::Data,
                libc::SEEK_HOLE => hull_layer::Seek::Hole,
                _ => return None,
            };
            Operation::Seek { offset, seek }
        }
        opcode::RELEASE | opcode::RELEASEDIR => Operation::Release,
        opcode::FORGET | opcode::BATCH_FORGET | opcode::INTERRUPT => Operation::Silent,
        opcode::SETATTR
        | opcode::SYMLINK
        | opcode::MKNOD
        | opcode::MKDIR
        | opcode::UNLINK
        | opcode::RMDIR
        | opcode::RENAME
        | opcode::RENAME2
        | opcode::LINK
        | opcode::WRITE
        | opcode::SETXATTR
        | opcode::REMOVEXATTR
        | opcode::CREATE
        | opcode::TMPFILE
        | opcode::FALLOCATE
        | opcode::COPY_FILE_RANGE => Operation::Modify,
        opcode::IOCTL => Operation::Ioctl,
        // OPEN and OPENDIR: files need none. ACCESS: Linux checks permissions itself. FLUSH,
        // FSYNC, FSYNCDIR, SYNCFS: nothing is ever dirty. STATX: layers have no birth times.
        _ => Operation::Unsupported,
    })
}

/// Little-endian fields, one after the other; `None` once they run out.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn u32(&mut self) -> Option<u32> {
        let (value, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_le_bytes(*value))
    }

    fn u64(&mut self) -> Option<u64> {
        let (value, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*value))
    }

    fn skip(&mut self, length: usize) -> Option<()> {
        self.0 = self.0.get(length..)?;
        Some(())
    }

    /// `struct fuse_read_in`, as far as it matters.
    fn read(&mut self) -> Option<(u64, u32)> {
        self.skip(8)?; // fh
        Some((self.u64()?, self.u32()?))
    }

    /// A name with its end.
    fn name(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|&byte| byte == 0)?;
        let name = &self.0[..end];
        (1..=NAME_MAX).contains(&end).then_some(name)
    }
}

#[cfg(test)]
mod tests;
