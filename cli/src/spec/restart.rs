//! `--restart`: `no`, `always`, `unless-stopped`, `on-failure[:times]`.

use bollard::models::{RestartPolicy, RestartPolicyNameEnum};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RestartError {
    #[error("invalid restart policy format: no policy provided before colon")]
    NoPolicy,
    #[error("invalid restart policy format: maximum retry count must be an integer")]
    Count,
    #[error(
        "invalid restart policy: unknown policy '{0}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
    )]
    Unknown(String),
    #[error("invalid restart policy: maximum retry count can only be used with 'on-failure'")]
    CountWithoutFailure,
}

pub(crate) fn parse(text: &str) -> Result<RestartPolicy, RestartError> {
    let (name, count) = match text.split_once(':') {
        Some(("", _)) => return Err(RestartError::NoPolicy),
        Some((name, count)) => (name, Some(count.parse().map_err(|_| RestartError::Count)?)),
        None => (text, None),
    };
    let policy = match name {
        "" | "no" => RestartPolicyNameEnum::NO,
        "always" => RestartPolicyNameEnum::ALWAYS,
        "unless-stopped" => RestartPolicyNameEnum::UNLESS_STOPPED,
        "on-failure" => RestartPolicyNameEnum::ON_FAILURE,
        other => return Err(RestartError::Unknown(other.to_owned())),
    };
    if count.is_some_and(|count: i64| count != 0) && policy != RestartPolicyNameEnum::ON_FAILURE {
        return Err(RestartError::CountWithoutFailure);
    }
    Ok(RestartPolicy {
        name: Some(policy),
        maximum_retry_count: Some(count.unwrap_or(0)),
    })
}

pub(super) fn is_none(policy: &RestartPolicy) -> bool {
    policy.name == Some(RestartPolicyNameEnum::NO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_and_their_counts_are_read() {
        let shown = |text| {
            parse(text).map(|policy| (policy.name.unwrap(), policy.maximum_retry_count.unwrap()))
        };
        assert_eq!(shown("no"), Ok((RestartPolicyNameEnum::NO, 0)));
        assert_eq!(shown("always"), Ok((RestartPolicyNameEnum::ALWAYS, 0)));
        assert_eq!(
            shown("on-failure:2"),
            Ok((RestartPolicyNameEnum::ON_FAILURE, 2))
        );
        assert_eq!(shown(":2"), Err(RestartError::NoPolicy));
        assert_eq!(shown("on-failure:x"), Err(RestartError::Count));
        assert_eq!(shown("always:3"), Err(RestartError::CountWithoutFailure));
        assert_eq!(
            shown("sometimes"),
            Err(RestartError::Unknown("sometimes".into()))
        );
    }
}
