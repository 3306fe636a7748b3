//! Whether the kernel has nftables, asked of the kernel: a question for the ruleset's
//! generation, answered by netlink. The kernel loads the module for it if it has one.

use std::io;
use std::mem::size_of;
use std::os::fd::OwnedFd;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
    sockopt,
};

const NFNL_SUBSYS_NFTABLES: u16 = 10;
const NFT_MSG_GETGEN: u16 = 16;
const NLM_F_REQUEST: u16 = 1;
const NLMSG_ERROR: u16 = 2;
const HEADER: usize = 16;

/// `Err` says what the kernel answered instead.
pub(super) fn supported() -> Result<(), String> {
    ask().map_err(|e| e.to_string())
}

fn ask() -> io::Result<()> {
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(netlink::NETFILTER),
    )?;
    // Netlink answers before `send` returns; the limit is for a kernel that does not.
    sockopt::set_socket_timeout(
        &socket,
        sockopt::Timeout::Recv,
        Some(std::time::Duration::from_secs(1)),
    )?;
    send(&socket, &question(), SendFlags::empty())?;
    answer(&socket)
}

/// `nlmsghdr`, then `nfgenmsg` (family unspecified, version 0, resource 0).
fn question() -> [u8; HEADER + 4] {
    let mut message = [0; HEADER + 4];
    message[0..4].copy_from_slice(&((HEADER + 4) as u32).to_ne_bytes());
    message[4..6].copy_from_slice(&(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN).to_ne_bytes());
    message[6..8].copy_from_slice(&NLM_F_REQUEST.to_ne_bytes());
    message
}

fn answer(socket: &OwnedFd) -> io::Result<()> {
    let mut buffer = [0; 1024];
    let (length, _) = recv(socket, &mut buffer[..], RecvFlags::empty())?;
    read_answer(&buffer[..length])
}

fn read_answer(message: &[u8]) -> io::Result<()> {
    let short = || io::Error::new(io::ErrorKind::InvalidData, "short netlink answer");
    let kind = message.get(4..6).ok_or_else(short)?;
    if kind != NLMSG_ERROR.to_ne_bytes() {
        return Ok(());
    }
    let code = message
        .get(HEADER..HEADER + size_of::<i32>())
        .ok_or_else(short)?;
    match i32::from_ne_bytes(code.try_into().map_err(|_| short())?) {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code.saturating_neg())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_answer(code: i32) -> Vec<u8> {
        let mut message = vec![0; HEADER];
        message[4..6].copy_from_slice(&NLMSG_ERROR.to_ne_bytes());
        message.extend(code.to_ne_bytes());
        message
    }

    #[test]
    fn error_answer_means_no_support() {
        let error = read_answer(&error_answer(-22)).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(22));
    }

    #[test]
    fn any_other_answer_means_support() {
        let mut generation = vec![0; 40];
        generation[4..6].copy_from_slice(&(NFNL_SUBSYS_NFTABLES << 8 | 15).to_ne_bytes());
        read_answer(&generation).unwrap();
    }

    #[test]
    fn short_answer_is_an_error() {
        read_answer(&[0; 3]).unwrap_err();
        read_answer(&error_answer(-22)[..HEADER + 2]).unwrap_err();
    }
}
