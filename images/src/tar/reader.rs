//! The archive as a sequence of entries, each followed by its contents.

use std::io::{self, Read};

use hull_layer::{DeviceKind, Meta, Timestamp};

use super::header::{self, Header};
use super::pax::{self, Overrides};
use super::sparse::{Map, Next, Region};
use super::{BLOCK, MAX_EXTENSION, TarError};

/// Regions of one sparse file: 16 MiB of them in memory.
const MAX_REGIONS: usize = 1 << 20;

/// An entry of an archive, its extension headers applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub path: Vec<u8>,
    pub kind: Kind,
    pub meta: Meta,
    /// Bytes of a file, holes included; 0 for what is not a file.
    pub size: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    File,
    Directory,
    Symlink(Vec<u8>),
    HardLink(Vec<u8>),
    Device {
        kind: DeviceKind,
        major: u32,
        minor: u32,
    },
}

/// A piece of a file's contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment {
    /// That many bytes were put at the start of the buffer.
    Data(usize),
    /// That many zeroes, which are not in the archive.
    Hole(u64),
    End,
}

/// Reads an archive front to back. After an error it is not to be used again.
#[derive(Debug)]
pub struct Reader<R> {
    inner: R,
    /// Of the current entry: bytes that are still in the archive, and the padding behind them.
    stored: u64,
    padding: u64,
    map: Map,
}

/// Extension headers that were met before the header they are about.
#[derive(Default)]
struct Extensions {
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    pax: Overrides,
}

impl<R: Read> Reader<R> {
    pub fn new(inner: R) -> Reader<R> {
        Reader {
            inner,
            stored: 0,
            padding: 0,
            map: Map::default(),
        }
    }

    /// The stream, positioned behind what was read of it.
    pub fn into_inner(self) -> R {
        self.inner
    }

    /// The next entry; what was not read of the one before is skipped.
    pub fn entry(&mut self) -> Result<Option<Entry>, TarError> {
        let mut extensions = Extensions::default();
        loop {
            self.skip_rest()?;
            let Some(block) = self.header_block()? else {
                return Ok(None);
            };
            let header = header::parse(&block)?;
            self.set_stored(header.size)?;
            match header.flag {
                b'x' => extensions.pax = pax::parse(&self.extension()?)?,
                b'L' => extensions.long_name = Some(self.long_text()?),
                b'K' => extensions.long_link = Some(self.long_text()?),
                // Global pax records (a comment by git) and GNU's volume label are about no file.
                b'g' | b'V' => {}
                _ => return self.assemble(header, extensions).map(Some),
            }
        }
    }

    /// The next piece of the current entry's contents.
    pub fn segment(&mut self, buffer: &mut [u8]) -> Result<Segment, TarError> {
        match self.map.next() {
            Next::End => Ok(Segment::End),
            Next::Hole(length) => {
                self.map.advance(length);
                Ok(Segment::Hole(length))
            }
            Next::Data(length) => {
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                let wanted = length.min(buffer.len());
                let target = buffer.get_mut(..wanted).unwrap_or_default();
                let count = read_some(&mut self.inner, target)?;
                if count == 0 && wanted > 0 {
                    return Err(TarError::Truncated);
                }
                self.stored = self.stored.saturating_sub(count as u64);
                self.map.advance(count as u64);
                Ok(Segment::Data(count))
            }
        }
    }

    fn set_stored(&mut self, stored: u64) -> Result<(), TarError> {
        let block = BLOCK as u64;
        let padded = stored.checked_next_multiple_of(block);
        self.padding = padded.ok_or(TarError::Header)? - stored;
        self.stored = stored;
        Ok(())
    }

    fn skip_rest(&mut self) -> Result<(), TarError> {
        let rest = self.stored.saturating_add(self.padding);
        self.map = Map::default();
        if rest == 0 {
            return Ok(());
        }
        let skipped = io::copy(&mut (&mut self.inner).take(rest), &mut io::sink())?;
        if skipped < rest {
            return Err(TarError::Truncated);
        }
        self.stored = 0;
        self.padding = 0;
        Ok(())
    }

