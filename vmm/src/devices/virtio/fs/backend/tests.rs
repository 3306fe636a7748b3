//! Whole messages: the bytes of a request against real layers, and the bytes of the reply.

use std::os::unix::fs::FileExt;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::super::abi::{ROOT_ID, opcode};
use super::super::sample::{self, files, large, layer, open, put, read, request, seek, xattr};
use super::*;

const ROOM: usize = 1 << 20;
const FOREVER: u64 = 1 << 32;

/// A served pair of layers.
struct Served(Layers);

impl Served {
    fn new() -> Served {
        Served(open(files()))
    }

    fn ask_within(
        &self,
        room: usize,
        opcode: u32,
        node: u64,
        arguments: &[u8],
    ) -> Result<Vec<u8>, Errno> {
        let bytes = request(opcode, 1, node, arguments);
        let request = Request::parse(&bytes, bytes.len() as u32).expect("a sound request");
        let mut body = Body::default();
        match self.0.answer(&request, room, &mut body) {
            Reply::Silent => panic!("no reply to opcode {opcode}"),
            Reply::Error(errno) => Err(errno),
            Reply::Body => Ok(body.bytes().to_vec()),
            Reply::Contents {
                file,
                offset,
                length,
            } => {
                let mut bytes = vec![0; length];
                file.read_exact_at(&mut bytes, offset).unwrap();
                Ok(bytes)
            }
        }
    }

    fn ask(&self, opcode: u32, node: u64, arguments: &[u8]) -> Result<Vec<u8>, Errno> {
        self.ask_within(ROOM, opcode, node, arguments)
    }

    fn look(&self, node: u64, name: &str) -> Entry {
        let name = [name.as_bytes(), b"\0"].concat();
        Entry::decode(&self.ask(opcode::LOOKUP, node, &name).unwrap())
    }

    /// The node at a path below the mount.
    fn node(&self, path: &str) -> u64 {
        path.split('/').fold(ROOT_ID, |node, name| {
            let entry = self.look(node, name);
            assert_ne!(entry.node, 0, "{name} of {path} is missing");
            entry.node
        })
    }

    /// All of a directory in pieces of so many bytes.
    fn list(&self, opcode: u32, node: u64, size: u32) -> Vec<Dirent> {
        let mut all = Vec::<Dirent>::new();
        loop {
            let next = all.last().map_or(0, |last| last.next);
            let bytes = self.ask(opcode, node, &read(next, size)).unwrap();
            assert!(bytes.len() <= size as usize);
            if bytes.is_empty() {
                return all;
            }
            all.extend(Dirent::decode_all(opcode, &bytes));
        }
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// `struct fuse_attr`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stat {
    ino: u64,
    size: u64,
    blocks: u64,
    times: [u64; 3],
    nanos: [u32; 3],
    mode: u32,
    nlink: u32,
    owner: (u32, u32),
    rdev: u32,
}

impl Stat {
    fn decode(bytes: &[u8]) -> Stat {
        assert_eq!(bytes.len(), 88);
        Stat {
            ino: u64_at(bytes, 0),
            size: u64_at(bytes, 8),
            blocks: u64_at(bytes, 16),
            times: [24, 32, 40].map(|at| u64_at(bytes, at)),
            nanos: [48, 52, 56].map(|at| u32_at(bytes, at)),
            mode: u32_at(bytes, 60),
            nlink: u32_at(bytes, 64),
            owner: (u32_at(bytes, 68), u32_at(bytes, 72)),
            rdev: u32_at(bytes, 76),
        }
    }
}

/// `struct fuse_entry_out`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    node: u64,
    entry_valid: u64,
    attr_valid: u64,
    stat: Stat,
}

impl Entry {
    fn decode(bytes: &[u8]) -> Entry {
        assert_eq!(bytes.len(), 128);
        assert_eq!(u64_at(bytes, 8), 0, "generation");
        Entry {
            node: u64_at(bytes, 0),
            entry_valid: u64_at(bytes, 16),
            attr_valid: u64_at(bytes, 24),
            stat: Stat::decode(&bytes[40..]),
        }
    }
}

#[derive(Debug)]
struct Dirent {
    entry: Option<Entry>,
    ino: u64,
    next: u64,
    kind: u32,
    name: String,
}

