//! Whether the other end of a connection still exists.
//!
//! End of input does not say so: clients shut their writing side down and go on reading. Only
//! when both directions are closed does the kernel report a hang-up, whether anyone reads or not.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdUnixStream;

use tokio::io::Interest;
use tokio::net::UnixStream;

/// Returns once the peer of the socket has closed it. The copy of the descriptor that it works
/// on keeps the socket open: drop the future to close it.
pub(crate) async fn hung_up(socket: impl AsFd) -> io::Result<()> {
    let copy = StdUnixStream::from(socket.as_fd().try_clone_to_owned()?);
    copy.set_nonblocking(true)?;
    let copy = UnixStream::from_std(copy)?;
    loop {
        if copy.ready(Interest::WRITABLE).await?.is_write_closed() {
            return Ok(());
        }
        // Forgets that it is writable, or `ready` would return at once for ever.
        let again: io::Result<()> =
            copy.try_io(Interest::WRITABLE, || Err(io::ErrorKind::WouldBlock.into()));
        debug_assert!(again.is_err());
    }
}

#[cfg(test)]
mod tests {
    use std::net::Shutdown;
    use std::os::unix::net::UnixStream;

    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn half_a_close_is_not_a_hang_up() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut watch = Box::pin(hung_up(&ours));
        theirs.shutdown(Shutdown::Write).unwrap();
        // Twice: the first poll registers, the second sees what the shutdown set off.
        for _ in 0..2 {
            tokio::task::yield_now().await;
            assert!((&mut watch).now_or_never().is_none());
        }
        drop(theirs);
        watch.await.unwrap();
    }
}
