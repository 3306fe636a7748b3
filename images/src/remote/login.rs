//! Whether a registry takes a user's name and password.

use ureq::http::{Method, StatusCode};

use super::endpoint::Purpose;
use super::wire::Call;
use super::{Cancel, Connection, Credentials, Remote, RemoteError, Scope};

/// A registry took the credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Stands for the password from now on, where a registry gives one.
    pub identity_token: String,
}

impl Remote {
    /// Shows credentials to a registry: `localhost:5000`, or an address as `docker login` knows
    /// it (`https://index.docker.io/v1/`).
    pub fn login(&self, server: &str, credentials: &Credentials) -> Result<Login, RemoteError> {
        let cancel = Cancel::default();
        let mut failure = None;
        for endpoint in self.endpoints(&domain(server), Purpose::Push) {
            let connection = match Connection::open(self, &endpoint, credentials, &cancel) {
                Ok(connection) => connection,
                Err(error) => {
                    failure = Some(error);
                    continue;
                }
            };
            let call = Call::new(Method::GET, connection.url(""));
            let identity_token = match credentials.identity_token.as_str() {
                "" => connection.authority().identity(connection.wire(), &call)?,
                token => token.to_owned(),
            };
            let answer = connection.send(&call, &Scope::none())?;
            return match answer.status() {
                StatusCode::OK => Ok(Login { identity_token }),
                status => Err(RemoteError::Login {
                    url: call.url,
                    status,
                }),
            };
        }
        // There is an endpoint for every name.
        Err(failure.unwrap_or(RemoteError::Status(StatusCode::NOT_FOUND)))
    }
}

/// The domain that images of this server have.
fn domain(server: &str) -> String {
    let rest = server.trim();
    let rest = rest.strip_prefix("https://").unwrap_or(rest);
    let rest = rest.strip_prefix("http://").unwrap_or(rest);
    let host = rest.split('/').next().unwrap_or_default();
    match host {
        "" | "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        host => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_lead_to_domains() {
        for (server, expected) in [
            ("", "docker.io"),
            ("https://index.docker.io/v1/", "docker.io"),
            ("docker.io", "docker.io"),
            ("localhost:5000", "localhost:5000"),
            ("http://localhost:5000/v2/", "localhost:5000"),
            ("https://r.example", "r.example"),
        ] {
            assert_eq!(domain(server), expected, "{server}");
        }
    }
}
