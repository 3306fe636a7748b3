//! `filters=` of the list calls: names to sets of values.

use std::collections::{BTreeMap, BTreeSet};

/// Docker's filters: a thing passes if for every name it matches one of the values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters(pub BTreeMap<String, BTreeSet<String>>);

/// What `list` is asked for.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    /// Those that do not run, too.
    pub all: bool,
    /// At most so many, the newest, running or not.
    pub limit: Option<usize>,
    /// With the size of what they wrote.
    pub size: bool,
    /// `id name label status ancestor exited before since …`
    pub filters: Filters,
}
