//! What a body is made of, by the names of Docker's Go types, and whether a value is that.
//!
//! Go's decoder fits a value into a type: names in any case, the last of a field that comes twice,
//! `null` for nothing, and an error that names field and type. Serde does none of it, so a value is
//! fitted here first, and what serde gets is as it wants it.

use serde_json::{Map, Number, Value};

use super::scan::Tree;

/// A type of Docker's.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// As it comes.
    Any,
    Bool,
    Text(&'static str),
    /// With the least and the most that fit.
    Integer(&'static str, i128, i128),
    List(&'static str, &'static Kind),
    /// So many, filled up with zeroes; more are not looked at.
    Array(&'static str, usize, &'static Kind),
    Map(&'static str, &'static Kind),
    Struct(&'static str, &'static [(&'static str, Kind)]),
    /// Words, or one that stands for a list of itself.
    Words,
}

/// `string`, `int`, `int64` and so on.
impl Kind {
    pub(crate) const STRING: Self = Self::Text("string");
    pub(crate) const INT: Self = Self::signed("int");
    pub(crate) const INT64: Self = Self::signed("int64");
    pub(crate) const UINT: Self = Self::Integer("uint", 0, u64::MAX as i128);
    pub(crate) const UINT16: Self = Self::Integer("uint16", 0, u16::MAX as i128);
    pub(crate) const UINT64: Self = Self::Integer("uint64", 0, u64::MAX as i128);
    pub(crate) const STRINGS: Self = Self::List("[]string", &Self::STRING);
    pub(crate) const STRING_MAP: Self = Self::Map("map[string]string", &Self::STRING);

    /// An integer of 64 bits, by a name of its own.
    pub(crate) const fn signed(name: &'static str) -> Self {
        Self::Integer(name, i64::MIN as i128, i64::MAX as i128)
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Bool => "bool",
            Self::Words => "string",
            Self::Text(name)
            | Self::Integer(name, ..)
            | Self::List(name, _)
            | Self::Array(name, ..)
            | Self::Map(name, _)
            | Self::Struct(name, _) => name,
        }
    }

    /// What stands for nothing among others. A field can be left out, an item cannot.
    fn zero(&self) -> Value {
        match self {
            Self::Bool => Value::Bool(false),
            Self::Text(_) => Value::String(String::new()),
            Self::Integer(..) => Value::from(0),
            Self::Struct(..) => Value::Object(Map::new()),
            Self::Any | Self::List(..) | Self::Array(..) | Self::Map(..) | Self::Words => {
                Value::Null
            }
        }
    }
}

/// Where in a body.
#[derive(Clone, Copy, Debug)]
enum Spot<'a> {
    /// The body; fields in it are named after this.
    Top(&'static str),
    Field(&'a Spot<'a>, &'a str),
    Item(&'a Spot<'a>, usize),
}

impl Spot<'_> {
    fn path(&self) -> String {
        match self {
            Self::Top(name) => (*name).to_owned(),
            // As in a JSON pointer.
            Self::Field(parent, name) => {
                let name = name.replace('~', "~0").replace('/', "~1");
                format!("{}.{name}", parent.path())
            }
            Self::Item(parent, index) => format!("{}.{index}", parent.path()),
        }
    }

    /// Go's sentence about a value that has no place here.
    fn refusal(&self, what: &str, name: &str) -> String {
        let place = match self {
            Self::Top(_) => "Go value".to_owned(),
            Self::Field(..) => format!("Go struct field {}", self.path()),
            Self::Item(..) => self.path(),
        };
        format!("json: cannot unmarshal {what} into {place} of type {name}")
    }
}

/// The value as serde is to see it, or Go's sentence about what does not fit. `top` is what Go
/// calls the body where it names a field of it.
pub(super) fn fit(tree: &Tree<'_>, kind: &Kind, top: &'static str) -> Result<Value, String> {
    fit_at(tree, kind, Spot::Top(top))
}

fn fit_at(tree: &Tree<'_>, kind: &Kind, spot: Spot<'_>) -> Result<Value, String> {
    let refused = |what: &str| Err(spot.refusal(what, kind.name()));
    match (kind, tree) {
        (Kind::Any, tree) => Ok(plain(tree)),
        (_, Tree::Null) => Ok(Value::Null),
        (Kind::Bool, Tree::Bool(value)) => Ok(Value::Bool(*value)),
        (Kind::Text(_), Tree::Text(text)) => Ok(Value::String(text.clone())),
        (Kind::Integer(_, least, most), Tree::Number(text)) => match text.parse::<i128>() {
            Ok(number) if (*least..=*most).contains(&number) => Ok(integer(number)),
            _ => refused(&format!("number {text}")),
        },
        (Kind::List(_, each), Tree::List(items)) => list(items, each, spot).map(Value::Array),
        (Kind::Array(_, length, each), Tree::List(items)) => {
            let mut values = list(items.get(..*length).unwrap_or(items), each, spot)?;
            values.resize(*length, each.zero());
            Ok(Value::Array(values))
        }
        (Kind::Map(_, each), Tree::Object(fields)) => {
            let mut values = Map::new();
            for (name, value) in fields {
                let value = match value {
                    Tree::Null => each.zero(),
                    value => fit_at(value, each, Spot::Field(&spot, name))?,
                };
                values.insert(name.clone(), value);
            }
            Ok(Value::Object(values))
        }
        (Kind::Struct(_, known), Tree::Object(fields)) => object(fields, known, spot),
        // One that is none of both is told of as if the field were one word.
        (Kind::Words, tree) => match words(tree) {
            Some(words) => Ok(Value::Array(words)),
            None => Err(Spot::Top("").refusal(describe(tree), kind.name())),
        },
        (_, tree) => refused(describe(tree)),
    }
}

fn list(items: &[Tree<'_>], each: &Kind, spot: Spot<'_>) -> Result<Vec<Value>, String> {
    let fitted = items.iter().enumerate().map(|(index, item)| match item {
        Tree::Null => Ok(each.zero()),
        item => fit_at(item, each, Spot::Item(&spot, index)),
    });
    fitted.collect()
}

fn object(
    fields: &[(String, Tree<'_>)],
    known: &[(&'static str, Kind)],
    spot: Spot<'_>,
) -> Result<Value, String> {
    let mut values = Map::new();
    for (given, value) in fields {
        let exact = known.iter().find(|(name, _)| name == given);
        let field = exact.or_else(|| known.iter().find(|(n, _)| n.eq_ignore_ascii_case(given)));
        let Some((name, kind)) = field else {
            // Whoever takes the body judges what Docker does not know.
            values.insert(given.clone(), plain(value));
            continue;
        };
        match (kind, fit_at(value, kind, Spot::Field(&spot, given))?) {
            // Not given, then.
            (Kind::Bool | Kind::Text(_) | Kind::Integer(..) | Kind::Array(..), Value::Null) => {}
            (_, value) => {
                values.insert((*name).to_owned(), value);
            }
        }
    }
    Ok(Value::Object(values))
}

fn words(tree: &Tree<'_>) -> Option<Vec<Value>> {
    let word = |tree: &Tree<'_>| match tree {
        Tree::Text(text) => Some(Value::String(text.clone())),
        Tree::Null => Some(Value::String(String::new())),
        _ => None,
    };
    match tree {
        Tree::List(items) => items.iter().map(word).collect(),
        one => Some(vec![word(one)?]),
    }
}

fn plain(tree: &Tree<'_>) -> Value {
    match tree {
        Tree::Null => Value::Null,
        Tree::Bool(value) => Value::Bool(*value),
        Tree::Number(text) => match text.parse::<i128>() {
            Ok(number) => integer(number),
            // Beyond all numbers is as good as the last of them.
            Err(_) => text
                .parse::<f64>()
                .ok()
                .map(|number| number.clamp(f64::MIN, f64::MAX))
                .and_then(Number::from_f64)
                .map_or(Value::Null, Value::Number),
        },
        Tree::Text(text) => Value::String(text.clone()),
        Tree::List(items) => Value::Array(items.iter().map(plain).collect()),
        Tree::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(name, value)| (name.clone(), plain(value)))
                .collect(),
        ),
    }
}

/// As serde knows it: signed where it fits, else unsigned, else a floating point number.
fn integer(number: i128) -> Value {
    match (i64::try_from(number), u64::try_from(number)) {
        (Ok(number), _) => Value::from(number),
        (_, Ok(number)) => Value::from(number),
        _ => Value::from(number as f64),
    }
}

fn describe(tree: &Tree<'_>) -> &'static str {
    match tree {
        Tree::Null => "null",
        Tree::Bool(_) => "bool",
        Tree::Number(_) => "number",
        Tree::Text(_) => "string",
        Tree::List(_) => "array",
        Tree::Object(_) => "object",
    }
}
