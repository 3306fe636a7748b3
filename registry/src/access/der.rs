//! As much of DER as leads to a public key: in a certificate, and by itself. Pure.
//!
//! A certificate is a wrapping of its key here: who signed it and until when it counts is not
//! looked at, for whoever wrote the file trusts the key.

use super::keys::Kind;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
/// A certificate's version.
const VERSION: u8 = 0xa0;

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const ELLIPTIC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// The key of a certificate (X.509), if it is of a kind that signs tokens.
pub(super) fn of_certificate(bytes: &[u8]) -> Option<Kind> {
    let mut certificate = Der(Der(bytes).take(SEQUENCE)?);
    let mut signed = Der(certificate.take(SEQUENCE)?);
    if signed.tag() == Some(VERSION) {
        signed.take(VERSION)?;
    }
    signed.take(INTEGER)?;
    // Algorithm, issuer, validity, subject.
    for _ in 0..4 {
        signed.take(SEQUENCE)?;
    }
    of_info(signed.take(SEQUENCE)?)
}

/// The key of a `SubjectPublicKeyInfo` (RFC 5280).
pub(super) fn of_public_key(bytes: &[u8]) -> Option<Kind> {
    of_info(Der(bytes).take(SEQUENCE)?)
}

fn of_info(bytes: &[u8]) -> Option<Kind> {
    let mut info = Der(bytes);
    let mut algorithm = Der(info.take(SEQUENCE)?);
    let name = algorithm.take(OBJECT)?;
    // Whole bytes, no bits left over.
    let key = info.take(BIT_STRING)?.strip_prefix(&[0])?;
    match name {
        RSA => {
            let mut numbers = Der(Der(key).take(SEQUENCE)?);
            let (n, e) = (numbers.take(INTEGER)?, numbers.take(INTEGER)?);
            Some(Kind::rsa(n, e))
        }
        ELLIPTIC => match algorithm.take(OBJECT)? {
            P256 => Some(Kind::P256(key.to_vec())),
            P384 => Some(Kind::P384(key.to_vec())),
            _ => None,
        },
        ED25519 => Some(Kind::Ed25519(key.to_vec())),
        _ => None,
    }
}

/// Elements, one after the other.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn tag(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The content of the next element, which must be that.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (first, rest) = self.0.split_first()?;
        let (length, rest) = rest.split_first()?;
        let (length, rest) = match length {
            0..=0x7f => (usize::from(*length), rest),
            // Longer than 16 MiB is nothing here.
            0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
                let length = bytes
                    .iter()
                    .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
                (length, rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        (*first == tag).then_some(content)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = of_certificate(&bytes);
            let _ = of_public_key(&bytes);
        }

        #[test]
        fn no_cut_makes_it_panic(at in 0usize..60, byte: u8) {
            // An Ed25519 key as openssl writes it.
            let mut key = hex::decode("302a300506032b6570032100").unwrap();
            key.extend([7; 32]);
            prop_assert!(matches!(of_public_key(&key), Some(Kind::Ed25519(found)) if found == [7; 32]));
            if let Some(changed) = key.get_mut(at) {
                *changed = byte;
            }
            let _ = of_public_key(&key);
            let _ = of_public_key(key.get(..at).unwrap_or_default());
        }
    }
}
