//! A tree of values with places, which YAML and TOML are both read into. Must not know either, nor any field.

use serde_json::{Map, Number, Value};

use crate::fault::Pos;

/// How a scalar was written: what it takes to find a column inside it again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Style {
    Plain,
    Single,
    Double,
    Literal,
    Folded,
}

/// A value and where it begins.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Node {
    pub at: Pos,
    pub style: Style,
    pub data: Data,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Data {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// A fault was already reported here: nothing more is said of it.
    Broken,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Entry {
    pub key: String,
    pub key_at: Pos,
    pub value: Node,
}

impl Node {
    pub fn new(at: Pos, data: Data) -> Self {
        Self { at, style: Style::Plain, data }
    }

    /// The entry of a map.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|e| e.key == key)
    }

    /// The value of a map's entry.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|e| &e.value)
    }

    /// The value at the end of several keys.
    pub fn path(&self, keys: &[&str]) -> Option<&Self> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The entries of a map; none of anything else.
    pub fn entries(&self) -> &[Entry] {
        if let Data::Map(entries) = &self.data { entries } else { &[] }
    }

    /// The items of a list; none of anything else.
    pub fn items(&self) -> &[Self] {
        if let Data::List(items) = &self.data { items } else { &[] }
    }

    pub fn text(&self) -> Option<&str> {
        if let Data::Text(text) = &self.data { Some(text) } else { None }
    }

    /// As JSON, places forgotten.
    pub fn to_json(&self) -> Value {
        match &self.data {
            Data::Null | Data::Broken => Value::Null,
            Data::Bool(b) => Value::Bool(*b),
            Data::Number(n) => Value::Number(n.clone()),
            Data::Text(t) => Value::String(t.clone()),
            Data::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Data::Map(_) => Value::Object(self.to_map()),
        }
    }

    /// A map as JSON; empty for anything else.
    pub fn to_map(&self) -> Map<String, Value> {
        self.entries().iter().map(|e| (e.key.clone(), e.value.to_json())).collect()
    }

    /// What it is, in words.
    pub fn describe(&self) -> String {
        match &self.data {
            Data::Null => "nothing".to_owned(),
            Data::Bool(b) => format!("`{b}`"),
            Data::Number(n) if n.is_f64() => format!("the decimal number `{n}`"),
            Data::Number(n) => format!("the number `{n}`"),
            Data::Text(t) => format!("the text `{}`", short(t)),
            Data::List(_) => "a list".to_owned(),
            Data::Map(_) => "a map".to_owned(),
            Data::Broken => "a fault".to_owned(),
        }
    }
}

/// A text as messages quote it: escaped, and cut when long.
pub(crate) fn short(text: &str) -> String {
    const MAX: usize = 60;
    let mut out: String = text.chars().take(MAX).flat_map(char::escape_debug).collect();
    if text.chars().count() > MAX {
        out.push('…');
    }
    out.replace("\\\"", "\"").replace("\\'", "'")
}
