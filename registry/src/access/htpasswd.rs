//! Users and their passwords: lines of `user:hash`, as `htpasswd -B` writes them.
//!
//! Only bcrypt is taken, as `distribution` does. It is slow on purpose, so what was found right is
//! remembered for a while (as a keyed digest, never as it is), and few are checked at once. The
//! file is read again when it changes.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ring::hmac;
use ring::rand::SystemRandom;
use tokio::sync::Semaphore;

use crate::refusal::{Code, Refusal, internal};
use crate::watched::Watched;

/// How long a password stays known as right.
const REMEMBER: Duration = Duration::from_secs(300);
const MOST_REMEMBERED: usize = 10_000;
/// Checked at once; as many as this again wait for each.
const AT_ONCE: usize = 2;
/// A hash of nothing that is a password here: who is unknown takes as long as who is not.
const NOBODY: &str = "$2y$05$abcdefghijklmnopqrstuuWLNaHkI7XYMNpqMEM3Zb2BLWHBWzTne";

/// Why a password file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HtpasswdError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "{}, line {line}: not user:hash with a bcrypt hash: write it with htpasswd -B",
        path.display()
    )]
    Line { path: PathBuf, line: usize },
    #[error("no random numbers can be had")]
    Random,
}

#[derive(Debug)]
pub(crate) struct Htpasswd {
    users: Watched<HashMap<String, String>, HtpasswdError>,
    key: hmac::Key,
    places: Semaphore,
    /// What was found right, and until when that counts.
    right: Mutex<HashMap<[u8; 32], Instant>>,
}

impl Htpasswd {
    pub(crate) fn open(path: &Path) -> Result<Htpasswd, HtpasswdError> {
        let file = path.to_owned();
        let users = Watched::open(&[path], move || load(&file))?;
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Ok(Htpasswd {
            users,
            key: key.map_err(|_| HtpasswdError::Random)?,
            places: Semaphore::new(AT_ONCE),
            right: Mutex::default(),
        })
    }

    /// Whether it is this user's password.
    pub(crate) async fn verify(&self, user: &str, password: &str) -> Result<bool, Refusal> {
        let hash = self.users.current().get(user).cloned();
        let known = hash.is_some();
        let hash = hash.unwrap_or(NOBODY.to_owned());
        let mark = self.mark(&[user, password, &hash]);
        let until = self.right().get(&mark).copied();
        if until.is_some_and(|until| until > Instant::now()) {
            return Ok(true);
        }
        let busy = |_| Refusal::new(Code::Unavailable);
        let _place = self.places.acquire().await.map_err(busy)?;
        let password = password.to_owned();
        let check = move || bcrypt::verify(password, &hash).unwrap_or(false);
        let right = tokio::task::spawn_blocking(check).await;
        let right = right.map_err(|error| internal(&error))? && known;
        if right {
            let mut remembered = self.right();
            if remembered.len() >= MOST_REMEMBERED {
                remembered.clear();
            }
            remembered.insert(mark, Instant::now() + REMEMBER);
        }
        Ok(right)
    }

    /// Of a password that was found right for a hash: another hash has another.
    fn mark(&self, parts: &[&str; 3]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part.as_bytes());
        }
        let mut mark = [0; 32];
        mark.copy_from_slice(context.sign().as_ref());
        mark
    }

    fn right(&self) -> MutexGuard<'_, HashMap<[u8; 32], Instant>> {
        self.right.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn load(path: &Path) -> Result<HashMap<String, String>, HtpasswdError> {
    let text = fs::read_to_string(path).map_err(|source| HtpasswdError::Read {
        path: path.to_owned(),
        source,
    })?;
    parse(&text).map_err(|line| HtpasswdError::Line {
        path: path.to_owned(),
        line,
    })
}

/// The users of a file, or the number of a line that is none.
fn parse(text: &str) -> Result<HashMap<String, String>, usize> {
    let mut users = HashMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (user, hash) = line.split_once(':').ok_or(number + 1)?;
        let is_bcrypt = ["$2y$", "$2a$", "$2b$"]
            .iter()
            .any(|kind| hash.starts_with(kind));
        if user.is_empty() || !is_bcrypt || hash.len() != 60 {
            return Err(number + 1);
        }
        users.insert(user.to_owned(), hash.to_owned());
    }
    Ok(users)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn line(user: &str, password: &str) -> String {
        format!("{user}:{}\n", bcrypt::hash(password, 4).unwrap())
    }

    #[tokio::test]
    async fn passwords_are_checked_and_changes_are_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("htpasswd");
        fs::write(
            &path,
            format!("# users\n\n{}{}", line("ann", "one"), line("bob", "two")),
        )
        .unwrap();
        let htpasswd = Htpasswd::open(&path).unwrap();
        for _ in 0..2 {
            assert!(htpasswd.verify("ann", "one").await.unwrap());
            assert!(!htpasswd.verify("ann", "two").await.unwrap());
            assert!(!htpasswd.verify("cid", "one").await.unwrap());
            assert!(!htpasswd.verify("", "").await.unwrap());
        }
        let change = |text: &str, second| {
            fs::write(&path, text).unwrap();
            let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            fs::File::open(&path).unwrap().set_modified(moment).unwrap();
            htpasswd.users.look_again();
        };
        change(&line("ann", "new"), 1);
        assert!(!htpasswd.verify("ann", "one").await.unwrap());
        assert!(htpasswd.verify("ann", "new").await.unwrap());
        change("nonsense", 2);
        assert!(htpasswd.verify("ann", "new").await.unwrap());
    }

    #[test]
    fn other_hashes_are_refused() {
        assert_eq!(parse("a:$apr1$x$y"), Err(1));
        assert_eq!(parse("\n# x\nnothing"), Err(3));
        assert_eq!(parse("a:$2y$05$short"), Err(1));
        assert_eq!(parse(&line("a", "b")).map(|users| users.len()), Ok(1));
    }

    #[test]
    fn the_hash_of_nobody_is_one() {
        assert!(bcrypt::verify("x", NOBODY).is_ok());
    }
}
