//! Where clients connect: `-H` addresses and the sockets behind them.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tokio::net::UnixListener;

/// Members may use the socket, which makes them as good as root.
const GROUP: &str = "hull";

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host(PathBuf);

/// Not an address that can be listened on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Without TLS anyone who reaches the port owns the machine.
    #[error("tcp:// needs TLS, which is not supported by Hull yet: use unix://")]
    Tcp,
    /// A relative path depends on where hulld was started.
    #[error("{0:?} is not an address: use unix:///an/absolute/path")]
    Unknown(String),
}

impl FromStr for Host {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        if text.starts_with("tcp://") {
            return Err(HostError::Tcp);
        }
        match text.strip_prefix("unix://").map(Path::new) {
            Some(path) if path.is_absolute() => Ok(Self(path.to_owned())),
            _ => Err(HostError::Unknown(text.to_owned())),
        }
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "unix://{}", self.0.display())
    }
}

/// Why an address could not be listened on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    /// The socket is another daemon's.
    #[error("another daemon answers on {0}: stop it first, or use another -H")]
    InUse(PathBuf),
    /// Something that is no socket stands there.
    #[error("{0} exists and is not a socket: remove it, or use another -H")]
    NotASocket(PathBuf),
    /// Some step failed.
    #[error("listen on {path}: {source}", path = path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A socket in the file system, gone when dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) socket: UnixListener,
    path: PathBuf,
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Nothing to do about a path that is gone already.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Host {
    /// Binds, in the place of a socket that a dead daemon left behind. Others than root and the
    /// group never get to see a socket that they could open.
    pub(crate) fn listen(&self) -> Result<Listener, ListenError> {
        let path = &self.0;
        refuse_living(path)?;
        let failed = |source| ListenError::Io {
            path: path.clone(),
            source,
        };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        bind(path)
            .map(|socket| Listener {
                socket,
                path: path.clone(),
            })
            .map_err(failed)
    }
}

fn refuse_living(path: &Path) -> Result<(), ListenError> {
    let failed = |source| ListenError::Io {
        path: path.to_owned(),
        source,
    };
    match std::fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(failed(e)),
        Ok(meta) if !meta.file_type().is_socket() => {
            return Err(ListenError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match StdUnixStream::connect(path) {
        Ok(_) => Err(ListenError::InUse(path.to_owned())),
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(e) => Err(failed(e)),
    }
}

/// Sets the rights up under another name first: a socket is born with those of the umask.
fn bind(path: &Path) -> io::Result<UnixListener> {
    let mut aside = path.as_os_str().to_owned();
    aside.push("~");
    let aside = PathBuf::from(aside);
    match std::fs::remove_file(&aside) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let socket = UnixListener::bind(&aside)?;
    std::fs::set_permissions(&aside, std::fs::Permissions::from_mode(0o660))?;
    if let Some(group) = group_id(&std::fs::read_to_string("/etc/group").unwrap_or_default()) {
        std::os::unix::fs::chown(&aside, None, Some(group))?;
    }
    std::fs::rename(&aside, path)?;
    Ok(socket)
}

fn group_id(etc_group: &str) -> Option<u32> {
    etc_group.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (name == GROUP).then(|| fields.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_unix_sockets() {
        let check = |text: &str| text.parse::<Host>().map(|h| h.to_string());
        assert_eq!(
            check("unix:///run/hull.sock"),
            Ok("unix:///run/hull.sock".into())
        );
        assert_eq!(check("tcp://0.0.0.0:2375"), Err(HostError::Tcp));
        for bad in ["", "unix://", "unix://run/x", "/run/x", "fd://"] {
            assert_eq!(check(bad), Err(HostError::Unknown(bad.into())));
        }
    }

    #[test]
    fn the_group_is_found_by_name() {
        assert_eq!(group_id("root:x:0:\nhull:x:977:a,b\n"), Some(977));
        assert_eq!(group_id("hullo:x:1:\nx:hull:2:\n"), None);
    }

    #[tokio::test]
    async fn a_dead_socket_is_replaced_and_a_living_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub/hull.sock");
        let host = Host(path.clone());
        let living = host.listen().unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o660
        );
        assert!(matches!(host.listen(), Err(ListenError::InUse(_))));
        drop(living);
        assert!(!path.exists());
        // A daemon that was killed leaves its socket.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        drop(host.listen().unwrap());
        std::fs::write(&path, "").unwrap();
        assert!(matches!(host.listen(), Err(ListenError::NotASocket(_))));
    }
}
