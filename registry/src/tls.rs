//! TLS, with a certificate that may be renewed while the server runs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

use crate::config;
use crate::watched::Watched;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} holds no PEM of what it should: {source}", path.display())]
    Pem { path: PathBuf, source: pem::Error },
    #[error("{} and {} do not make an identity: {source}", certificate.display(), key.display())]
    Identity {
        certificate: PathBuf,
        key: PathBuf,
        source: rustls::Error,
    },
}

/// The server's identity, as it is now.
#[derive(Debug)]
pub(crate) struct Identity(Watched<TlsAcceptor, TlsError>);

impl Identity {
    pub(crate) fn open(files: &config::Tls) -> Result<Identity, TlsError> {
        let (paths, files) = ([&*files.certificate, &*files.key], files.clone());
        Ok(Identity(Watched::open(&paths, move || load(&files))?))
    }

    /// What greets the next client.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::clone(&self.0.current())
    }
}

fn load(files: &config::Tls) -> Result<TlsAcceptor, TlsError> {
    let config::Tls { certificate, key } = files;
    let read = |path: &Path| {
        fs::read(path).map_err(|source| TlsError::Read {
            path: path.to_owned(),
            source,
        })
    };
    let pem = |path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::Pem { path, source }
    };
    let chain = CertificateDer::pem_slice_iter(&read(certificate)?).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(pem(certificate))?;
    let secret = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(pem(key))?;
    let identity = |source| TlsError::Identity {
        certificate: certificate.clone(),
        key: key.clone(),
        source,
    };
    let provider = Arc::new(ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(identity)?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(identity)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
