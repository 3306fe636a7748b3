//! Recordings of a real Docker, and how what Hull does is compared with them.
//!
//! ```text
//! recording ──parse──► steps ──(run by somebody else)──► what was seen
//!                        │                                    │
//!                        └──────normal──► lines ◄──normal─────┘
//!                                           │
//! remarks: what is not replayed, ─────────► judge ──► complaints
//! and known differences, with reasons
//! ```
//!
//! It runs nothing and opens nothing: who replays a recording has a daemon and clients.

mod judge;
mod lines;
mod normal;
mod recording;
mod remarks;

pub use judge::judge;
pub use normal::Normal;
pub use recording::{Flow, RecordingError, Seen, Step};
pub use remarks::{Client, OfFlow, Remarks, RemarksError};
