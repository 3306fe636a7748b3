//! What goes wrong between a cache and its upstream, and what clients are told of it.

use hull_images::remote::{Trouble, UpstreamError};
use hull_images::repositories::RepositoryError;
use hyper::StatusCode;
use hyper::header::RETRY_AFTER;

use crate::refusal::{Code, Refusal};

/// Why something did not come from the upstream.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    #[error(transparent)]
    Store(#[from] RepositoryError),
    #[error("{0:?}")]
    Refused(Refusal),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        Failure::Refused(refusal)
    }
}

impl Failure {
    /// What a client is told, who asked for what is called `missing` where it is not.
    pub(super) fn refusal(self, missing: Code) -> Refusal {
        let error = match self {
            Failure::Upstream(error) => error,
            Failure::Store(RepositoryError::DigestMismatch { .. }) => {
                return nonsense("it sent something else than was asked for");
            }
            Failure::Store(error) => return error.into(),
            Failure::Refused(refusal) => return refusal,
        };
        // The log has the words; they may name what clients need not know.
        match error.trouble() {
            Trouble::Missing => Refusal::new(missing),
            Trouble::Refused => {
                Refusal::new(Code::Denied).detail("the upstream registry refuses this cache")
            }
            Trouble::Busy(later) => {
                let refusal = Refusal::new(Code::TooManyRequests)
                    .detail("the upstream registry was asked too often");
                match later {
                    Some(later) => refusal.header(RETRY_AFTER, &later.as_secs().to_string()),
                    None => refusal,
                }
            }
            Trouble::Away => {
                Refusal::new(Code::Unavailable).detail("the upstream registry does not answer")
            }
            Trouble::Nonsense => nonsense("its answer makes no sense"),
        }
    }

    /// Whether a copy is better than this.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Failure::Upstream(error) => {
                matches!(error.trouble(), Trouble::Busy(_) | Trouble::Away)
            }
            _ => false,
        }
    }

    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Failure::Upstream(error) if error.trouble() == Trouble::Missing)
    }
}

pub(super) fn nonsense(why: &str) -> Refusal {
    Refusal::new(Code::Unknown)
        .status(StatusCode::BAD_GATEWAY)
        .detail(format!("the upstream registry cannot be used: {why}"))
}