impl Dirent {
    fn decode_all(opcode: u32, mut bytes: &[u8]) -> Vec<Dirent> {
        let mut all = Vec::new();
        while !bytes.is_empty() {
            let mut entry = None;
            let head = if opcode == opcode::READDIRPLUS {
                128
            } else {
                0
            };
            if head > 0 {
                entry = Some(Entry::decode(&bytes[..head]));
            }
            let dirent = &bytes[head..];
            let length = u32_at(dirent, 16) as usize;
            all.push(Dirent {
                entry,
                ino: u64_at(dirent, 0),
                next: u64_at(dirent, 8),
                kind: u32_at(dirent, 20),
                name: String::from_utf8(dirent[24..24 + length].to_vec()).unwrap(),
            });
            bytes = &bytes[(head + 24 + length).next_multiple_of(8)..];
        }
        all
    }
}

#[test]
fn init_takes_what_is_offered_and_of_use() {
    let offered = !feature::CACHE_SYMLINKS;
    let served = Served::new();
    let reply = served
        .ask(opcode::INIT, 0, &sample::init(7, 41, offered))
        .unwrap();
    assert_eq!(reply.len(), 64);
    assert_eq!((u32_at(&reply, 0), u32_at(&reply, 4)), (7, 40));
    assert_eq!(u32_at(&reply, 8), 131_072);
    let taken = u64::from(u32_at(&reply, 12)) | u64::from(u32_at(&reply, 32)) << 32;
    assert_eq!(taken, WANTED & !feature::CACHE_SYMLINKS);
    assert_eq!(u16::from_le_bytes([reply[28], reply[29]]), 256);
}

#[test]
fn init_refuses_kernels_that_must_open_files() {
    let served = Served::new();
    let ask = |major, minor, features| {
        served
            .ask(opcode::INIT, 0, &sample::init(major, minor, features))
            .map(drop)
    };
    assert_eq!(ask(7, 36, u64::MAX), Ok(()));
    assert_eq!(ask(7, 35, u64::MAX), Err(Errno::PROTO));
    assert_eq!(ask(6, 99, u64::MAX), Err(Errno::PROTO));
    assert_eq!(ask(7, 40, !feature::NO_OPEN_SUPPORT), Err(Errno::PROTO));
    assert_eq!(ask(7, 40, !feature::NO_OPENDIR_SUPPORT), Err(Errno::PROTO));
    assert_eq!(ask(8, 0, 0), Ok(()), "a later kernel asks again");
}

#[test]
fn the_mount_has_a_folder_for_each_layer() {
    let served = Served::new();
    let names = served.list(opcode::READDIR, ROOT_ID, 4096);
    let names = names
        .iter()
        .map(|dirent| dirent.name.as_str())
        .collect::<Vec<_>>();
    assert_eq!(names, [".", "..", "0", "1"]);
    assert_eq!(served.look(ROOT_ID, "0").node, 1 << 40 | 1);
    assert_eq!(served.look(ROOT_ID, "1").node, 2 << 40 | 1);
    for missing in ["2", "00", "+1", "01", "", "a"]
        .iter()
        .filter(|name| !name.is_empty())
    {
        assert_eq!(served.look(ROOT_ID, missing).node, 0, "{missing:?}");
    }
}

#[test]
fn a_mount_without_layers_is_an_empty_directory() {
    let served = Served(open(vec![]));
    assert_eq!(served.list(opcode::READDIRPLUS, ROOT_ID, 4096).len(), 2);
    assert_eq!(served.look(ROOT_ID, "0").node, 0);
}

#[test]
fn lookups_hold_for_ever() {
    let served = Served::new();
    let entry = served.look(served.node("0/etc"), "motd");
    assert_eq!((entry.entry_valid, entry.attr_valid), (FOREVER, FOREVER));
    let secs = 1_700_000_000;
    let expected = Stat {
        ino: entry.node,
        size: 6,
        blocks: 8,
        times: [secs; 3],
        nanos: [7; 3],
        mode: 0o100_640,
        nlink: 2,
        owner: (10, 20),
        rdev: 0,
    };
    assert_eq!(entry.stat, expected);
    let missing = served.look(served.node("0/etc"), "nothing");
    assert_eq!((missing.node, missing.entry_valid), (0, FOREVER));
}

#[test]
fn hard_links_are_one_node() {
    let served = Served::new();
    assert_eq!(served.node("0/etc/motd"), served.node("0/etc/again"));
}

