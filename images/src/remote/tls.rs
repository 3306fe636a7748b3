//! Whom a connection trusts: the system's authorities, and those of the registry's own folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use super::RemoteError;
use super::endpoint::Endpoint;

/// Where Debian, Alpine and Fedora keep the authorities' certificates.
const BUNDLES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/cert.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
];

pub(crate) fn config(endpoint: &Endpoint, folders: &[PathBuf]) -> Result<TlsConfig, RemoteError> {
    let host = &endpoint.host;
    let failed = |why: String| RemoteError::Certificates {
        host: host.clone(),
        why,
    };
    let own = Own::read(folders, host).map_err(failed)?;
    let mut builder = TlsConfig::builder().disable_verification(!endpoint.verified);
    match (system(), own.authorities.is_empty()) {
        // Without any of the system's, those that Mozilla publishes, which are built in.
        ([], true) => {}
        (system, _) => {
            let all: Vec<_> = system.iter().cloned().chain(own.authorities).collect();
            builder = builder.root_certs(RootCerts::new_with_certs(&all));
        }
    }
    Ok(builder.client_cert(own.client).build())
}

fn system() -> &'static [Certificate<'static>] {
    static FOUND: OnceLock<Vec<Certificate<'static>>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
        let paths = named.into_iter().chain(BUNDLES.map(PathBuf::from));
        let found = paths.filter_map(|path| fs::read(path).ok()).next();
        certificates(&found.unwrap_or_default()).unwrap_or_default()
    })
}

/// What a registry's folder holds.
#[derive(Default)]
struct Own {
    authorities: Vec<Certificate<'static>>,
    client: Option<ClientCert>,
}

impl Own {
    /// The first folder that has one for `host` counts.
    fn read(folders: &[PathBuf], host: &str) -> Result<Own, String> {
        // A host is letters, digits, dots, dashes, colons and brackets: it names one folder.
        let folder = folders.iter().map(|folder| folder.join(host));
        let Some(folder) = folder.into_iter().find(|folder| folder.is_dir()) else {
            return Ok(Own::default());
        };
        let mut own = Own::default();
        let mut paths: Vec<PathBuf> = fs::read_dir(&folder)
            .map_err(|error| format!("{}: {error}", folder.display()))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        paths.sort();
        for path in &paths {
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("crt") => own.authorities.extend(
                    certificates(&read(path)?)
                        .map_err(|error| format!("{}: {error}", path.display()))?,
                ),
                Some("cert") => own.client = Some(client(path)?),
                Some("key") if !path.with_extension("cert").exists() => {
                    let (key, certificate) = (path.display(), path.with_extension("cert"));
                    return Err(format!(
                        "missing client certificate {} for key {key}",
                        certificate.display()
                    ));
                }
                _ => {}
            }
        }
        Ok(own)
    }
}

fn client(path: &Path) -> Result<ClientCert, String> {
    let key_path = path.with_extension("key");
    if !key_path.exists() {
        return Err(format!(
            "missing key {} for client certificate {}",
            key_path.display(),
            path.display()
        ));
    }
    let explain = |path: &Path, error: ureq::Error| format!("{}: {error}", path.display());
    let chain = certificates(&read(path)?).map_err(|error| explain(path, error))?;
    let key = PrivateKey::from_pem(&read(&key_path)?).map_err(|error| explain(&key_path, error))?;
    Ok(ClientCert::new_with_certs(&chain, key))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate<'static>>, ureq::Error> {
    let mut found = Vec::new();
    for item in parse_pem(pem) {
        if let PemItem::Certificate(certificate) = item? {
            found.push(certificate);
        }
    }
    Ok(found)
}