    /// The next header, or `None` at the end: two blocks of zeroes, or no more bytes.
    fn header_block(&mut self) -> Result<Option<[u8; BLOCK]>, TarError> {
        let Some(block) = self.block()? else {
            return Ok(None);
        };
        if block != [0; BLOCK] {
            return Ok(Some(block));
        }
        match self.block()? {
            Some(second) if second != [0; BLOCK] => Err(TarError::Header),
            _ => Ok(None),
        }
    }

    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, TarError> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match read_some(&mut self.inner, rest)? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(TarError::Truncated),
                count => filled += count,
            }
        }
        Ok(Some(block))
    }

    /// A block of the current entry's contents.
    fn content_block(&mut self) -> Result<[u8; BLOCK], TarError> {
        let rest = self.stored.checked_sub(BLOCK as u64);
        self.stored = rest.ok_or(TarError::Sparse)?;
        self.block()?.ok_or(TarError::Truncated)
    }

    /// The whole contents of an extension header.
    fn extension(&mut self) -> Result<Vec<u8>, TarError> {
        if self.stored > MAX_EXTENSION {
            return Err(TarError::ExtensionTooLong);
        }
        let mut contents = Vec::new();
        let count = (&mut self.inner)
            .take(self.stored)
            .read_to_end(&mut contents)?;
        if (count as u64) < self.stored {
            return Err(TarError::Truncated);
        }
        self.stored = 0;
        Ok(contents)
    }

    fn long_text(&mut self) -> Result<Vec<u8>, TarError> {
        let mut text = self.extension()?;
        let end = text.iter().position(|&byte| byte == 0);
        text.truncate(end.unwrap_or(text.len()));
        Ok(text)
    }

    fn assemble(&mut self, header: Header, extensions: Extensions) -> Result<Entry, TarError> {
        let Extensions {
            long_name,
            long_link,
            pax,
        } = extensions;
        let path = pax.sparse.name.clone().or(long_name).or(pax.path.clone());
        let path = path.unwrap_or(header.name);
        let link = long_link.or(pax.link.clone()).unwrap_or(header.link);
        let device = |kind| Kind::Device {
            kind,
            major: header.major,
            minor: header.minor,
        };
        let kind = match header.flag {
            // Version 7 had no flag for directories.
            b'0' | 0 if path.ends_with(b"/") => Kind::Directory,
            b'0' | 0 | b'7' | b'S' => Kind::File,
            b'1' => Kind::HardLink(link),
            b'2' => Kind::Symlink(link),
            b'3' => device(DeviceKind::Char),
            b'4' => device(DeviceKind::Block),
            // A GNU incremental dump's list of names is its contents.
            b'5' | b'D' => Kind::Directory,
            b'6' => device(DeviceKind::Fifo),
            flag => return Err(TarError::Type(flag)),
        };
        let stored = match kind {
            Kind::File => pax.size.unwrap_or(header.size),
            Kind::Directory if header.flag == b'D' => header.size,
            // What a size means there differs between writers; as in Go, nothing follows.
            _ => 0,
        };
        self.set_stored(stored)?;
        if kind == Kind::File {
            self.map = self.contents_map(header.sparse, &pax)?;
        }
        let mtime = Timestamp {
            secs: header.mtime,
            nanos: 0,
        };
        let id = |id: u64| u32::try_from(id).map_err(|_| TarError::Header);
        Ok(Entry {
            path,
            kind,
            size: self.map.size(),
            meta: Meta {
                mode: header.mode,
                uid: id(pax.uid.unwrap_or(header.uid))?,
                gid: id(pax.gid.unwrap_or(header.gid))?,
                mtime: pax.mtime.unwrap_or(mtime),
                xattrs: pax.xattrs,
            },
        })
    }

    fn contents_map(
        &mut self,
        old: Option<header::OldSparse>,
        pax: &Overrides,
    ) -> Result<Map, TarError> {
        if let Some(mut old) = old {
            // The blocks that continue the header stand before the contents, outside their size.
            while old.continues {
                let block = self.block()?.ok_or(TarError::Truncated)?;
                old.regions.append(&mut header::regions(&block[..504])?);
                old.continues = block[504] != 0;
                if old.regions.len() > MAX_REGIONS {
                    return Err(TarError::Sparse);
                }
            }
            return Map::sparse(old.regions, old.size, self.stored);
        }
        let records = &pax.sparse;
        match (records.major, records.minor, &records.regions) {
            (Some(1), Some(0), _) => {
                let size = records.real_size.ok_or(TarError::Sparse)?;
                let regions = self.stored_regions()?;
                Map::sparse(regions, size, self.stored)
            }
            (None | Some(0), _, Some(regions)) => {
                let size = records.size.or(records.real_size);
                let size = size.ok_or(TarError::Sparse)?;
                Map::sparse(regions.clone(), size, self.stored)
            }
            // A file of nothing but a hole, in formats 0.0 and 0.1.
            (None | Some(0), _, None) if records.size.is_some() && self.stored == 0 => {
                Map::sparse(Vec::new(), records.size.unwrap_or_default(), 0)
            }
            (None, None, None) => Ok(Map::dense(self.stored)),
            _ => Err(TarError::Sparse),
        }
    }

    /// Format 1.0 puts the map before the contents: decimal numbers, one a line, then padding.
    fn stored_regions(&mut self) -> Result<Vec<Region>, TarError> {
        let mut numbers = Lines::default();
        let count = numbers.next(self)?;
        let count = usize::try_from(count)
            .ok()
            .filter(|&count| count <= MAX_REGIONS)
            .ok_or(TarError::Sparse)?;
        let mut regions = Vec::new();
        for _ in 0..count {
            regions.push(Region {
                offset: numbers.next(self)?,
                length: numbers.next(self)?,
            });
        }
        Ok(regions)
    }
}

/// Decimal lines in the blocks of an entry's contents.
#[derive(Default)]
struct Lines {
    block: Vec<u8>,
    at: usize,
}

impl Lines {
    fn next<R: Read>(&mut self, reader: &mut Reader<R>) -> Result<u64, TarError> {
        let mut digits = Vec::new();
        loop {
            let Some(&byte) = self.block.get(self.at) else {
                self.block = reader.content_block()?.to_vec();
                self.at = 0;
                continue;
            };
            self.at += 1;
            match byte {
                b'\n' => return pax::decimal(&digits).ok_or(TarError::Sparse),
                _ if digits.len() < 20 => digits.push(byte),
                _ => return Err(TarError::Sparse),
            }
        }
    }
}

fn read_some(reader: &mut impl Read, buffer: &mut [u8]) -> Result<usize, TarError> {
    loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return Ok(result?),
        }
    }
}
