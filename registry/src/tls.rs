//! TLS, with a certificate that may be renewed while the server runs.
//!
//! The files' dates are looked at when a client connects, at most once a second. New files that
//! cannot be used change nothing, and the log says why: half a renewal is a common thing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

use crate::config;

const LOOK: Duration = Duration::from_secs(1);

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
pub(crate) struct Identity {
    files: config::Tls,
    current: Mutex<Current>,
}

struct Current {
    acceptor: TlsAcceptor,
    dates: Dates,
    looked: Instant,
}

impl std::fmt::Debug for Current {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Current")
            .field("dates", &self.dates)
            .finish_non_exhaustive()
    }
}

type Dates = [Option<SystemTime>; 2];

impl Identity {
    pub(crate) fn open(files: &config::Tls) -> Result<Identity, TlsError> {
        let dates = dates(files);
        let current = Current {
            acceptor: load(files)?,
            dates,
            looked: Instant::now(),
        };
        Ok(Identity {
            files: files.clone(),
            current: Mutex::new(current),
        })
    }

    /// What greets the next client.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.looked.elapsed() >= LOOK {
            current.looked = Instant::now();
            let dates = dates(&self.files);
            if dates != current.dates {
                match load(&self.files) {
                    Ok(acceptor) => {
                        let path = self.files.certificate.display();
                        tracing::info!(%path, "read the renewed certificate");
                        (current.acceptor, current.dates) = (acceptor, dates);
                    }
                    Err(error) => tracing::warn!(%error, "the certificate of before stays"),
                }
            }
        }
        current.acceptor.clone()
    }
}

fn dates(files: &config::Tls) -> Dates {
    let date = |path: &Path| {
        fs::metadata(path)
            .and_then(|metadata| metadata.modified())
            .ok()
    };
    [date(&files.certificate), date(&files.key)]
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
