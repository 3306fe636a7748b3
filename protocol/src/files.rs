//! A container's files as archives, on a vsock connection of its own ([`VsockPort::FILES`]).
//!
//! ```text
//!  host                                            agent
//!   ├── frame Open ──────────────────────────────────►│
//!   │◄───────────────────────────────── frame Opened ─┤   refused: the connection ends here
//!   │◄── chunks ─────────────────────────────────────┤   Read, Export, Layer, Changes
//!   ├── chunks ─────────────────────────────────────►│   Write
//!   │◄───────────────────────────────── frame Closed ─┤   how it went, after the last chunk
//! ```
//!
//! A chunk is `length u32 | bytes`; one of length 0 is the last. The agent reads to the last chunk
//! also where it has failed half way, so a host that sends first and then listens never blocks.
//!
//! Everything is as the container's root shows it without what is mounted there: no `/proc`, no
//! tmpfs. Archives are pax tars. `Changes` is not an archive: see [`Change`].
//!
//! [`VsockPort::FILES`]: crate::VsockPort::FILES

use serde::{Deserialize, Serialize};

use crate::agent::AgentError;

/// The first frame of a connection, from the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Open {
    /// What is at a path; no chunks follow.
    Stat {
        /// Absolute. A symbolic link at its end is followed only with a `/` after it.
        path: String,
    },
    /// An archive of what is at a path, its names beginning with the path's last part.
    Read {
        /// As in `Stat`.
        path: String,
    },
    /// Unpacks an archive in a folder.
    Write {
        /// The folder; links are followed.
        path: String,
        /// What may happen to what is there.
        replace: Replace,
        /// Who gets everything, by the container's own account files, as Docker's `--user`;
        /// without it, who the archive says.
        #[serde(default)]
        owner: Option<String>,
    },
    /// An archive of the whole root.
    Export,
    /// What the container has changed, as [`Change`]s.
    Changes,
    /// What the container has changed, as an image layer with whiteouts.
    Layer {
        /// Whether its processes stand still meanwhile.
        freeze: bool,
    },
}

/// What an archive's entry may replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Replace {
    /// Anything.
    Anything,
    /// No folder by something else, and nothing else by a folder.
    LikeWithLike,
}

/// The agent's answer to [`Open`]: for `Stat` and `Read` what is there, otherwise nothing.
pub type Opened = Result<Option<PathStat>, AgentError>;

/// The agent's last word, after the last chunk.
pub type Closed = Result<(), AgentError>;

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathStat {
    /// The path's last part, `/` for the root.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Kind and permissions, as `stat` gives them.
    pub mode: u32,
    /// Nanoseconds since 1970.
    pub mtime: i64,
    /// Where a symbolic link leads, an absolute path in the container; empty for other kinds.
    pub link_target: String,
}

/// The most bytes of one chunk.
pub const MAX_CHUNK: u32 = 64 << 10;

/// One line of `diff`. On the wire: kind, length of the path as u16, path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What has happened.
    pub kind: ChangeKind,
    /// To what: an absolute path, any bytes but zero.
    pub path: Vec<u8>,
}

/// What has happened to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ChangeKind {
    /// It is not as in the image.
    Modified = 0,
    /// It is not in the image.
    Added = 1,
    /// It is in the image only.
    Deleted = 2,
}

/// Bytes that are no change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed change")]
pub struct ChangeError;

impl Change {
    const HEAD: usize = 3;

    /// Appends the wire form. A path that is too long for it is cut, which no kernel has.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let length = u16::try_from(self.path.len()).unwrap_or(u16::MAX);
        out.push(self.kind as u8);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&self.path[..usize::from(length)]);
    }

    /// Takes one off the front of what has arrived; `None` while it is not whole.
    ///
    /// # Errors
    /// The bytes come from the guest: an unknown kind, and a path that is not absolute or holds a
    /// zero byte, are refused.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, &[u8])>, ChangeError> {
        let Some((head, rest)) = bytes.split_first_chunk::<{ Self::HEAD }>() else {
            return Ok(None);
        };
        let kind = match head[0] {
            0 => ChangeKind::Modified,
            1 => ChangeKind::Added,
            2 => ChangeKind::Deleted,
            _ => return Err(ChangeError),
        };
        let length = usize::from(u16::from_le_bytes([head[1], head[2]]));
        let Some((path, rest)) = rest.split_at_checked(length) else {
            return Ok(None);
        };
        if path.first() != Some(&b'/') || path.contains(&0) {
            return Err(ChangeError);
        }
        let path = path.to_vec();
        Ok(Some((Self { kind, path }, rest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn change() -> impl Strategy<Value = Change> {
        let kind = prop_oneof![
            Just(ChangeKind::Modified),
            Just(ChangeKind::Added),
            Just(ChangeKind::Deleted)
        ];
        (kind, proptest::collection::vec(1..=255u8, 0..300)).prop_map(|(kind, mut path)| {
            path.insert(0, b'/');
            Change { kind, path }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn changes_round_trip_in_any_pieces(
            changes in proptest::collection::vec(change(), 0..8),
            cut in any::<proptest::sample::Index>(),
        ) {
            let mut wire = Vec::new();
            changes.iter().for_each(|c| c.encode(&mut wire));
            let mut seen = Vec::new();
            for end in [cut.index(wire.len() + 1), wire.len()] {
                let mut rest = &wire[..end];
                seen.clear();
                while let Some((change, after)) = Change::decode(rest).unwrap() {
                    seen.push(change);
                    rest = after;
                }
                prop_assert!(seen.len() <= changes.len());
            }
            prop_assert_eq!(seen, changes);
        }

        #[test]
        fn hostile_bytes_are_refused_or_round_trip(bytes in any::<Vec<u8>>()) {
            if let Ok(Some((change, rest))) = Change::decode(&bytes) {
                let mut again = Vec::new();
                change.encode(&mut again);
                prop_assert_eq!(&again, &bytes[..bytes.len() - rest.len()]);
            }
        }
    }

    #[test]
    fn what_is_no_absolute_path_is_refused() {
        for bytes in [&b"\0\x01\0x"[..], b"\0\0\0", b"\0\x02\0/\0", b"\x03\x01\0/"] {
            assert_eq!(Change::decode(bytes), Err(ChangeError), "{bytes:?}");
        }
    }
}
