//! Whether the other end of a connection still exists.
//!
//! End of input does not say so: clients shut their writing side down and go on reading. Only
//! when both directions are closed does the kernel report a hang-up, whether anyone reads or not.

use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream as StdUnixStream;

use tokio::io::Interest;
use tokio::net::UnixStream;

/// Completes once the peer of the socket has closed it. The copy of the descriptor that it works
/// on keeps the socket open: drop the future to close it.
pub(crate) fn hung_up(
    socket: BorrowedFd<'_>,
) -> io::Result<impl Future<Output = io::Result<()>> + use<>> {
    // Of whatever kind the socket is: what is asked of the copy is its readiness only.
    // Closed on exec, which a plain `dup` is not: no VM may hold a client's connection.
    let copy = StdUnixStream::from(socket.try_clone_to_owned()?);
    copy.set_nonblocking(true)?;
    Ok(watch(UnixStream::from_std(copy)?))
}

async fn watch(copy: UnixStream) -> io::Result<()> {
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
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn half_a_close_is_not_a_hang_up() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut watch = Box::pin(hung_up(ours.as_fd()).unwrap());
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
