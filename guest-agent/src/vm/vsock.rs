//! Listening for the host.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use hull_protocol::VsockPort;

/// A port the host can connect to.
pub(super) struct Listener(OwnedFd);

impl Listener {
    pub(super) fn bind(port: VsockPort) -> io::Result<Self> {
        const BACKLOG: i32 = 16;
        // SAFETY: socket takes numbers only.
        let fd = unsafe { libc::socket(libc::AF_VSOCK, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
        let socket = owned(fd)?;
        // SAFETY: the address is plain numbers, for which zeros are valid.
        let mut address: libc::sockaddr_vm = unsafe { std::mem::zeroed() };
        address.svm_family = libc::AF_VSOCK as libc::sa_family_t;
        address.svm_cid = libc::VMADDR_CID_ANY;
        address.svm_port = port.0;
        let length = size_of::<libc::sockaddr_vm>() as libc::socklen_t;
        // SAFETY: the pointer is to a local address of that length.
        check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) })?;
        // SAFETY: listen takes numbers only.
        check(unsafe { libc::listen(socket.as_raw_fd(), BACKLOG) })?;
        Ok(Self(socket))
    }

    /// The next connection. A stream socket is a stream socket: what the standard library offers
    /// for unix sockets does for these as well.
    pub(super) fn accept(&self) -> io::Result<UnixStream> {
        // SAFETY: the peer's address is not asked for.
        let fd = unsafe {
            libc::accept4(
                self.0.as_raw_fd(),
                std::ptr::null_mut(),
                std::ptr::null_mut(),
                libc::SOCK_CLOEXEC,
            )
        };
        Ok(UnixStream::from(owned(fd)?))
    }
}

fn owned(fd: libc::c_int) -> io::Result<OwnedFd> {
    check(fd)?;
    // SAFETY: the kernel has just made this descriptor and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn check(result: libc::c_int) -> io::Result<()> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
