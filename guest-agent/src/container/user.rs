//! Who a process runs as, by Docker's rules, from the container's own `/etc/passwd` and
//! `/etc/group`.
//!
//! The files are the image's: lines that make no sense are passed over, and nothing but a regular
//! file of bounded size is read.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use hull_protocol::agent::User;
use serde::{Deserialize, Serialize};

/// The largest account file that is read.
const MAX_FILE: u64 = 8 << 20;
/// The largest id Docker accepts.
const MAX_ID: u32 = i32::MAX as u32;
/// The most groups a process gets: the kernel's own limit.
const MAX_GROUPS: usize = 65536;

/// Why a name could not be turned into ids. The texts are Docker's.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UserError {
    #[error("unable to find user {0}: no matching entries in passwd file")]
    NoUser(String),
    #[error("unable to find group {0}: no matching entries in group file")]
    NoGroup(String),
    #[error("uids and gids must be in range 0-2147483647")]
    Range,
}

/// A resolved user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Credentials {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
}

/// The account files as text.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    passwd: String,
    group: String,
}

struct Passwd<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

impl Accounts {
    /// Reads `/etc/passwd` and `/etc/group`; absent ones are empty.
    pub(crate) fn read() -> Self {
        Self {
            passwd: read(Path::new("/etc/passwd")),
            group: read(Path::new("/etc/group")),
        }
    }

