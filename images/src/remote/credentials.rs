//! What a user shows to a registry.

use std::fmt;

/// Nothing, a name and a password, or a token that stands for them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    pub username: String,
    pub password: String,
    /// From an earlier login; shown to the token server in the password's place.
    pub identity_token: String,
    /// Shown to the registry as it is.
    pub registry_token: String,
}

impl Credentials {
    pub(crate) fn basic(&self) -> Option<String> {
        use base64::Engine;

        if self.username.is_empty() || self.password.is_empty() {
            return None;
        }
        let pair = format!("{}:{}", self.username, self.password);
        let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
        Some(format!("Basic {encoded}"))
    }
}

impl fmt::Debug for Credentials {
    /// Never a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_shown_by_debug() {
        let credentials = Credentials {
            username: "bob".into(),
            password: "s3cret".into(),
            identity_token: "t0ken".into(),
            registry_token: "r0ken".into(),
        };
        let shown = format!("{credentials:?}");
        assert!(shown.contains("bob"));
        for secret in ["s3cret", "t0ken", "r0ken"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert_eq!(credentials.basic().unwrap(), "Basic Ym9iOnMzY3JldA==");
        assert_eq!(Credentials::default().basic(), None);
    }
}
