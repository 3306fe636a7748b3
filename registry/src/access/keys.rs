//! Public keys of who issues tokens elsewhere, from a file: a JWK set (RFC 7517), or PEM with
//! public keys and certificates.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};

use super::der;

/// More than anybody rotates. Each may be tried for each token.
const MOST: usize = 64;
const MAX_FILE: u64 = 1 << 20;

/// Why a file gives no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is not a set of JSON web keys: {source}", path.display())]
    Json {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error(
        "{} holds no public key that signs tokens: RSA, EC (P-256, P-384) or Ed25519",
        .0.display()
    )]
    None(PathBuf),
    #[error("{} holds a secret: give the issuer's public keys", .0.display())]
    Secret(PathBuf),
    #[error("{} holds more than {MOST} keys", .0.display())]
    TooMany(PathBuf),
}

/// How a token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    /// By the name of RFC 7518 and 8037. Secrets and nothing are no signatures here.
    pub(super) fn named(name: &str) -> Option<Algorithm> {
        Some(match name {
            "RS256" => Algorithm::Rs256,
            "RS384" => Algorithm::Rs384,
            "RS512" => Algorithm::Rs512,
            "PS256" => Algorithm::Ps256,
            "PS384" => Algorithm::Ps384,
            "PS512" => Algorithm::Ps512,
            "ES256" => Algorithm::Es256,
            "ES384" => Algorithm::Es384,
            "EdDSA" => Algorithm::EdDsa,
            _ => return None,
        })
    }

    fn rsa(self) -> Option<&'static RsaParameters> {
        Some(match self {
            Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
            Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
            Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
            Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
            Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
            Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => return None,
        })
    }
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) id: Option<String>,
    /// The only algorithm that it is for, if it says so.
    algorithm: Option<Algorithm>,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// A point, uncompressed.
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl Kind {
    /// Numbers, of which zeros in front say nothing.
    pub(super) fn rsa(n: &[u8], e: &[u8]) -> Kind {
        let bare = |number: &[u8]| {
            let number = number.iter().skip_while(|byte| **byte == 0);
            number.copied().collect()
        };
        Kind::Rsa {
            n: bare(n),
            e: bare(e),
        }
    }
}

impl Key {
    /// Whether this key signed that, in that way. A key has its ways: what a token says can only
    /// choose among them.
    pub(super) fn signed(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if self.algorithm.is_some_and(|only| only != algorithm) {
            return false;
        }
        let check = |way, key: &[u8]| UnparsedPublicKey::new(way, key).verify(message, signature);
        let checked = match (&self.kind, algorithm, algorithm.rsa()) {
            (Kind::Rsa { n, e }, _, Some(way)) => {
                RsaPublicKeyComponents { n, e }.verify(way, message, signature)
            }
            (Kind::P256(point), Algorithm::Es256, _) => check(
                &signature::ECDSA_P256_SHA256_FIXED as &dyn signature::VerificationAlgorithm,
                point,
            ),
            (Kind::P384(point), Algorithm::Es384, _) => {
                check(&signature::ECDSA_P384_SHA384_FIXED, point)
            }
            (Kind::Ed25519(key), Algorithm::EdDsa, _) => check(&signature::ED25519, key),
            _ => return false,
        };
        checked.is_ok()
    }
}

#[cfg(test)]
impl Key {
    /// As a JSON web key.
    pub(super) fn jwk(&self, id: &str) -> serde_json::Value {
        use serde_json::json;

        let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let elliptic = |curve: &str, point: &[u8]| {
            let (x, y) = point[1..].split_at(point.len() / 2);
            json!({"kty": "EC", "crv": curve, "kid": id, "x": text(x), "y": text(y)})
        };
        match &self.kind {
            Kind::Rsa { n, e } => json!({"kty": "RSA", "kid": id, "n": text(n), "e": text(e)}),
            Kind::P256(point) => elliptic("P-256", point),
            Kind::P384(point) => elliptic("P-384", point),
            Kind::Ed25519(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "x": text(key)})
            }
        }
    }
}

/// Reads a file of keys.
pub(super) fn load(path: &Path) -> Result<Vec<Key>, KeysError> {
    let read = |source| KeysError::Read {
        path: path.to_owned(),
        source,
    };
    if fs::metadata(path).map_err(read)?.len() > MAX_FILE {
        return Err(KeysError::TooMany(path.to_owned()));
    }
    let bytes = fs::read(path).map_err(read)?;
    let keys = match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => {
            let set: Set = serde_json::from_slice(&bytes).map_err(|source| KeysError::Json {
                path: path.to_owned(),
                source,
            })?;
            if set.keys.iter().any(Jwk::is_secret) {
                return Err(KeysError::Secret(path.to_owned()));
            }
            set.keys.into_iter().filter_map(Jwk::key).collect()
        }
        _ => of_pem(&bytes),
    };
    match keys.len() {
        0 => Err(KeysError::None(path.to_owned())),
        1..=MOST => Ok(keys),
        _ => Err(KeysError::TooMany(path.to_owned())),
    }
}

fn of_pem(bytes: &[u8]) -> Vec<Key> {
    let keys = SubjectPublicKeyInfoDer::pem_slice_iter(bytes)
        .filter_map(|key| der::of_public_key(key.ok()?.as_ref()));
    let certificates = CertificateDer::pem_slice_iter(bytes)
        .filter_map(|one| der::of_certificate(one.ok()?.as_ref()));
    keys.chain(certificates)
        .map(|kind| Key {
            id: None,
            algorithm: None,
            kind,
        })
        .collect()
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default, rename = "use")]
    purpose: Option<String>,
    #[serde(default)]
    alg: Option<String>,
    #[serde(default)]
    crv: String,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
    #[serde(default)]
    x: String,
    #[serde(default)]
    y: String,
    /// Private.
    #[serde(default)]
    d: Option<serde::de::IgnoredAny>,
}

impl Jwk {
    fn is_secret(&self) -> bool {
        self.kty == "oct" || self.d.is_some()
    }

    /// The key, if it is one that signs tokens.
    fn key(self) -> Option<Key> {
        let number = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).ok();
        let point = |length: usize| {
            let (x, y) = (number(&self.x)?, number(&self.y)?);
            (x.len() == length && y.len() == length).then(|| [vec![4], x, y].concat())
        };
        let kind = match (self.kty.as_str(), self.crv.as_str()) {
            ("RSA", _) => Kind::rsa(&number(&self.n)?, &number(&self.e)?),
            ("EC", "P-256") => Kind::P256(point(32)?),
            ("EC", "P-384") => Kind::P384(point(48)?),
            ("OKP", "Ed25519") => Kind::Ed25519(number(&self.x)?),
            _ => return None,
        };
        if self.purpose.is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let algorithm = match &self.alg {
            None => None,
            Some(name) => Some(Algorithm::named(name)?),
        };
        Some(Key {
            id: self.kid,
            algorithm,
            kind,
        })
    }
}
