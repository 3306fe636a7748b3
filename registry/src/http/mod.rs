//! HTTP without a word of what is served: bodies, ranges, conditions, media types.

pub(crate) mod accept;
pub(crate) mod body;
pub(crate) mod condition;
pub(crate) mod pace;
pub(crate) mod query;
pub(crate) mod range;
