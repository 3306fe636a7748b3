//! A user's accounts at registries: what `login` keeps and pulls and pushes show.
//!
//! Kept where Docker keeps them, in Docker's form, so that a login with either holds for both:
//! `$DOCKER_CONFIG/config.json` (`~/.docker`), or a `docker-credential-…` program that it names.

mod config_file;
mod helper;

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use serde::Serialize;

use crate::failure::Failure;
pub(crate) use config_file::ConfigFile;
use helper::Helper;

/// Docker Hub, as accounts name it.
pub(crate) const HUB: &str = "https://index.docker.io/v1/";

/// A user at a registry.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) username: String,
    pub(crate) password: String,
    /// Instead of the password, from a registry that gives such.
    pub(crate) identity_token: String,
}

impl Account {
    pub(crate) fn is_empty(&self) -> bool {
        self.username.is_empty() && self.identity_token.is_empty()
    }

    /// As the daemon's `X-Registry-Auth` takes it.
    pub(crate) fn header(&self, server: &str) -> String {
        let text = match self.is_empty() {
            true => "{}".to_owned(),
            false => self.json(server),
        };
        URL_SAFE.encode(text)
    }

    /// As the daemon's `/auth` takes it.
    pub(crate) fn json(&self, server: &str) -> String {
        #[derive(Serialize)]
        struct AuthConfig<'a> {
            #[serde(skip_serializing_if = "str::is_empty")]
            username: &'a str,
            #[serde(skip_serializing_if = "str::is_empty")]
            password: &'a str,
            serveraddress: &'a str,
            #[serde(skip_serializing_if = "str::is_empty")]
            identitytoken: &'a str,
        }
        let config = AuthConfig {
            username: &self.username,
            password: &self.password,
            serveraddress: server,
            identitytoken: &self.identity_token,
        };
        // Texts in a struct: there is nothing that JSON has not.
        serde_json::to_string(&config).unwrap_or_default()
    }
}

/// Where a registry's account is kept.
enum Keeper {
    File,
    Program(Helper),
}

/// Every account.
pub(crate) struct Accounts {
    file: ConfigFile,
}

impl Accounts {
    pub(crate) fn open() -> Result<Accounts, Failure> {
        Ok(Accounts {
            file: ConfigFile::open()?,
        })
    }

    /// The account at `server`; an empty one where there is none.
    pub(crate) fn get(&self, server: &str) -> Result<Account, Failure> {
        match self.keeper(server) {
            Keeper::File => Ok(self.file.account(server)),
            Keeper::Program(helper) => helper.get(server),
        }
    }

    /// Keeps an account; says in which file, if it is there for anyone who can read it.
    pub(crate) fn store(
        &mut self,
        server: &str,
        account: &Account,
    ) -> Result<Option<&Path>, Failure> {
        match self.keeper(server) {
            Keeper::Program(helper) => {
                helper.store(server, account)?;
                // The entry says that there is something, not what.
                self.file.set(server, &Account::default())?;
                Ok(None)
            }
            Keeper::File => {
                self.file.set(server, account)?;
                Ok(Some(self.file.path()))
            }
        }
    }

    /// Forgets an account.
    pub(crate) fn erase(&mut self, server: &str) -> Result<(), Failure> {
        if let Keeper::Program(helper) = self.keeper(server) {
            helper.erase(server)?;
        }
        self.file.remove(server)
    }

    fn keeper(&self, server: &str) -> Keeper {
        match self.file.helper(server) {
            Some(name) => Keeper::Program(Helper::new(&name)),
            None => Keeper::File,
        }
    }
}

/// The server that the accounts of images of `host` are kept under.
pub(crate) fn server_of(host: &str) -> &str {
    match host {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => HUB,
        host => host,
    }
}

/// A server's host, without scheme and path, as older logins wrote them.
fn hostname(server: &str) -> &str {
    let rest = server.strip_prefix("https://").unwrap_or(server);
    let rest = rest.strip_prefix("http://").unwrap_or(rest);
    rest.split('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_dockers() {
        assert_eq!(Account::default().header(HUB), "e30=");
        let bob = Account {
            username: "bob".into(),
            password: "s".into(),
            ..Account::default()
        };
        let text = URL_SAFE.decode(bob.header("localhost:5000")).unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            r#"{"username":"bob","password":"s","serveraddress":"localhost:5000"}"#
        );
    }
}
