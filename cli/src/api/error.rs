//! Why a call failed, in Docker's words where it has some.

/// A failed call to the daemon.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("Cannot connect to the Hull daemon at {host}. Is the hulld daemon running?")]
    Unreachable { host: String },
    #[error("permission denied while trying to connect to the Hull daemon socket at {host}")]
    Denied { host: String },
    #[error("Error response from daemon: {message}")]
    Daemon { status: u16, message: String },
    /// An error told within a stream that had already begun with a success.
    #[error("{message}")]
    Told { message: String },
    #[error("{message}")]
    Wait { message: String },
    #[error("cannot agree on TLS with the Hull daemon at {host}: {source}")]
    Tls {
        host: String,
        source: std::io::Error,
    },
    #[error("lost the connection to the daemon: {}", reasons(source))]
    Http {
        #[from]
        source: hyper::Error,
    },
    #[error("lost the connection to the daemon: {source}")]
    Stream { source: std::io::Error },
    #[error("cannot read the daemon's answer: {source}")]
    Decode { source: serde_json::Error },
    #[error("unable to upgrade to tcp, received {status}")]
    NotUpgraded { status: u16 },
    #[error("the daemon's stream is not framed as announced: {source}")]
    Frame {
        #[from]
        source: super::frames::FrameError,
    },
    #[error("invalid request address: {source}")]
    Address {
        source: hyper::http::uri::InvalidUri,
    },
    #[error("{source}")]
    Client { source: bollard::errors::Error },
}

/// An error with what caused it: that a daemon takes no certificate of ours is three deep.
fn reasons(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

impl Error {
    pub(crate) fn uri(source: hyper::http::uri::InvalidUri) -> Error {
        Error::Address { source }
    }

    /// The daemon said that what was asked for is not there.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Error::Daemon { status: 404, .. })
    }

    /// There is no daemon; asking it again for another object would say the same.
    pub(crate) fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Error::Unreachable { .. } | Error::Denied { .. } | Error::Tls { .. }
        )
    }

    /// Carries this error through `bollard`, out of which [`From`] takes it again.
    pub(super) fn into_bollard(self) -> bollard::errors::Error {
        std::io::Error::other(self).into()
    }
}

impl From<bollard::errors::Error> for Error {
    fn from(error: bollard::errors::Error) -> Error {
        use bollard::errors::Error as Bollard;
        match error {
            Bollard::DockerResponseServerError {
                status_code,
                message,
            } => Error::Daemon {
                status: status_code,
                message,
            },
            Bollard::IOError { err } => match err.downcast::<Error>() {
                Ok(own) => own,
                Err(source) => Error::Stream { source },
            },
            Bollard::DockerStreamError { error } => Error::Told { message: error },
            source => Error::Client { source },
        }
    }
}
