//! Where clients connect: `-H` addresses and the sockets behind them.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tokio::net::{TcpListener, UnixListener};

use crate::tls::Acceptor;

/// Members may use the socket, which makes them as good as root.
const GROUP: &str = "hull";
/// Docker's port for an API with TLS.
const TLS_PORT: u16 = 2376;

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A socket in the file system, by an absolute path.
    Unix(PathBuf),
    /// `HOST:PORT`; only ever with mutual TLS.
    Tcp(String),
}

/// Not an address that can be listened on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an address: use unix:///an/absolute/path or tcp://HOST:PORT")]
pub struct HostError(String);

impl FromStr for Host {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        let bad = || HostError(text.to_owned());
        if let Some(address) = text.strip_prefix("tcp://") {
            return tcp(address.trim_end_matches('/')).ok_or_else(bad);
        }
        match text.strip_prefix("unix://").map(Path::new) {
            // A relative path depends on where hulld was started.
            Some(path) if path.is_absolute() => Ok(Self::Unix(path.to_owned())),
            _ => Err(bad()),
        }
    }
}

/// As Docker completes it: this host where none is named, its port where none is given.
fn tcp(address: &str) -> Option<Host> {
    // A colon within brackets is the address's own.
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (address, TLS_PORT),
    };
    let whole = host.starts_with('[') == host.ends_with(']');
    let clean = !host.contains(['/', '@', ' ']) && (host.starts_with('[') || !host.contains(':'));
    let host = match host {
        "" => "127.0.0.1",
        host => host,
    };
    (whole && clean && !address.is_empty()).then(|| Host::Tcp(format!("{host}:{port}")))
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
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
    /// Without TLS anyone who reaches the port owns the machine.
    #[error(
        "tcp://{0} needs --tlsverify with --tlscacert, --tlscert and --tlskey: whoever reaches a port without owns this machine"
    )]
    Plain(String),
    /// Some step failed.
    #[error("listen on {path}: {source}", path = path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Something to accept connections from.
#[derive(Debug)]
pub(crate) enum Listener {
    Unix(UnixSocket),
    /// Whoever connects has to show a certificate of the authority's.
    Tls(TcpListener, Acceptor),
}

impl Listener {
    /// Where it listens, with the port that the kernel chose for port 0.
    pub(crate) fn host(&self) -> Host {
        match self {
            Self::Unix(socket) => Host::Unix(socket.path.clone()),
            Self::Tls(socket, _) => {
                let address = socket.local_addr().map(|a: SocketAddr| a.to_string());
                // A socket that listens has an address.
                Host::Tcp(address.unwrap_or_default())
            }
        }
    }
}

/// A socket in the file system, gone when dropped.
#[derive(Debug)]
pub(crate) struct UnixSocket {
    pub(crate) socket: UnixListener,
    path: PathBuf,
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        // Nothing to do about a path that is gone already.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Host {
    /// Binds. `group` may use a socket; `identity` is what TLS needs, where it was given.
    pub(crate) async fn listen(
        &self,
        group: Group,
        identity: Option<&Acceptor>,
    ) -> Result<Listener, ListenError> {
        match (self, identity) {
            (Self::Unix(path), _) => unix(path, group).map(Listener::Unix),
            (Self::Tcp(address), None) => Err(ListenError::Plain(address.clone())),
            (Self::Tcp(address), Some(identity)) => {
                let socket = TcpListener::bind(address).await;
                let socket = socket.map_err(|source| ListenError::Io {
                    path: PathBuf::from(format!("tcp://{address}")),
                    source,
                })?;
                Ok(Listener::Tls(socket, identity.clone()))
            }
        }
    }
}

/// Binds in the place of a socket that a dead daemon left behind. Others than root and the group
/// never get to see a socket that they could open.
fn unix(path: &Path, group: Group) -> Result<UnixSocket, ListenError> {
    refuse_living(path)?;
    let failed = |source| ListenError::Io {
        path: path.to_owned(),
        source,
    };
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(failed)?;
    }
    let socket = bind(path, group).map_err(failed)?;
    Ok(UnixSocket {
        socket,
        path: path.to_owned(),
    })
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
fn bind(path: &Path, group: Group) -> io::Result<UnixListener> {
    let mut aside = path.as_os_str().to_owned();
    aside.push("~");
    let aside = PathBuf::from(aside);
    match std::fs::remove_file(&aside) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let socket = UnixListener::bind(&aside)?;
    std::fs::set_permissions(&aside, std::fs::Permissions::from_mode(0o660))?;
    if let Group(Some(group)) = group {
        std::os::unix::fs::chown(&aside, None, Some(group))?;
    }
    std::fs::rename(&aside, path)?;
    Ok(socket)
}

