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
use std::time::{Duration, Instant, SystemTime};

use ring::hmac;
use ring::rand::SystemRandom;
use tokio::sync::Semaphore;

use crate::refusal::{Code, Refusal, internal};

/// How long a password stays known as right.
const REMEMBER: Duration = Duration::from_secs(300);
const MOST_REMEMBERED: usize = 10_000;
/// Checked at once; as many as this again wait for each.
const AT_ONCE: usize = 2;
/// How often the file's date is looked at.
const LOOK: Duration = Duration::from_secs(1);
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
    path: PathBuf,
    key: hmac::Key,
    places: Semaphore,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    users: HashMap<String, String>,
    written: Option<SystemTime>,
    looked: Instant,
    /// What was found right, and until when that counts.
    right: HashMap<[u8; 32], Instant>,
}

impl Htpasswd {
    pub(crate) fn open(path: &Path) -> Result<Htpasswd, HtpasswdError> {
        let (users, written) = load(path)?;
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Ok(Htpasswd {
            path: path.to_owned(),
            key: key.map_err(|_| HtpasswdError::Random)?,
            places: Semaphore::new(AT_ONCE),
            state: Mutex::new(State {
                users,
                written,
                looked: Instant::now(),
                right: HashMap::new(),
            }),
        })
    }

    /// Whether it is this user's password.
    pub(crate) async fn verify(&self, user: &str, password: &str) -> Result<bool, Refusal> {
        let mark = self.mark(user, password);
        let hash = {
            let mut state = self.state();
            self.refresh(&mut state);
            if state
                .right
                .get(&mark)
                .is_some_and(|until| *until > Instant::now())
            {
                return Ok(true);
            }
            state.users.get(user).cloned()
        };
        let busy = |_| Refusal::new(Code::Unavailable);
        let _place = self.places.acquire().await.map_err(busy)?;
        let known = hash.is_some();
        let (password, hash) = (password.to_owned(), hash.unwrap_or(NOBODY.to_owned()));
        let check = move || bcrypt::verify(password, &hash).unwrap_or(false);
        let right = tokio::task::spawn_blocking(check).await;
        let right = right.map_err(|error| internal(&error))? && known;
        if right {
            let mut state = self.state();
            if state.right.len() >= MOST_REMEMBERED {
                state.right.clear();
            }
            state.right.insert(mark, Instant::now() + REMEMBER);
        }
        Ok(right)
    }

    fn mark(&self, user: &str, password: &str) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&(user.len() as u64).to_le_bytes());
        context.update(user.as_bytes());
        context.update(password.as_bytes());
        let mut mark = [0; 32];
        mark.copy_from_slice(context.sign().as_ref());
        mark
    }

    /// Reads the file again if it was written since. One that cannot be read changes nothing.
    fn refresh(&self, state: &mut State) {
        if state.looked.elapsed() < LOOK {
            return;
        }
        state.looked = Instant::now();
        if modified(&self.path).ok() == state.written {
            return;
        }
        match load(&self.path) {
            Ok((users, written)) => {
                tracing::info!(path = %self.path.display(), users = users.len(), "read passwords");
                (state.users, state.written) = (users, written);
                state.right.clear();
            }
            Err(error) => tracing::warn!(%error, "the passwords of before stay"),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn modified(path: &Path) -> io::Result<SystemTime> {
    fs::metadata(path)?.modified()
}

type Loaded = (HashMap<String, String>, Option<SystemTime>);

fn load(path: &Path) -> Result<Loaded, HtpasswdError> {
    let failed = |source| HtpasswdError::Read {
        path: path.to_owned(),
        source,
    };
    // The date first: a change while it is read is read again.
    let written = modified(path).map_err(failed)?;
    let text = fs::read_to_string(path).map_err(failed)?;
    let users = parse(&text).map_err(|line| HtpasswdError::Line {
        path: path.to_owned(),
        line,
    })?;
    Ok((users, Some(written)))
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
            htpasswd.state().looked = Instant::now() - LOOK;
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