#[test]
fn dots_lead_to_the_node_and_its_parent() {
    let served = Served::new();
    let etc = served.node("0/etc");
    let motd = served.node("0/etc/motd");
    assert_eq!(served.look(etc, ".").node, etc);
    assert_eq!(served.look(motd, ".").node, motd);
    assert_eq!(served.look(etc, "..").node, served.node("0"));
    assert_eq!(served.look(served.node("0"), "..").node, ROOT_ID);
    assert_eq!(served.look(ROOT_ID, "..").node, ROOT_ID);
}

#[test]
fn attributes_are_those_of_the_lookup() {
    let served = Served::new();
    for path in ["0", "0/etc", "0/link", "1/large"] {
        let node = served.node(path);
        let reply = served.ask(opcode::GETATTR, node, &[0; 16]).unwrap();
        assert_eq!(reply.len(), 104);
        assert_eq!(u64_at(&reply, 0), FOREVER);
        let (parent, name) = path.rsplit_once('/').unwrap_or((".", path));
        assert_eq!(
            Stat::decode(&reply[16..]),
            served.look(served.node(parent), name).stat
        );
    }
}

#[test]
fn whiteouts_and_opaque_directories_are_as_overlayfs_wants_them() {
    let served = Served::new();
    let whiteout = served.look(served.node("1"), "large").stat;
    assert_eq!((whiteout.mode & 0o170_000, whiteout.rdev), (0o020_000, 0));
    let etc = served.node("1/etc");
    let opaque = b"trusted.overlay.opaque\0";
    assert_eq!(
        served.ask(opcode::GETXATTR, etc, &xattr(16, opaque)),
        Ok(b"y".to_vec())
    );
}

#[test]
fn attributes_are_given_sized_and_refused() {
    let served = Served::new();
    let etc = served.node("1/etc");
    let get = |node, size, name: &[u8]| served.ask(opcode::GETXATTR, node, &xattr(size, name));
    assert_eq!(get(etc, 4, b"user.color\0"), Ok(b"blue".to_vec()));
    assert_eq!(
        get(etc, 0, b"user.color\0"),
        Ok(vec![4, 0, 0, 0, 0, 0, 0, 0])
    );
    assert_eq!(get(etc, 3, b"user.color\0"), Err(Errno::RANGE));
    assert_eq!(get(etc, 4, b"user.other\0"), Err(Errno::NODATA));
    assert_eq!(get(ROOT_ID, 4, b"user.color\0"), Err(Errno::NODATA));
    let list = |node, size| served.ask(opcode::LISTXATTR, node, &xattr(size, b""));
    let keys = b"trusted.overlay.opaque\0user.color\0";
    assert_eq!(list(etc, 100), Ok(keys.to_vec()));
    assert_eq!(
        list(etc, 0),
        Ok(vec![keys.len() as u8, 0, 0, 0, 0, 0, 0, 0])
    );
    assert_eq!(list(etc, 5), Err(Errno::RANGE));
    assert_eq!(list(ROOT_ID, 100), Ok(vec![]));
    assert_eq!(list(served.node("0/etc"), 100), Ok(vec![]));
}

#[test]
fn layers_without_attributes_are_asked_once() {
    let served = Served(open(files().drain(..1).collect()));
    let reply = served.ask(
        opcode::GETXATTR,
        ROOT_ID,
        &xattr(0, b"security.capability\0"),
    );
    assert_eq!(reply, Err(Errno::NOSYS));
}

#[test]
fn contents_come_from_any_offset() {
    let served = Served::new();
    let (node, large) = (served.node("0/large"), large());
    let get = |offset: usize, size| {
        served
            .ask(opcode::READ, node, &read(offset as u64, size))
            .unwrap()
    };
    assert_eq!(get(0, 131_072), large);
    assert_eq!(get(4096, 4096), large[4096..8192]);
    assert_eq!(get(large.len() - 5, 4096), large[large.len() - 5..]);
    assert!(get(large.len(), 4096).is_empty());
    assert!(get(usize::MAX, u32::MAX).is_empty());
    let within = served
        .ask_within(100, opcode::READ, node, &read(0, 4096))
        .unwrap();
    assert_eq!(within, large[..100]);
}

