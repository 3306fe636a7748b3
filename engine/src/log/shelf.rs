//! The files of one log, on disk: which there are, and how one follows another.
//!
//! ```text
//!  ID-json.log.2.gz   ID-json.log.1   ID-json.log      ID-json.log.next
//!  oldest             full            being written    the one to follow, until it has its name
//! ```
//!
//! A place in the log is a number of bytes since its beginning, over all files, also those that
//! are gone: a file's first line says how much was before it ([`super::line::Seam`]). A file that
//! follows has its first lines before it has its name, so whoever dies in between leaves either
//! the old state or the new.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use super::Line;
use super::settings::Rotation;

/// The files of one log.
#[derive(Debug)]
pub(crate) struct Shelf {
    current: PathBuf,
    pub(crate) rotation: Rotation,
    /// Names change, and are looked for, only by whoever holds it.
    names: Mutex<()>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    path: PathBuf,
    /// 0 is the one that is written.
    number: u32,
    compressed: bool,
    /// The place of its first byte.
    start: u64,
}

/// An open file of a log. It stays readable whatever becomes of its name.
#[derive(Debug)]
pub(crate) struct OpenPart {
    pub(crate) start: u64,
    file: File,
    compressed: bool,
}

impl OpenPart {
    /// A file that has been opened before, and is not compressed.
    pub(crate) fn of(start: u64, file: File) -> Self {
        Self {
            start,
            file,
            compressed: false,
        }
    }

    pub(crate) fn is_compressed(&self) -> bool {
        self.compressed
    }

    /// Its content as a file; what was compressed is unpacked into one that has no name.
    pub(crate) fn into_plain(self, dir: &Path) -> io::Result<File> {
        if !self.compressed {
            return Ok(self.file);
        }
        let mut plain = File::from(rustix::fs::open(
            dir,
            rustix::fs::OFlags::TMPFILE | rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        )?);
        io::copy(&mut GzDecoder::new(self.file), &mut plain)?;
        plain.seek(SeekFrom::Start(0))?;
        Ok(plain)
    }
}

impl Shelf {
    /// The log whose current file has this path.
    pub(crate) fn new(current: PathBuf, rotation: Rotation) -> Self {
        Self {
            current,
            rotation,
            names: Mutex::new(()),
        }
    }

    /// Ends what an earlier engine left half done.
    pub(crate) fn mend(&self) -> io::Result<()> {
        let _held = self.hold();
        let next = self.beside(".next");
        // Without the current file the next one was about to get its name.
        match self.current.try_exists()? {
            true => gone(fs::remove_file(&next))?,
            false => gone(fs::rename(&next, &self.current))?,
        }
        gone(fs::remove_file(self.beside(".packing")))?;
        gone(cut_off_torn_line(&self.current))
    }

    pub(crate) fn current(&self) -> &Path {
        &self.current
    }

    /// Where its files are.
    pub(crate) fn dir(&self) -> &Path {
        self.current.parent().unwrap_or(Path::new("/"))
    }

    /// The place of the current file's first byte.
    pub(crate) fn start(&self) -> io::Result<u64> {
        let _held = self.hold();
        let parts = self.parts()?;
        if let Some(part) = parts.last().filter(|part| part.number == 0) {
            return Ok(part.start);
        }
        // The current file is gone, and not by our doing: what comes follows what is there.
        match parts.last() {
            None => Ok(0),
            Some(last) if last.compressed => {
                let length = io::copy(
                    &mut GzDecoder::new(File::open(&last.path)?),
                    &mut io::sink(),
                )?;
                Ok(last.start.saturating_add(length))
            }
            Some(last) => Ok(last.start.saturating_add(fs::metadata(&last.path)?.len())),
        }
    }

    /// The place after the last byte.
    pub(crate) fn end(&self) -> io::Result<u64> {
        let length = match fs::metadata(&self.current) {
            Ok(metadata) => metadata.len(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => 0,
            Err(e) => return Err(e),
        };
        Ok(self.start()?.saturating_add(length))
    }

    /// The files that have something at or after a place, oldest first.
    pub(crate) fn open_from(&self, at: u64) -> io::Result<Vec<OpenPart>> {
        let _held = self.hold();
        let parts = self.parts()?;
        let later = parts.partition_point(|part| part.start <= at);
        let first = later.saturating_sub(1);
        let opened = parts.into_iter().skip(first).map(|part| {
            Ok(OpenPart {
                start: part.start,
                file: File::open(&part.path)?,
                compressed: part.compressed,
            })
        });
        opened.collect()
    }

    /// Begins the next file with these lines, and lets the oldest go where there are too many.
    pub(crate) fn rotate(&self, first_lines: &[u8]) -> io::Result<File> {
        let _held = self.hold();
        let next = self.beside(".next");
        let mut options = File::options();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&next)?;
        file.write_all(first_lines)?;
        let most = self.rotation.files;
        for part in self.named()? {
            let number = part.number.saturating_add(1);
            match number < most {
                true => fs::rename(&part.path, self.numbered(number, part.compressed))?,
                // The current file goes when the next one takes its name.
                false if part.number > 0 => fs::remove_file(&part.path)?,
                false => {}
            }
        }
        fs::rename(&next, &self.current)?;
        Ok(file)
    }

