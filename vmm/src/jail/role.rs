//! The kinds of thread there are.

/// A kind of thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Waits for the end and answers the control socket.
    Main,
    /// Runs a vCPU and answers its exits.
    Vcpu,
    /// Serves layers.
    Fs,
    /// Serves disks.
    Blk,
    /// Carries connections.
    Vsock,
}
