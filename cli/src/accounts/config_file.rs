//! `config.json`: Docker's file of a user's settings, of which the accounts are ours.
//!
//! What else is in it stays as it is. It is written aside and renamed, and only its owner may
//! read it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Account, hostname};
use crate::failure::Failure;

const AUTHS: &str = "auths";
/// More is no settings file.
const MAX_LENGTH: u64 = 4 << 20;

#[derive(Debug)]
pub(crate) struct ConfigFile {
    path: PathBuf,
    auths: Map<String, Value>,
    /// Everything else.
    all: Map<String, Value>,
}

impl ConfigFile {
    /// The user's own.
    pub(crate) fn open() -> Result<ConfigFile, Failure> {
        let folder = match std::env::var_os("DOCKER_CONFIG").filter(|dir| !dir.is_empty()) {
            Some(folder) => PathBuf::from(folder),
            None => PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".docker"),
        };
        ConfigFile::read(&folder.join("config.json"))
    }

    fn read(path: &Path) -> Result<ConfigFile, Failure> {
        let failed = |why: String| {
            Failure::new(format!(
                "error reading config file {}: {why}",
                path.display()
            ))
        };
        let mut all = match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Map::new(),
            Err(error) => return Err(failed(error.to_string())),
            Ok(metadata) if metadata.len() > MAX_LENGTH => {
                return Err(failed(format!("longer than {MAX_LENGTH} bytes")));
            }
            Ok(_) => {
                let text = fs::read(path).map_err(|error| failed(error.to_string()))?;
                match text.iter().all(u8::is_ascii_whitespace) {
                    true => Map::new(),
                    false => {
                        serde_json::from_slice(&text).map_err(|error| failed(error.to_string()))?
                    }
                }
            }
        };
        let auths = match all.remove(AUTHS) {
            Some(Value::Object(auths)) => auths,
            _ => Map::new(),
        };
        Ok(ConfigFile {
            auths,
            // Where a link leads is what is written.
            path: fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()),
            all,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The program that keeps the account at `server`, if one does.
    pub(super) fn helper(&self, server: &str) -> Option<String> {
        let helpers = self.all.get("credHelpers").and_then(Value::as_object);
        let own = helpers.and_then(|helpers| helpers.get(server));
        let all = || self.all.get("credsStore");
        let name = own.or_else(all).and_then(Value::as_str)?;
        (!name.is_empty()).then(|| name.to_owned())
    }

    pub(super) fn account(&self, server: &str) -> Account {
        let auths = &self.auths;
        let same = |(key, _): &(&String, &Value)| hostname(key) == hostname(server);
        let exact = auths.get(server);
        let near = || auths.iter().find(same).map(|(_, entry)| entry);
        exact.or_else(near).map(account).unwrap_or_default()
    }

    pub(super) fn set(&mut self, server: &str, account: &Account) -> Result<(), Failure> {
        let mut entry = Map::new();
        if !account.username.is_empty() {
            // Of an account with a token the password is not kept.
            let password = match account.identity_token.as_str() {
                "" => account.password.as_str(),
                _ => "",
            };
            let auth = STANDARD.encode(format!("{}:{password}", account.username));
            entry.insert("auth".to_owned(), auth.into());
        }
        if !account.identity_token.is_empty() {
            let token = account.identity_token.clone();
            entry.insert("identitytoken".to_owned(), token.into());
        }
        self.auths.insert(server.to_owned(), entry.into());
        self.write()
    }

    pub(super) fn remove(&mut self, server: &str) -> Result<(), Failure> {
        let before = self.auths.len();
        self.auths
            .retain(|key, _| hostname(key) != hostname(server));
        match self.auths.len() == before {
            true => Ok(()),
            false => self.write(),
        }
    }

    fn write(&self) -> Result<(), Failure> {
        let failed = |error: io::Error| {
            let path = self.path.display();
            Failure::new(format!(
                "error saving credentials: cannot write {path}: {error}"
            ))
        };
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let mut builder = fs::DirBuilder::new();
        builder
            .mode(0o700)
            .recursive(true)
            .create(folder)
            .map_err(failed)?;
        let aside = folder.join(format!("config.json.{}", std::process::id()));
        let written = self.write_aside(&aside);
        let renamed = written.and_then(|()| fs::rename(&aside, &self.path));
        if renamed.is_err() {
            // It is not there, or of no use.
            let _gone = fs::remove_file(&aside);
        }
        renamed.map_err(failed)
    }

    fn write_aside(&self, aside: &Path) -> io::Result<()> {
        let mut text = Vec::new();
        let tabs = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        let mut out = serde_json::Serializer::with_formatter(&mut text, tabs);
        let mut all = self.all.clone();
        all.insert(AUTHS.to_owned(), Value::Object(self.auths.clone()));
        all.serialize(&mut out)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(aside)?;
        file.write_all(&text)?;
        file.sync_all()
    }
}

fn account(entry: &Value) -> Account {
    let text = |key: &str| {
        let value = entry.get(key).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    let decoded = STANDARD.decode(text("auth")).unwrap_or_default();
    let pair = String::from_utf8(decoded).unwrap_or_default();
    let (username, password) = pair.split_once(':').unwrap_or_default();
    let or = |first: &str, second: String| match first {
        "" => second,
        first => first.to_owned(),
    };
    Account {
        username: or(username, text("username")),
        password: or(password.trim_end_matches('\0'), text("password")),
        identity_token: text("identitytoken"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn bob() -> Account {
        Account {
            username: "bob".into(),
            password: "se:cret".into(),
            identity_token: String::new(),
        }
    }

    #[test]
    fn accounts_are_kept_as_docker_keeps_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/config.json");
        let mut file = ConfigFile::read(&path).unwrap();
        assert!(file.account("localhost:5000").is_empty());
        file.set("localhost:5000", &bob()).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(
            text,
            "{\n\t\"auths\": {\n\t\t\"localhost:5000\": {\n\t\t\t\"auth\": \"Ym9iOnNlOmNyZXQ=\"\n\t\t}\n\t}\n}"
        );
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let mut file = ConfigFile::read(&path).unwrap();
        assert_eq!(file.account("localhost:5000"), bob());
        file.remove("localhost:5000").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\n\t\"auths\": {}\n}");
    }

    #[test]
    fn what_else_is_in_the_file_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let text = r#"{"psFormat":"x","auths":{"https://localhost:1/v1/":{"username":"a","password":"b"}},
            "credsStore":"all","credHelpers":{"one.example":"own"}}"#;
        fs::write(&path, text).unwrap();
        let mut file = ConfigFile::read(&path).unwrap();
        assert_eq!(file.account("localhost:1").username, "a");
        assert_eq!(file.helper("one.example").as_deref(), Some("own"));
        assert_eq!(file.helper("localhost:1").as_deref(), Some("all"));
        let token = Account {
            identity_token: "t".into(),
            ..bob()
        };
        file.set("x", &token).unwrap();
        let file = ConfigFile::read(&path).unwrap();
        assert_eq!(file.all["psFormat"], "x");
        let kept = file.account("x");
        assert_eq!(
            (kept.password.as_str(), kept.identity_token.as_str()),
            ("", "t")
        );
    }

    #[test]
    fn a_damaged_file_is_named_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        fs::write(&path, "{\"auths\":").unwrap();
        let failure = ConfigFile::read(&path).unwrap_err();
        assert!(failure.text.contains("config.json"), "{failure:?}");
        fs::write(&path, " \n").unwrap();
        assert!(ConfigFile::read(&path).unwrap().all.is_empty());
    }
}