    /// Compresses the files that are full. The log may be written and read meanwhile.
    pub(crate) fn pack(&self) -> io::Result<()> {
        let packing = self.beside(".packing");
        loop {
            let (full, start) = {
                let _held = self.hold();
                let parts = self.parts()?;
                let full = parts.iter().find(|p| p.number > 0 && !p.compressed);
                let Some(full) = full else { return Ok(()) };
                (File::open(&full.path)?, full.start)
            };
            let mut options = File::options();
            let packed = options
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&packing)?;
            let mut encoder = GzEncoder::new(packed, Compression::default());
            io::copy(&mut BufReader::new(full), &mut encoder)?;
            encoder.finish()?;
            let _held = self.hold();
            // It may have got another name meanwhile, or be gone.
            let parts = self.parts()?;
            match parts.iter().find(|p| p.start == start && p.number > 0) {
                Some(part) => {
                    fs::rename(&packing, self.numbered(part.number, true))?;
                    fs::remove_file(&part.path)?;
                }
                None => fs::remove_file(&packing)?,
            }
        }
    }

    fn hold(&self) -> MutexGuard<'_, ()> {
        // It guards names on disk, which are whole at every step.
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The files with their places, oldest first. One that says nothing has none, and is left out.
    fn parts(&self) -> io::Result<Vec<Part>> {
        let mut parts = Vec::new();
        for mut part in self.named()? {
            if let Some(start) = place(&part)? {
                part.start = start;
                parts.push(part);
            }
        }
        // A place that does not rise is another program's doing.
        parts.dedup_by(|later, earlier| later.start < earlier.start);
        Ok(parts)
    }

    /// The files, oldest first, before their places are known.
    fn named(&self) -> io::Result<Vec<Part>> {
        let mut parts = Vec::new();
        let Some(name) = self.current.file_name().and_then(|name| name.to_str()) else {
            return Ok(parts);
        };
        let entries = match fs::read_dir(self.dir()) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(parts),
            Err(e) => return Err(e),
        };
        for entry in entries {
            let entry = entry?;
            let file_name = entry.file_name();
            let Some(suffix) = file_name.to_str().and_then(|f| f.strip_prefix(name)) else {
                continue;
            };
            let (suffix, compressed) = match suffix.strip_suffix(".gz") {
                Some(suffix) => (suffix, true),
                None => (suffix, false),
            };
            let number = match suffix.strip_prefix('.') {
                Some(number) => number.parse().ok().filter(|number| *number > 0),
                None => (suffix.is_empty() && !compressed).then_some(0),
            };
            if let Some(number) = number {
                parts.push(Part {
                    path: entry.path(),
                    number,
                    compressed,
                    start: 0,
                });
            }
        }
        parts.sort_by_key(|part| (std::cmp::Reverse(part.number), !part.compressed));
        // Compressed, and not yet removed as it was before.
        let mut twice = Vec::new();
        parts.dedup_by(|plain, packed| {
            let same = plain.number == packed.number;
            if same {
                twice.push(plain.path.clone());
            }
            same
        });
        twice
            .iter()
            .try_for_each(|path| gone(fs::remove_file(path)))?;
        Ok(parts)
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.current.clone().into_os_string();
        name.push(suffix);
        name.into()
    }

    fn numbered(&self, number: u32, compressed: bool) -> PathBuf {
        let packed = if compressed { ".gz" } else { "" };
        self.beside(&format!(".{number}{packed}"))
    }
}

/// Where a file's first byte is, by its first line.
fn place(part: &Part) -> io::Result<Option<u64>> {
    let file = File::open(&part.path)?;
    let mut first = Vec::new();
    let limit = super::reader::LONGEST as u64;
    let read = match part.compressed {
        true => BufReader::new(GzDecoder::new(file).take(limit)).read_until(b'\n', &mut first),
        false => BufReader::new(file.take(limit)).read_until(b'\n', &mut first),
    };
    match read {
        Ok(0) => return Ok(None),
        Ok(_) => {}
        // Not ours, or damaged: nothing that can be read.
        Err(_) if part.compressed => return Ok(None),
        Err(error) => return Err(error),
    }
    let seam = Line::parse(&first).and_then(|line| line.seam);
    Ok(Some(seam.map_or(0, |seam| seam.at)))
}

/// Whoever wrote it may have died within a line.
fn cut_off_torn_line(path: &Path) -> io::Result<()> {
    let file = File::options().read(true).write(true).open(path)?;
    let length = file.metadata()?.len();
    let from = length.saturating_sub(super::reader::LONGEST as u64);
    let mut last = [0];
    if length == 0 || (file.read_at(&mut last, length - 1)? == 1 && last == *b"\n") {
        return Ok(());
    }
    let mut bytes = vec![0; usize::try_from(length - from).unwrap_or_default()];
    file.read_exact_at(&mut bytes, from)?;
    let whole = bytes
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |at| at + 1);
    file.set_len(from + whole as u64)
}

fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests;
