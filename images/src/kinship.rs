//! A push to a registry that serves this very store sends nothing, if the registry can tell.
//!
//! The client names a blob to the registry and proves that it lives in the same process, by a
//! digest keyed with what only this process knows. The proof is for one blob and one repository:
//! who listens to it, a false registry on this machine say, can do with it only what was about to
//! be done. Whether the client may push there is asked all the same.

use std::sync::OnceLock;

use rustix::rand::{GetRandomFlags, getrandom};
use sha2::{Digest as _, Sha256};

use crate::digest::Digest;

/// The header that carries the proof.
pub const HEADER: &str = "hull-local-blob";

static KEY: OnceLock<Option<[u8; 32]>> = OnceLock::new();

/// The proof that a blob for a repository (its name without a host) comes from this process.
pub(crate) fn proof(repository: &str, digest: &Digest) -> Option<String> {
    let key = KEY.get_or_init(|| {
        let mut key = [0; 32];
        let count = getrandom(&mut key, GetRandomFlags::empty()).ok()?;
        (count == key.len()).then_some(key)
    });
    let key = key.as_ref()?;
    let inner = Sha256::new().chain_update(key);
    let inner = inner.chain_update(format!("{repository}\n{digest}"));
    let outer = Sha256::new()
        .chain_update(key)
        .chain_update(inner.finalize());
    Some(hex::encode(outer.finalize()))
}

/// Whether it is one.
pub fn is_proof(text: &str, repository: &str, digest: &Digest) -> bool {
    let expected = proof(repository, digest);
    expected.is_some_and(|expected| {
        let pairs = expected.bytes().zip(text.bytes());
        let differences = pairs.fold(0, |sum, (a, b)| sum | (a ^ b));
        expected.len() == text.len() && differences == 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_for_one_blob_and_one_repository() {
        let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
        let text = proof("a/b", &one).unwrap();
        assert!(is_proof(&text, "a/b", &one));
        assert!(!is_proof(&text, "a/c", &one));
        assert!(!is_proof(&text, "a/b", &two));
        assert!(!is_proof(&text[1..], "a/b", &one));
        assert!(!is_proof("", "a/b", &one));
    }
}
