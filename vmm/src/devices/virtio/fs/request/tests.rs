//! Decoding: what the kernel sends, and what it never would.

use proptest::prelude::*;

use super::*;
use crate::devices::virtio::fs::sample::{init, read, request, seek, xattr};

fn parse(bytes: &[u8]) -> Result<Request<'_>, RequestError> {
    Request::parse(bytes, bytes.len() as u32)
}

fn check(opcode: u32, arguments: &[u8], expected: Option<Operation<'_>>) {
    let bytes = request(opcode, 9, 5, arguments);
    let expected = match expected {
        Some(operation) => Ok(Request {
            unique: 9,
            node: 5,
            operation,
        }),
        None => Err(RequestError::Arguments { unique: 9 }),
    };
    assert_eq!(parse(&bytes), expected, "opcode {opcode}");
}

#[test]
fn requests_of_the_kernel_are_understood() {
    let features = 0x8_0002_0001;
    check(
        opcode::INIT,
        &init(7, 41, features),
        Some(Operation::Init {
            major: 7,
            minor: 41,
            max_readahead: 131_072,
            features,
        }),
    );
    check(
        opcode::INIT,
        &init(7, 30, 3)[..16],
        Some(Operation::Init {
            major: 7,
            minor: 30,
            max_readahead: 131_072,
            features: 3,
        }),
    );
    check(
        opcode::LOOKUP,
        b"name\0",
        Some(Operation::Lookup { name: b"name" }),
    );
    check(opcode::GETATTR, &[0; 16], Some(Operation::GetAttr));
    check(opcode::READLINK, b"", Some(Operation::ReadLink));
    check(
        opcode::READ,
        &read(7, 8),
        Some(Operation::Read { offset: 7, size: 8 }),
    );
    check(
        opcode::READDIR,
        &read(7, 8),
        Some(Operation::ReadDir {
            offset: 7,
            size: 8,
            detail: Detail::Names,
        }),
    );
    check(
        opcode::READDIRPLUS,
        &read(7, 8),
        Some(Operation::ReadDir {
            offset: 7,
            size: 8,
            detail: Detail::Attributes,
        }),
    );
    check(opcode::STATFS, b"", Some(Operation::StatFs));
    check(
        opcode::GETXATTR,
        &xattr(3, b"user.x\0"),
        Some(Operation::GetXattr {
            name: b"user.x",
            size: 3,
        }),
    );
    check(
        opcode::LISTXATTR,
        &xattr(3, b""),
        Some(Operation::ListXattr { size: 3 }),
    );
    check(
        opcode::LSEEK,
        &seek(5, libc::SEEK_HOLE),
        Some(Operation::Seek {
            offset: 5,
            seek: hull_layer::Seek::Hole,
        }),
    );
    check(opcode::FORGET, &[0; 8], Some(Operation::Silent));
    check(opcode::BATCH_FORGET, &[0; 400], Some(Operation::Silent));
    check(opcode::DESTROY, b"", Some(Operation::Destroy));
}

#[test]
fn everything_that_writes_is_a_modification() {
    for opcode in [
        opcode::SETATTR,
        opcode::SYMLINK,
        opcode::MKNOD,
        opcode::MKDIR,
        opcode::UNLINK,
        opcode::RMDIR,
        opcode::RENAME,
        opcode::RENAME2,
        opcode::LINK,
        opcode::WRITE,
        opcode::SETXATTR,
        opcode::REMOVEXATTR,
        opcode::CREATE,
        opcode::TMPFILE,
        opcode::FALLOCATE,
        opcode::COPY_FILE_RANGE,
    ] {
        check(opcode, b"", Some(Operation::Modify));
    }
}

#[test]
fn unknown_and_needless_operations_are_unsupported() {
    for opcode in [
        0,
        7,
        opcode::OPEN,
        opcode::OPENDIR,
        opcode::ACCESS,
        opcode::FLUSH,
        opcode::FSYNC,
        opcode::FSYNCDIR,
        opcode::SYNCFS,
        opcode::STATX,
        opcode::SETUPMAPPING,
        4096,
        u32::MAX,
    ] {
        check(opcode, b"", Some(Operation::Unsupported));
    }
}

#[test]
fn short_arguments_are_refused() {
    check(opcode::INIT, &init(7, 41, 0)[..15], None);
    check(opcode::LOOKUP, b"", None);
    check(opcode::READ, &read(0, 0)[..19], None);
    check(opcode::READDIR, b"", None);
    check(opcode::GETXATTR, &xattr(0, b""), None);
    check(opcode::GETXATTR, &[0; 7], None);
    check(opcode::LISTXATTR, &[0; 3], None);
    check(opcode::LSEEK, &seek(0, libc::SEEK_DATA)[..19], None);
    check(opcode::LSEEK, &seek(0, libc::SEEK_END), None);
}

#[test]
fn names_have_a_length_and_an_end() {
    check(opcode::LOOKUP, b"\0", None);
    check(opcode::LOOKUP, b"name", None);
    let mut longest = vec![b'n'; NAME_MAX];
    longest.push(0);
    check(
        opcode::LOOKUP,
        &longest,
        Some(Operation::Lookup {
            name: &longest[..NAME_MAX],
        }),
    );
    longest.insert(0, b'n');
    check(opcode::LOOKUP, &longest, None);
    check(
        opcode::LOOKUP,
        b"a/../b\0tail\0",
        Some(Operation::Lookup { name: b"a/../b" }),
    );
}

#[test]
fn unsound_headers_are_refused() {
    let sound = request(opcode::STATFS, 1, 1, b"");
    for length in 0..IN_HEADER {
        assert_eq!(
            parse(&sound[..length]),
            Err(RequestError::Header),
            "{length} bytes"
        );
    }
    for claim in [0, 39, 41, u32::MAX] {
        let mut lying = sound.clone();
        lying[..4].copy_from_slice(&claim.to_le_bytes());
        assert_eq!(parse(&lying), Err(RequestError::Header), "claims {claim}");
    }
}

#[test]
fn bytes_behind_the_claimed_length_are_not_read() {
    let mut bytes = request(opcode::LOOKUP, 9, 5, b"name\0");
    bytes[..4].copy_from_slice(&(IN_HEADER as u32 + 4).to_le_bytes());
    assert_eq!(parse(&bytes), Err(RequestError::Arguments { unique: 9 }));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_a_request_or_an_error(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        total: u32,
    ) {
        let _ = Request::parse(&bytes, total);
    }

    #[test]
    fn any_arguments_of_any_operation_are_decoded_or_refused(
        opcode in 0_u32..60,
        unique: u64,
        arguments in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let bytes = request(opcode, unique, 1, &arguments);
        match parse(&bytes) {
            Ok(request) => prop_assert_eq!(request.unique, unique),
            Err(error) => prop_assert_eq!(error, RequestError::Arguments { unique }),
        }
    }
}
