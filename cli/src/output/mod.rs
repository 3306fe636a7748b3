//! How answers look: tables, sizes, ages, JSON, Go templates and progress.
//!
//! Nothing in here talks to the daemon or decides what is shown; it only turns values that
//! are already there into Docker's wording and columns.

pub(crate) mod age;
pub(crate) mod archive;
pub(crate) mod filter;
pub(crate) mod go;
pub(crate) mod indent;
pub(crate) mod listing;
pub(crate) mod ports;
pub(crate) mod progress;
pub(crate) mod schema;
pub(crate) mod size;
pub(crate) mod table;
pub(crate) mod template;
pub(crate) mod text;
pub(crate) mod value;
