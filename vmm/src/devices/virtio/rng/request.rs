//! Pure: a chain -> how many bytes to give.

use super::super::chain::Chain;

/// The most bytes for one request. A driver asks again for more.
pub const MAX: usize = 4096;

/// How many bytes this request gets.
pub fn wanted(chain: &Chain) -> usize {
    (chain.writable_length() as usize).min(MAX)
}
