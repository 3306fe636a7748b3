//! Go's values, as far as a format can tell them: what it is run over has a type with a name, and
//! that decides how it prints, what it compares with and how a mistake is worded.
//!
//! ```text
//! JSON ──schema──► Value ──template──► text
//! rows of a list ──┘        │ └ print.rs: what `%v` makes of it
//!                           ├── verbs.rs: all of Printf
//!                           ├── json.rs: what Docker's `json` makes of it
//!                           └── methods.rs: what its type can do
//! ```

mod json;
pub(crate) mod methods;
mod moment;
pub(crate) mod plain;
pub(crate) mod print;
mod scalar;
pub(crate) mod types;
pub(crate) mod value;
pub(crate) mod verbs;

pub(crate) use types::{Kind, Ty};
pub(crate) use value::{Data, Value};