    fn users(&self) -> impl Iterator<Item = Passwd<'_>> {
        self.passwd.lines().filter_map(|line| {
            let mut fields = line.trim().split(':');
            let name = fields.next().filter(|n| !n.is_empty())?;
            let mut fields = fields.skip(1);
            Some(Passwd {
                name,
                uid: fields.next()?.parse().ok()?,
                gid: fields.next()?.parse().ok()?,
                home: fields.nth(1).unwrap_or(""),
            })
        })
    }

    fn groups(&self) -> impl Iterator<Item = Group<'_>> {
        self.group.lines().filter_map(|line| {
            let mut fields = line.trim().split(':');
            let name = fields.next().filter(|n| !n.is_empty())?;
            Some(Group {
                name,
                gid: fields.nth(1)?.parse().ok()?,
                members: fields.next().unwrap_or(""),
            })
        })
    }

    /// The home directory of a uid; `/` for one nobody has.
    pub(crate) fn home(&self, uid: u32) -> &str {
        let home = self.users().find(|u| u.uid == uid).map(|u| u.home);
        home.filter(|h| !h.is_empty()).unwrap_or("/")
    }

    /// The ids of `user`, or of root if its name is empty.
    pub(crate) fn resolve(&self, user: &User) -> Result<Credentials, UserError> {
        let mut found = self.resolve_name(&user.name)?;
        for name in &user.groups {
            let gid = self.group_id(name)?;
            found.groups.push(gid);
        }
        // The primary group is also among the additional ones, or a file's entry for that
        // group could be passed over (CVE-2022-36109).
        found.groups.insert(0, found.gid);
        let mut seen = std::collections::BTreeSet::new();
        found.groups.retain(|gid| seen.insert(*gid));
        found.groups.truncate(MAX_GROUPS);
        Ok(found)
    }

    fn resolve_name(&self, spec: &str) -> Result<Credentials, UserError> {
        let (user, group) = match spec.split_once(':') {
            Some((user, group)) => (user, group),
            None => (spec, ""),
        };
        let number: Option<u32> = user.parse().ok();
        let entry = self.users().find(|u| match user {
            "" => u.uid == 0,
            _ => u.name == user || number == Some(u.uid),
        });
        let mut found = match (&entry, number) {
            (Some(entry), _) => Credentials {
                uid: entry.uid,
                gid: entry.gid,
                groups: Vec::new(),
            },
            (None, Some(uid)) if uid <= MAX_ID => Credentials {
                uid,
                ..Credentials::default()
            },
            (None, Some(_)) => return Err(UserError::Range),
            (None, None) if user.is_empty() => Credentials::default(),
            (None, None) if is_number(user) => return Err(UserError::Range),
            (None, None) => return Err(UserError::NoUser(user.to_owned())),
        };
        if !group.is_empty() {
            found.gid = self.group_id(group)?;
        } else if let Some(entry) = entry {
            let member = |g: &Group<'_>| g.members.split(',').any(|m| m.trim() == entry.name);
            found.groups = self.groups().filter(member).map(|g| g.gid).collect();
        }
        Ok(found)
    }

    fn group_id(&self, group: &str) -> Result<u32, UserError> {
        let number: Option<u32> = group.parse().ok();
        let entry = self
            .groups()
            .find(|g| g.name == group || number == Some(g.gid));
        match (entry, number) {
            (Some(entry), _) => Ok(entry.gid),
            (None, Some(gid)) if gid <= MAX_ID => Ok(gid),
            (None, Some(_)) => Err(UserError::Range),
            (None, None) if is_number(group) => Err(UserError::Range),
            (None, None) => Err(UserError::NoGroup(group.to_owned())),
        }
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

fn read(path: &Path) -> String {
    // Not blocking: the image may have put a fifo there.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path);
    let Ok(file) = file else {
        return String::new();
    };
    if !file.metadata().is_ok_and(|m| m.is_file()) {
        return String::new();
    }
    let mut bytes = Vec::new();
    // What could be read before an error counts, as in Docker.
    let _ = file.take(MAX_FILE).read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn accounts() -> Accounts {
        Accounts {
            passwd: "root:x:0:0:root:/root:/bin/sh\n# comment\nbroken:x:a:b\n\
                     www-data:x:33:33:www:/var/www:/bin/false\n1000:x:2000:2000::/odd:\n\
                     alice:x:1000:1000:,,,:/home/alice:/bin/sh\n"
                .to_owned(),
            group: "root:x:0:\nadm:x:4:alice,www-data\nwheel:x:10:root\nwww-data:x:33:\n\
                    alice:x:1000:\nusers:x:100:alice\n"
                .to_owned(),
        }
    }

    fn check(name: &str, groups: &[&str], expected: Result<(u32, u32, &[u32]), UserError>) {
        let user = User {
            name: name.to_owned(),
            groups: groups.iter().map(|g| (*g).to_owned()).collect(),
        };
        let got = accounts().resolve(&user);
        let expected = expected.map(|(uid, gid, groups)| Credentials {
            uid,
            gid,
            groups: groups.to_vec(),
        });
        assert_eq!(got, expected, "{name:?} {groups:?}");
    }

    #[test]
    fn names_and_numbers_resolve_as_docker_does() {
        check("", &[], Ok((0, 0, &[0, 10])));
        check("root", &[], Ok((0, 0, &[0, 10])));
        check("www-data", &[], Ok((33, 33, &[33, 4])));
        check("33", &[], Ok((33, 33, &[33, 4])));
        check("alice", &[], Ok((1000, 1000, &[1000, 4, 100])));
        // A name that looks like a number wins where it comes first in the file.
        check("1000", &[], Ok((2000, 2000, &[2000])));
        check("4242", &[], Ok((4242, 0, &[0])));
        check("alice:adm", &[], Ok((1000, 4, &[4])));
        check("alice:77", &[], Ok((1000, 77, &[77])));
        check("4242:77", &[], Ok((4242, 77, &[77])));
        check("4242", &["adm", "55"], Ok((4242, 0, &[0, 4, 55])));
        check(":adm", &[], Ok((0, 4, &[4])));
    }

    #[test]
    fn what_is_not_there_is_refused_in_dockers_words() {
        check("nosuch", &[], Err(UserError::NoUser("nosuch".into())));
        assert_eq!(
            UserError::NoUser("nosuch".into()).to_string(),
            "unable to find user nosuch: no matching entries in passwd file"
        );
        check("root:nosuch", &[], Err(UserError::NoGroup("nosuch".into())));
        check(
            "root",
            &["nosuch"],
            Err(UserError::NoGroup("nosuch".into())),
        );
        check("2147483648", &[], Err(UserError::Range));
        check("99999999999", &[], Err(UserError::Range));
        check("-1", &[], Err(UserError::Range));
        check("1:2147483648", &[], Err(UserError::Range));
    }

    #[test]
    fn homes_come_from_the_passwd_file() {
        assert_eq!(accounts().home(0), "/root");
        assert_eq!(accounts().home(1000), "/home/alice");
        assert_eq!(accounts().home(4242), "/");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_account_file_breaks_it(
            passwd in "([a-z0-9:,#\\n -]|\\PC){0,80}", group in "[a-z0-9:,\\n]{0,80}",
            name in "[a-z0-9:]{0,6}",
        ) {
            let accounts = Accounts { passwd, group };
            let _ = accounts.resolve(&User { name, groups: vec!["x".into()] });
            accounts.home(0);
        }
    }
}
