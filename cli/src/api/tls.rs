//! Mutual TLS with a daemon on another machine: it shows a certificate of our authority's, and we
//! show ours.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// The files that make it up, by Docker's names in one folder where nothing else is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    pub(crate) authority: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl TlsFiles {
    pub(crate) fn within(folder: &Path) -> TlsFiles {
        TlsFiles {
            authority: folder.join("ca.pem"),
            certificate: folder.join("cert.pem"),
            key: folder.join("key.pem"),
        }
    }
}

/// Why they cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("could not read {path}: {source}", path = path.display())]
    Pem { path: PathBuf, source: pem::Error },
    #[error("{path} is no authority: {source}", path = path.display())]
    Authority {
        path: PathBuf,
        source: rustls::Error,
    },
    #[error("{certificate} and {key} do not make an identity: {source}", certificate = certificate.display(), key = key.display())]
    Identity {
        certificate: PathBuf,
        key: PathBuf,
        source: rustls::Error,
    },
}

#[derive(Clone)]
pub(crate) struct Tls(TlsConnector);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    pub(crate) fn open(files: &TlsFiles) -> Result<Tls, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&files.authority)? {
            roots
                .add(certificate)
                .map_err(|source| TlsError::Authority {
                    path: files.authority.clone(),
                    source,
                })?;
        }
        let key = PrivateKeyDer::from_pem_file(&files.key).map_err(pem(&files.key))?;
        let identity = |source| TlsError::Identity {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
            source,
        };
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(identity)?
            .with_root_certificates(roots)
            .with_client_auth_cert(certificates(&files.certificate)?, key)
            .map_err(identity)?;
        Ok(Tls(TlsConnector::from(Arc::new(config))))
    }

    /// `address` is `HOST:PORT`; the daemon's certificate has to name the host.
    pub(super) async fn connect(
        &self,
        address: &str,
        socket: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        self.0.connect(name, socket).await
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_file_iter(path)
        .and_then(std::iter::Iterator::collect)
        .map_err(pem(path))
}

fn pem(path: &Path) -> impl FnOnce(pem::Error) -> TlsError {
    let path = path.to_owned();
    move |source| TlsError::Pem { path, source }
}
