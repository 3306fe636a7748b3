//! Types by the names that Go gives them: `[]string`, `*container.State`, `map[string]int`.
//!
//! A name says all that there is to a type, so two are the same when their names are. Each is
//! made once and kept for the life of the process.

use std::collections::HashMap;
use std::fmt;
use std::sync::{LazyLock, Mutex, PoisonError};

use crate::output::schema;

pub(crate) type Ty = &'static Type;

#[derive(Debug)]
pub(crate) struct Type {
    pub(crate) name: String,
    /// The name of what it is made of: `string` of `container.IpcMode`.
    underlying: String,
    /// It has a name of its own, as `string` has and `[]string` has not.
    named: bool,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    /// Of nothing at all: Go's reflection calls it so.
    Invalid,
    Bool,
    Int,
    Uint,
    Float,
    Complex,
    Text,
    /// A moment. Go has a struct whose fields nobody sees.
    Time,
    Interface,
    Slice(Ty),
    Array(usize, Ty),
    /// From keys that are strings.
    Map(Ty, Ty),
    Pointer(Ty),
    Struct(Vec<Field>),
    /// A row of a list: a struct that shows its methods only.
    Row,
}

#[derive(Debug)]
pub(crate) struct Field {
    /// As a format names it.
    pub(crate) name: String,
    /// As JSON names it; none where it never gets there.
    pub(crate) json: Option<String>,
    /// Left out of JSON where it is empty.
    pub(crate) omitted: bool,
    /// Its own fields count as the outer struct's.
    pub(crate) embedded: bool,
    pub(crate) ty: Ty,
}

impl Type {
    pub(crate) fn is_interface(&self) -> bool {
        matches!(self.kind, Kind::Interface)
    }

    /// Whether a value of this type can stand where one of `other` is wanted.
    pub(crate) fn assignable_to(&self, other: &Type) -> bool {
        self.name == other.name
            || other.is_interface()
            || (self.underlying == other.underlying && !(self.named && other.named))
    }

    /// Whether `==` is defined for it.
    pub(crate) fn is_comparable(&self) -> bool {
        match &self.kind {
            Kind::Slice(_) | Kind::Map(..) => false,
            Kind::Array(_, of) => of.is_comparable(),
            Kind::Struct(fields) => fields.iter().all(|field| field.ty.is_comparable()),
            _ => true,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl PartialEq for Type {
    fn eq(&self, other: &Type) -> bool {
        self.name == other.name
    }
}

static MADE: LazyLock<Mutex<HashMap<String, Ty>>> = LazyLock::new(Mutex::default);

/// The type of this name. One that nobody knows is a struct without fields.
pub(crate) fn named(name: &str) -> Ty {
    let name = match name {
        "any" => "interface {}",
        "struct{}" => "struct {}",
        name => name,
    };
    let made = |name: &str| {
        let made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        made.get(name).copied()
    };
    if let Some(known) = made(name) {
        return known;
    }
    // Types within it are made meanwhile, so the lock is not held.
    let new = make(name);
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    made.entry(new.name.clone())
        .or_insert_with(|| Box::leak(Box::new(new)))
}

/// The type of a pointer to it.
pub(crate) fn pointer_to(to: Ty) -> Ty {
    named(&format!("*{to}"))
}

fn make(name: &str) -> Type {
    let composed = |name: String, kind| Type {
        underlying: name.clone(),
        name,
        named: false,
        kind,
    };
    if let Some(rest) = name.strip_prefix('*') {
        let to = named(rest);
        return composed(format!("*{to}"), Kind::Pointer(to));
    }
    if let Some(rest) = name.strip_prefix("[]") {
        let of = named(rest);
        return composed(format!("[]{of}"), Kind::Slice(of));
    }
    if let Some((key, value)) = name.strip_prefix("map[").and_then(|w| w.split_once(']')) {
        let (key, value) = (named(key), named(value));
        return composed(format!("map[{key}]{value}"), Kind::Map(key, value));
    }
    if let Some((count, of)) = name.strip_prefix('[').and_then(|w| w.split_once(']')) {
        let of = named(of);
        let count = count.parse().unwrap_or(0);
        return composed(format!("[{count}]{of}"), Kind::Array(count, of));
    }
    let basic = |kind| Type {
        name: name.to_owned(),
        underlying: name.to_owned(),
        named: true,
        kind,
    };
    match name {
        "bool" => basic(Kind::Bool),
        "int" | "int64" => basic(Kind::Int),
        "uint" | "uint8" | "uint16" | "uint32" | "uint64" => basic(Kind::Uint),
        "float64" => basic(Kind::Float),
        "complex128" => basic(Kind::Complex),
        "string" => basic(Kind::Text),
        "time.Time" => basic(Kind::Time),
        "invalid" => basic(Kind::Invalid),
        "interface {}" => composed(name.to_owned(), Kind::Interface),
        _ => match schema::definition(name) {
            Some(schema::Definition::Of(other)) => {
                let of = named(&other);
                Type {
                    underlying: of.underlying.clone(),
                    ..basic(copy(&of.kind))
                }
            }
            Some(schema::Definition::Struct(fields)) => basic(Kind::Struct(fields)),
            None if name.ends_with("Context") => basic(Kind::Row),
            None => composed(name.to_owned(), Kind::Struct(Vec::new())),
        },
    }
}

/// A type that is made of another has its kind.
fn copy(kind: &Kind) -> Kind {
    match kind {
        Kind::Bool => Kind::Bool,
        Kind::Int => Kind::Int,
        Kind::Uint => Kind::Uint,
        Kind::Float => Kind::Float,
        Kind::Slice(of) => Kind::Slice(of),
        Kind::Map(key, value) => Kind::Map(key, value),
        _ => Kind::Text,
    }
}
