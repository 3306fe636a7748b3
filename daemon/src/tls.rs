//! Mutual TLS, the only way to reach the daemon over a network.
//!
//! Whoever may use the API owns the machine, so a client has to show a certificate that the given
//! authority signed; what it is for or whom it names does not matter, as with Docker.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;

/// The files that make it up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Files {
    /// Who may sign clients' certificates.
    pub(crate) authority: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// Why they cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("{path} holds no PEM of what it should: {source}", path = path.display())]
    Pem { path: PathBuf, source: pem::Error },
    #[error("{path} holds no certificate", path = path.display())]
    Empty { path: PathBuf },
    #[error("{path} is no authority: {source}", path = path.display())]
    Authority {
        path: PathBuf,
        source: rustls::Error,
    },
    #[error("clients cannot be checked: {0}")]
    Verifier(#[from] VerifierBuilderError),
    #[error("{certificate} and {key} do not make an identity: {source}", certificate = certificate.display(), key = key.display())]
    Identity {
        certificate: PathBuf,
        key: PathBuf,
        source: rustls::Error,
    },
}

/// Greets clients.
#[derive(Clone)]
pub(crate) struct Acceptor(TlsAcceptor);

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Acceptor")
    }
}

impl Acceptor {
    pub(crate) fn open(files: &Files) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&files.authority)? {
            roots
                .add(certificate)
                .map_err(|source| TlsError::Authority {
                    path: files.authority.clone(),
                    source,
                })?;
        }
        let provider = Arc::new(ring::default_provider());
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()?;
        let identity = |source| TlsError::Identity {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
            source,
        };
        let key = PrivateKeyDer::from_pem_file(&files.key).map_err(pem(&files.key))?;
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(identity)?
            .with_client_cert_verifier(clients)
            .with_single_cert(certificates(&files.certificate)?, key)
            .map_err(identity)?;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// Agrees with a client, or finds that it may not be served.
    pub(crate) async fn accept(&self, socket: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.0.accept(socket).await
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(std::iter::Iterator::collect)
        .map_err(pem(path))?;
    match all.is_empty() {
        true => Err(TlsError::Empty {
            path: path.to_owned(),
        }),
        false => Ok(all),
    }
}

fn pem(path: &Path) -> impl FnOnce(pem::Error) -> TlsError {
    let path = path.to_owned();
    move |source| TlsError::Pem { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_do_not_fit_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let files = Files {
            authority: dir.path().join("nosuch"),
            certificate: file("cert", ""),
            key: file("key", ""),
        };
        let error = Acceptor::open(&files).unwrap_err();
        assert!(error.to_string().contains("nosuch"), "{error}");
        let authority = file("ca", "no PEM here");
        let error = Acceptor::open(&Files { authority, ..files }).unwrap_err();
        assert!(matches!(error, TlsError::Empty { .. }), "{error}");
    }
}
