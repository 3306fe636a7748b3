//! `docker-credential-NAME`: programs that keep secrets in a keychain.
//!
//! `get`, `store` and `erase` on the command line; a server or an account in JSON on stdin.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde::{Deserialize, Serialize};

use super::Account;
use crate::failure::Failure;

/// The user name of an account that is a token.
const TOKEN: &str = "<token>";
/// What all these programs say where they have nothing.
const NONE: &str = "credentials not found in native keychain";

#[derive(Debug)]
pub(super) struct Helper {
    program: String,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Kept {
    #[serde(rename = "ServerURL")]
    server_url: String,
    username: String,
    secret: String,
}

impl Helper {
    pub(super) fn new(name: &str) -> Helper {
        Helper {
            program: format!("docker-credential-{name}"),
        }
    }

    pub(super) fn get(&self, server: &str) -> Result<Account, Failure> {
        let output = self.run("get", server.as_bytes())?;
        if !output.status.success() {
            return match said(&output) == NONE {
                true => Ok(Account::default()),
                false => Err(self.failed("getting credentials", &said(&output))),
            };
        }
        let kept: Kept = serde_json::from_slice(&output.stdout)
            .map_err(|error| self.failed("getting credentials", &error.to_string()))?;
        Ok(match kept.username.as_str() {
            TOKEN => Account {
                identity_token: kept.secret,
                ..Account::default()
            },
            _ => Account {
                username: kept.username,
                password: kept.secret,
                identity_token: String::new(),
            },
        })
    }

    pub(super) fn store(&self, server: &str, account: &Account) -> Result<(), Failure> {
        let (username, secret) = match account.identity_token.as_str() {
            "" => (account.username.as_str(), account.password.as_str()),
            token => (TOKEN, token),
        };
        let kept = Kept {
            server_url: server.to_owned(),
            username: username.to_owned(),
            secret: secret.to_owned(),
        };
        let text = serde_json::to_vec(&kept).unwrap_or_default();
        self.done("storing credentials", &self.run("store", &text)?)
    }

    pub(super) fn erase(&self, server: &str) -> Result<(), Failure> {
        let output = self.run("erase", server.as_bytes())?;
        match said(&output) == NONE {
            true => Ok(()),
            false => self.done("erasing credentials", &output),
        }
    }

    fn done(&self, what: &str, output: &Output) -> Result<(), Failure> {
        match output.status.success() {
            true => Ok(()),
            false => Err(self.failed(what, &said(output))),
        }
    }

    fn run(&self, action: &str, input: &[u8]) -> Result<Output, Failure> {
        let failed = |error: std::io::Error| self.failed("running it", &error.to_string());
        let mut child = Command::new(&self.program)
            .arg(action)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that does not want to know says itself what is wrong.
            let _unread = stdin.write_all(input);
        }
        child.wait_with_output().map_err(failed)
    }

    fn failed(&self, what: &str, why: &str) -> Failure {
        Failure::new(format!("error {what} - {}: {why}", self.program))
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_program_keeps_accounts() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("helper");
        let kept = folder.path().join("kept");
        let script = format!(
            "#!/bin/sh\ncase $1 in\nstore) cat > {kept} ;;\nerase) cat > /dev/null; rm {kept} ;;\n\
             get) cat > /dev/null; test -f {kept} && cat {kept} || {{ echo '{NONE}'; exit 1; }} ;;\nesac\n",
            kept = kept.display()
        );
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        let helper = Helper {
            program: program.display().to_string(),
        };
        assert!(helper.get("x").unwrap().is_empty());
        for account in [
            Account {
                username: "bob".into(),
                password: "secret".into(),
                ..Account::default()
            },
            Account {
                identity_token: "token".into(),
                ..Account::default()
            },
        ] {
            helper.store("x", &account).unwrap();
            assert_eq!(helper.get("x").unwrap(), account);
        }
        helper.erase("x").unwrap();
        assert!(helper.get("x").unwrap().is_empty());
        let failure = Helper::new("that-is-not-there").get("x").unwrap_err();
        assert!(failure.text.contains("docker-credential-that-is-not-there"));
    }
}
