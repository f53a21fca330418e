//! The words that grammar tables are made of. Must not know any field.

/// Longest name, in bytes.
pub(crate) const NAME_MAX: usize = 64;

/// What a value may be.
pub(crate) enum Shape {
    /// A text, which may be empty.
    Text,
    /// A text that says something.
    Filled,
    /// A name: `[a-z][a-z0-9_-]*`.
    Name,
    Bool,
    /// A whole number.
    Whole {
        min: u64,
        max: u64,
    },
    /// A duration such as `10s`.
    Span,
    /// Any value.
    Json,
    /// A map of any values.
    JsonMap,
    /// A JSON Schema; what it must be is checked apart.
    Schema,
    /// One of these words.
    Words(&'static [&'static str]),
    /// One of these words, or a record.
    WordOr(&'static [&'static str], &'static Record),
    /// A list of at least so many.
    List {
        of: &'static Self,
        min: usize,
    },
    /// A list without duplicates.
    Set(&'static Self),
    /// A map from the author's keys.
    Map {
        keys: Keys,
        of: &'static Self,
    },
    /// A map with these fields.
    Record(&'static Record),
    /// A map whose fields depend on one of them.
    Tagged(&'static Tagged),
    /// The first whose mark, a field, is there; else the last.
    Marked(&'static [(&'static str, &'static Self)]),
    /// A whole number, or a template that gives one.
    Amount,
}

/// What the keys of a map are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keys {
    Any,
    Names,
    Dotted,
}

/// A map with known fields.
pub(crate) struct Record {
    /// With its article, such as `a tool`.
    pub what: &'static str,
    pub doc: &'static str,
    pub fields: &'static [Field],
}

/// A map whose field `tag` says which others there are.
pub(crate) struct Tagged {
    pub what: &'static str,
    pub doc: &'static str,
    pub tag: &'static str,
    pub tag_doc: &'static str,
    /// Fields of every variant.
    pub common: &'static [Field],
    pub variants: &'static [Variant],
}

pub(crate) struct Variant {
    pub word: &'static str,
    pub doc: &'static str,
    pub fields: &'static [Field],
}

/// A field.
pub(crate) struct Field {
    pub name: &'static str,
    pub shape: Shape,
    pub need: Need,
    pub doc: &'static str,
}

/// Whether a field may be left out.
pub(crate) enum Need {
    Required,
    /// May be left out, and then there is none, or what the text says.
    Optional,
    /// May be left out; the JSON of what then stands.
    Default(&'static str),
}

impl Field {
    pub const fn required(name: &'static str, shape: Shape, doc: &'static str) -> Self {
        Self { name, shape, need: Need::Required, doc }
    }

    pub const fn optional(name: &'static str, shape: Shape, doc: &'static str) -> Self {
        Self { name, shape, need: Need::Optional, doc }
    }

    pub const fn default(name: &'static str, shape: Shape, json: &'static str, doc: &'static str) -> Self {
        Self { name, shape, need: Need::Default(json), doc }
    }
}

/// Whether a text is a name.
pub(crate) fn is_name(text: &str) -> bool {
    text.len() <= NAME_MAX
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

/// Whether a text is names with dots between.
pub(crate) fn is_dotted(text: &str) -> bool {
    text.split('.').all(is_name)
}
