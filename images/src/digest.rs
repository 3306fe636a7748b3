//! SHA-256 digests, and the ids that are digests of something.

use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A digest as `sha256:<64 lower-case hex digits>`. No other algorithm is stored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

/// Why a text is not a digest, in the wording of Docker's clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    #[error("invalid checksum digest format")]
    Format,
    #[error("unsupported digest algorithm")]
    Algorithm,
    #[error("invalid checksum digest length")]
    Length,
}

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }

    /// The digest of what was hashed.
    pub(crate) fn from_hash(hash: Sha256) -> Digest {
        Digest(hash.finalize().into())
    }

    /// The 64 hex digits.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// The first 12 hex digits, as in lists.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..6])
    }

    /// The digest with these 64 lower-case hex digits.
    pub fn from_hex(text: &str) -> Result<Digest, DigestError> {
        if !text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        {
            return Err(DigestError::Format);
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| DigestError::Length)?;
        Ok(Digest(bytes))
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Digest, DigestError> {
        match text.split_once(':') {
            Some(("sha256", hex)) => Digest::from_hex(hex),
            Some((algorithm, hex)) if !algorithm.is_empty() && !hex.is_empty() => {
                Err(DigestError::Algorithm)
            }
            _ => Err(DigestError::Format),
        }
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Digest, DigestError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A digest that names one kind of thing.
macro_rules! digest_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Digest);

        impl $name {
            /// The digest itself.
            pub fn digest(&self) -> &Digest {
                &self.0
            }

            /// The first 12 hex digits.
            pub fn short(&self) -> String {
                self.0.short()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = DigestError;

            fn from_str(text: &str) -> Result<$name, DigestError> {
                text.parse().map($name)
            }
        }
    };
}

digest_id! {
    /// An image: the digest of its configuration.
    ImageId
}
digest_id! {
    /// A layer's uncompressed tar.
    DiffId
}
digest_id! {
    /// A layer on top of all the layers below it.
    ChainId
}

impl ChainId {
    /// The chain id of `diff` on top of `below`, as the OCI image specification defines it.
    pub fn of(below: Option<&ChainId>, diff: &DiffId) -> ChainId {
        match below {
            None => ChainId(diff.0),
            Some(below) => ChainId(Digest::of(format!("{below} {diff}").as_bytes())),
        }
    }

    /// The chain ids of a stack of layers, bottom first.
    pub fn stack(diffs: &[DiffId]) -> Vec<ChainId> {
        let mut chains: Vec<ChainId> = Vec::with_capacity(diffs.len());
        for diff in diffs {
            chains.push(ChainId::of(chains.last(), diff));
        }
        chains
    }
}

/// Hashes and counts what passes through it, read or written.
#[derive(Debug)]
pub(crate) struct Hashing<T> {
    pub(crate) inner: T,
    hasher: Sha256,
    count: u64,
}

impl<T> Hashing<T> {
    pub(crate) fn new(inner: T) -> Hashing<T> {
        Hashing {
            inner,
            hasher: Sha256::new(),
            count: 0,
        }
    }

    pub(crate) fn finish(self) -> (T, Digest, u64) {
        (
            self.inner,
            Digest(self.hasher.finalize().into()),
            self.count,
        )
    }

    /// The hash so far, and of how many bytes.
    pub(crate) fn into_state(self) -> (Sha256, u64) {
        (self.hasher, self.count)
    }

    fn take_note(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.count += bytes.len() as u64;
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.take_note(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.take_note(bytes.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn digests_are_read_and_shown() {
        let digest: Digest = EMPTY.parse().unwrap();
        assert_eq!(digest, Digest::of(b""));
        assert_eq!(digest.to_string(), EMPTY);
        assert_eq!(digest.short(), "e3b0c44298fc");
        let json = serde_json::to_string(&ImageId(digest)).unwrap();
        assert_eq!(json, format!("\"{EMPTY}\""));
        assert_eq!(
            serde_json::from_str::<ImageId>(&json).unwrap(),
            ImageId(digest)
        );
    }

    #[test]
    fn what_is_not_a_digest_is_refused() {
        let check = |text: &str, error: DigestError| {
            assert_eq!(text.parse::<Digest>(), Err(error), "{text:?}");
        };
        check("", DigestError::Format);
        check("sha256", DigestError::Format);
        check(":abc", DigestError::Format);
        check("md5:abc", DigestError::Algorithm);
        check("sha256:abc", DigestError::Length);
        check(&EMPTY.to_uppercase(), DigestError::Algorithm);
        check(&EMPTY.replace('e', "E"), DigestError::Format);
        check(&format!("{EMPTY}0"), DigestError::Length);
    }

    #[test]
    fn chain_ids_follow_the_specification() {
        let diffs: Vec<DiffId> = (0..3u8).map(|n| DiffId(Digest::of(&[n]))).collect();
        let chains = ChainId::stack(&diffs);
        assert_eq!(chains[0].0, diffs[0].0);
        let text = format!("{} {}", chains[0], diffs[1]);
        assert_eq!(chains[1].0, Digest::of(text.as_bytes()));
        let text = format!("{} {}", chains[1], diffs[2]);
        assert_eq!(chains[2].0, Digest::of(text.as_bytes()));
    }
}