/// Whose members may use the socket besides root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Group(Option<u32>);

/// A group that was named and is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("group {0} not found")]
pub(crate) struct NoGroup(String);

impl Group {
    /// The one that was named, by name or number, or the usual one, where this host has it.
    pub(crate) fn find(named: Option<&str>) -> Result<Self, NoGroup> {
        let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
        Self::among(&groups, named)
    }

    fn among(groups: &str, named: Option<&str>) -> Result<Self, NoGroup> {
        let Some(name) = named else {
            return Ok(Self(group_id(groups, GROUP)));
        };
        let id = group_id(groups, name).or_else(|| name.parse().ok());
        id.map(|id| Self(Some(id)))
            .ok_or_else(|| NoGroup(name.to_owned()))
    }
}

fn group_id(groups: &str, wanted: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (name == wanted).then(|| fields.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_unix_sockets_or_tcp_ports() {
        let check = |text: &str| text.parse::<Host>().map(|h| h.to_string());
        for (text, shown) in [
            ("unix:///run/hull.sock", "unix:///run/hull.sock"),
            ("tcp://0.0.0.0:2375", "tcp://0.0.0.0:2375"),
            ("tcp://example", "tcp://example:2376"),
            ("tcp://:1", "tcp://127.0.0.1:1"),
            ("tcp://[::1]:5/", "tcp://[::1]:5"),
            ("tcp://[::1]", "tcp://[::1]:2376"),
        ] {
            assert_eq!(check(text), Ok(shown.into()), "{text}");
        }
        for bad in [
            "",
            "unix://",
            "unix://run/x",
            "/run/x",
            "fd://",
            "tcp://",
            "tcp://h:x",
            "tcp://a/b",
            "tcp://::1",
            "tcp://[::1",
            "tcp://u@h:1",
        ] {
            assert_eq!(check(bad), Err(HostError(bad.into())), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_port_is_not_opened_without_tls() {
        let host: Host = "tcp://127.0.0.1:0".parse().unwrap();
        let error = host.listen(Group(None), None).await.unwrap_err();
        assert!(matches!(error, ListenError::Plain(_)), "{error}");
    }

    #[test]
    fn the_group_is_found_by_name_or_number_and_the_usual_one_need_not_be_there() {
        let groups = "root:x:0:\nhull:x:977:a,b\ndevs:x:1000:\n";
        let find = |named| Group::among(groups, named);
        assert_eq!(find(None), Ok(Group(Some(977))));
        assert_eq!(find(Some("devs")), Ok(Group(Some(1000))));
        assert_eq!(find(Some("4711")), Ok(Group(Some(4711))));
        let error = find(Some("nosuch")).unwrap_err().to_string();
        assert_eq!(error, "group nosuch not found");
        let others = "hullo:x:1:\nx:hull:2:\n";
        assert_eq!(Group::among(others, None), Ok(Group(None)));
    }

    #[tokio::test]
    async fn the_socket_is_for_root_and_its_group() {
        use std::os::unix::fs::MetadataExt;

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hull.sock");
        let own = std::fs::metadata(dir.path()).unwrap();
        for (group, gid) in [(Group(Some(4711)), 4711), (Group(None), own.gid())] {
            let listening = Host::Unix(path.clone()).listen(group, None).await.unwrap();
            let socket = std::fs::metadata(&path).unwrap();
            assert_eq!((socket.uid(), socket.gid()), (own.uid(), gid));
            assert_eq!(socket.permissions().mode() & 0o777, 0o660);
            drop(listening);
        }
    }

    #[tokio::test]
    async fn a_dead_socket_is_replaced_and_a_living_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub/hull.sock");
        let host = Host::Unix(path.clone());
        let living = host.listen(Group(None), None).await.unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o660
        );
        let twice = host.listen(Group(None), None).await;
        assert!(matches!(twice, Err(ListenError::InUse(_))));
        drop(living);
        assert!(!path.exists());
        // A daemon that was killed leaves its socket.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        drop(host.listen(Group(None), None).await.unwrap());
        std::fs::write(&path, "").unwrap();
        let other = host.listen(Group(None), None).await;
        assert!(matches!(other, Err(ListenError::NotASocket(_))));
    }
}
