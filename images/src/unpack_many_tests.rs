//! A layer of very many entries: the result is right, and nothing of it takes time that grows
//! faster than they do, or a test like this would not end.

use std::collections::VecDeque;
use std::io::{self, Read};

use hull_layer::{Layer, Limits};

use super::unpack;
use crate::tar::sample::Sample;

/// An archive of very many files that is never in memory.
struct Plenty {
    next: u64,
    files: u64,
    /// What was made and not read yet.
    piece: VecDeque<u8>,
}

impl Plenty {
    /// Names of every kind of directory: one that is full, and very many that hold little.
    fn name(number: u64) -> String {
        match number % 2 {
            0 => format!("full/file-{number}"),
            _ => format!("many/{}/{}/file-{number}", number / 1000, number / 10),
        }
    }
}

impl Read for Plenty {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() && self.next <= self.files {
            let end = self.next + 500;
            let mut sample = Sample::default();
            for number in self.next..end.min(self.files) {
                let name = Plenty::name(number);
                sample = match number % 10 {
                    0 => sample.file(&name, name.as_bytes()),
                    1 => sample.entry(b'2', &name, "target", b""),
                    2 => sample.entry(b'1', &name, &Plenty::name(number - 2), b""),
                    _ => sample.file(&name, b""),
                };
            }
            let mut bytes = sample.end();
            if end <= self.files {
                // Its end is not the archive's.
                bytes.truncate(bytes.len() - 1024);
            }
            self.next = end;
            self.piece.extend(bytes);
        }
        self.piece.read(buffer)
    }
}

#[test]
fn a_layer_may_have_very_many_entries() {
    const FILES: u64 = 100_000;
    let archive = Plenty {
        next: 0,
        files: FILES,
        piece: VecDeque::new(),
    };
    let out = tempfile::tempfile().unwrap();
    let summary = unpack(archive, out.try_clone().unwrap(), Limits::default()).unwrap();
    let directories = 2 + FILES / 1000 + FILES / 10;
    assert_eq!(summary.entries, FILES + directories);
    let layer = Layer::open(out).unwrap();
    layer.verify().unwrap();
    // One in ten is another's second name.
    assert_eq!(layer.inodes(), 1 + FILES + directories - FILES / 10);
    let full = layer.resolve(b"full").unwrap();
    assert_eq!(layer.entries(full, 0).count() as u64, FILES / 2);
    for number in (0..FILES).step_by(101) {
        let name = Plenty::name(number);
        let ino = layer.resolve(name.as_bytes()).unwrap();
        let attr = layer.attr(ino).unwrap();
        match number % 10 {
            0 => {
                let mut contents = vec![0; name.len()];
                layer.read_at(ino, 0, &mut contents).unwrap();
                assert_eq!((contents, attr.nlink), (name.into_bytes(), 2));
            }
            1 => assert_eq!(layer.readlink(ino).unwrap(), b"target"),
            2 => assert_eq!(
                Some(ino),
                layer.resolve(Plenty::name(number - 2).as_bytes())
            ),
            _ => assert_eq!((attr.size, attr.nlink), (0, 1)),
        }
    }
}