#[test]
fn only_files_are_read() {
    let served = Served::new();
    let ask = |path: &str| served.ask(opcode::READ, served.node(path), &read(0, 10));
    assert_eq!(ask("0/etc"), Err(Errno::INVAL));
    assert_eq!(ask("0/link"), Err(Errno::INVAL));
    assert_eq!(
        served.ask(opcode::READ, ROOT_ID, &read(0, 10)),
        Err(Errno::ISDIR)
    );
}

#[test]
fn symlinks_give_their_target() {
    let served = Served::new();
    let link = |path: &str| served.ask(opcode::READLINK, served.node(path), b"");
    assert_eq!(link("0/link"), Ok(b"etc/motd".to_vec()));
    assert_eq!(link("0/large"), Err(Errno::INVAL));
    assert_eq!(
        served.ask(opcode::READLINK, ROOT_ID, b""),
        Err(Errno::INVAL)
    );
}

#[test]
fn listings_are_whole_in_pieces_of_any_size() {
    let served = Served::new();
    let node = served.node("0/many");
    let mut expected = vec![".".to_owned(), "..".to_owned()];
    expected.extend((0..100).map(|number| format!("{number:03}")));
    for opcode in [opcode::READDIR, opcode::READDIRPLUS] {
        for size in [160, 200, 1000, 4096, 1 << 20] {
            let all = served.list(opcode, node, size);
            let names = all
                .iter()
                .map(|dirent| dirent.name.clone())
                .collect::<Vec<_>>();
            assert_eq!(names, expected, "opcode {opcode} size {size}");
            assert!(
                all.iter()
                    .zip(1..)
                    .all(|(dirent, next)| dirent.next == next)
            );
        }
        assert_eq!(served.ask(opcode, node, &read(0, 20)), Err(Errno::INVAL));
        assert_eq!(served.ask(opcode, node, &read(u64::MAX, 4096)), Ok(vec![]));
    }
}

#[test]
fn detailed_listings_say_what_lookups_say() {
    let served = Served::new();
    for path in [".", "0", "0/etc", "1"] {
        let node = served.node(path);
        for dirent in served.list(opcode::READDIRPLUS, node, 4096) {
            let found = served.look(node, &dirent.name);
            assert_eq!(dirent.ino, found.node);
            assert_eq!(dirent.kind, found.stat.mode >> 12);
            let entry = dirent.entry.unwrap();
            if dirent.name.starts_with('.') {
                assert_eq!(entry.node, 0, "{} is not looked up", dirent.name);
            } else {
                assert_eq!(entry, found);
            }
        }
    }
}

#[test]
fn only_directories_are_listed_and_looked_into() {
    let served = Served::new();
    let file = served.node("0/large");
    assert_eq!(
        served.ask(opcode::READDIR, file, &read(0, 4096)),
        Err(Errno::NOTDIR)
    );
    assert_eq!(served.ask(opcode::LOOKUP, file, b"a\0"), Err(Errno::NOTDIR));
}

#[test]
fn holes_are_found() {
    let served = Served::new();
    let node = served.node("0/sparse");
    let ask = |offset, whence| {
        let reply = served.ask(opcode::LSEEK, node, &seek(offset, whence));
        reply.map(|reply| u64_at(&reply, 0))
    };
    assert_eq!(ask(0, libc::SEEK_DATA), Ok(1 << 20));
    assert_eq!(ask(0, libc::SEEK_HOLE), Ok(0));
    assert_eq!(ask(1 << 20, libc::SEEK_HOLE), Ok((1 << 20) + 3));
    assert_eq!(ask((1 << 20) + 3, libc::SEEK_DATA), Err(Errno::NXIO));
}

#[test]
fn nothing_can_be_changed() {
    let served = Served::new();
    let node = served.node("0/etc");
    for opcode in [
        opcode::WRITE,
        opcode::MKDIR,
        opcode::UNLINK,
        opcode::SETATTR,
    ] {
        assert_eq!(served.ask(opcode, node, &[0; 40]), Err(Errno::ROFS));
    }
}

