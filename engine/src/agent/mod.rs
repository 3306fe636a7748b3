//! The conversation with the agent in a guest.

/// Why it failed.
#[derive(Debug, thiserror::Error)]
pub enum AgentFailure {
    /// The guest went away.
    #[error("the guest is gone")]
    Gone,
}