#[test]
fn what_is_never_needed_is_not_implemented() {
    let served = Served::new();
    for opcode in [
        opcode::OPEN,
        opcode::OPENDIR,
        opcode::FLUSH,
        opcode::STATX,
        999,
    ] {
        assert_eq!(served.ask(opcode, ROOT_ID, &[0; 40]), Err(Errno::NOSYS));
    }
    assert_eq!(
        served.ask(opcode::IOCTL, ROOT_ID, &[0; 40]),
        Err(Errno::NOTTY)
    );
    assert_eq!(served.ask(opcode::RELEASE, ROOT_ID, &[0; 40]), Ok(vec![]));
    assert_eq!(served.ask(opcode::DESTROY, 0, b""), Ok(vec![]));
}

#[test]
fn the_file_system_has_a_size() {
    let reply = Served::new().ask(opcode::STATFS, ROOT_ID, b"").unwrap();
    assert_eq!(reply.len(), 80);
    assert!(u64_at(&reply, 0) > 20, "blocks");
    assert_eq!(u64_at(&reply, 24), 110, "inodes of both layers");
    assert_eq!(u32_at(&reply, 40), 4096);
}

#[test]
fn replies_that_do_not_fit_are_errors() {
    let served = Served::new();
    assert_eq!(
        served.ask_within(127, opcode::LOOKUP, ROOT_ID, b"0\0"),
        Err(Errno::IO)
    );
    assert_eq!(
        served.ask_within(0, opcode::STATFS, ROOT_ID, b""),
        Err(Errno::IO)
    );
    assert_eq!(
        served.ask_within(7, opcode::READLINK, served.node("0/link"), b""),
        Err(Errno::IO)
    );
}

#[test]
fn forgetting_has_no_reply() {
    let layers = open(files());
    for opcode in [opcode::FORGET, opcode::BATCH_FORGET, opcode::INTERRUPT] {
        let bytes = request(opcode, 1, ROOT_ID, &[0; 16]);
        let request = Request::parse(&bytes, bytes.len() as u32).unwrap();
        let mut body = Body::default();
        assert!(matches!(
            layers.answer(&request, ROOM, &mut body),
            Reply::Silent
        ));
    }
}

/// Nodes that exist, nodes that might, and nonsense.
fn node() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(ROOT_ID),
        (0_u64..4, 0_u64..150).prop_map(|(layer, ino)| layer << 40 | ino),
        any::<u64>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_request_gets_more_than_its_room(
        opcode in prop_oneof![0_u32..55, any::<u32>()],
        node in node(),
        arguments in prop::collection::vec(any::<u8>(), 0..64),
        small in prop::collection::vec(0_u8..4, 0..48),
        room in 0_usize..10_000,
    ) {
        static LAYERS: LazyLock<Layers> = LazyLock::new(|| open(files()));
        let layers = &*LAYERS;
        let mut body = Body::default();
        for arguments in [arguments, small] {
            let bytes = request(opcode, 1, node, &arguments);
            let Ok(request) = Request::parse(&bytes, bytes.len() as u32) else { continue };
            match layers.answer(&request, room, &mut body) {
                Reply::Body => prop_assert!(body.bytes().len() <= room),
                Reply::Contents { file, offset, length } => {
                    prop_assert!(length <= room);
                    prop_assert!(offset + length as u64 <= file.metadata().unwrap().len());
                }
                Reply::Silent | Reply::Error(_) => {}
            }
        }
    }

}

proptest! {
    // Each case makes a layer of its own.
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn damaged_layers_give_errors_not_panics(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..30),
        numbers in prop::collection::vec((1_u64..12, 1_u32..53), 1..30),
    ) {
        let file = layer(|builder| {
            put(builder, "dir/file", b"text")?;
            builder.symlink(b"dir/link", b"file", sample::meta(0o777))?;
            builder.opaque(b"dir")
        });
        let length = file.metadata().unwrap().len() as usize;
        for (at, byte) in changes {
            // The index, which is the last and not covered by the header's own checksum.
            let at = 8192 + at.index(length - 8192);
            file.write_all_at(&[byte], at as u64).unwrap();
        }
        let layers = open(vec![file]);
        let mut body = Body::default();
        for (ino, opcode) in numbers {
            for arguments in [read(0, 4096), b"file\0".to_vec(), xattr(9, b"user.x\0")] {
                let bytes = request(opcode, 1, 1 << 40 | ino, &arguments);
                if let Ok(request) = Request::parse(&bytes, bytes.len() as u32) {
                    let _ = layers.answer(&request, 4096, &mut body);
                }
            }
        }
    }
}
