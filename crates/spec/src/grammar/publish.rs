//! The tables as JSON Schema 2020-12: what editors check and `tollgate schema` prints. Must not know any field.

use serde_json::{Map, Value, json};

use super::shape::{Field, Keys, NAME_MAX, Need, Record, Shape, Tagged};
use super::{CONNECTOR, OPERATOR, POLICY, SETTINGS};

/// What there is a schema of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// `kind: Connector`.
    Connector,
    /// `kind: Operator`.
    Operator,
    /// `kind: Policy`.
    Policy,
    /// `tollgate.toml`.
    Settings,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Connector, Self::Operator, Self::Policy, Self::Settings];

    /// The word in specs; `tollgate.toml` for the settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connector => "Connector",
            Self::Operator => "Operator",
            Self::Policy => "Policy",
            Self::Settings => "tollgate.toml",
        }
    }

    /// From the word, whatever its case; `settings` means `tollgate.toml` as well.
    pub fn parse(word: &str) -> Option<Self> {
        let found = Self::ALL.into_iter().find(|k| k.as_str().eq_ignore_ascii_case(word));
        found.or_else(|| word.eq_ignore_ascii_case("settings").then_some(Self::Settings))
    }

    pub(super) fn record(self) -> &'static Record {
        match self {
            Self::Connector => &CONNECTOR,
            Self::Operator => &OPERATOR,
            Self::Policy => &POLICY,
            Self::Settings => &SETTINGS,
        }
    }
}

/// The JSON Schema of a kind of spec, or of `tollgate.toml`.
pub fn schema(kind: Kind) -> Value {
    let mut schema = record(kind.record());
    if let Value::Object(map) = &mut schema {
        map.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        map.insert("title".to_owned(), json!(kind.as_str()));
    }
    schema
}

fn record(record: &Record) -> Value {
    let mut schema = object(record.fields.iter());
    schema["description"] = json!(record.doc);
    schema
}

fn object<'a>(fields: impl Iterator<Item = &'a Field>) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for f in fields {
        let mut property = shape(&f.shape);
        property["description"] = json!(f.doc);
        match f.need {
            Need::Required => required.push(f.name),
            Need::Optional => {}
            Need::Default(text) => property["default"] = serde_json::from_str(text).unwrap_or_default(),
        }
        properties.insert(f.name.to_owned(), property);
    }
    let mut schema = json!({"type": "object", "properties": properties, "additionalProperties": false});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn tagged(tagged: &Tagged) -> Value {
    let variants: Vec<Value> = tagged
        .variants
        .iter()
        .map(|v| {
            let tag = Field::required(tagged.tag, Shape::Text, tagged.tag_doc);
            let mut schema = object(std::iter::once(&tag).chain(tagged.common).chain(v.fields));
            schema["description"] = json!(v.doc);
            schema["properties"][tagged.tag] = json!({"const": v.word, "description": tagged.tag_doc});
            schema
        })
        .collect();
    json!({"type": "object", "oneOf": variants, "description": tagged.doc})
}

fn name_pattern(dotted: bool) -> String {
    let name = format!("[a-z][a-z0-9_-]{{0,{}}}", NAME_MAX - 1);
    if dotted { format!("^{name}(\\.{name})*$") } else { format!("^{name}$") }
}

fn shape(of: &Shape) -> Value {
    match of {
        Shape::Text => json!({"type": "string"}),
        Shape::Filled => json!({"type": "string", "pattern": "\\S"}),
        Shape::Name => json!({"type": "string", "pattern": name_pattern(false)}),
        Shape::Bool => json!({"type": "boolean"}),
        Shape::Whole { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
        Shape::Span => json!({"type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$"}),
        Shape::Json => json!({}),
        Shape::JsonMap => json!({"type": "object"}),
        Shape::Schema => json!({"type": "object", "$ref": "https://json-schema.org/draft/2020-12/schema"}),
        Shape::Words(words) => json!({"enum": words}),
        Shape::WordOr(words, r) => json!({"anyOf": [{"enum": words}, record(r)]}),
        Shape::List { of, min } => json!({"type": "array", "items": shape(of), "minItems": min}),
        Shape::Set(of) => json!({"type": "array", "items": shape(of), "uniqueItems": true}),
        Shape::Map { keys, of } => {
            let mut schema = json!({"type": "object", "additionalProperties": shape(of)});
            match keys {
                Keys::Any => {}
                Keys::Names => schema["propertyNames"] = json!({"pattern": name_pattern(false)}),
                Keys::Dotted => schema["propertyNames"] = json!({"pattern": name_pattern(true)}),
            }
            schema
        }
        Shape::Record(r) => record(r),
        Shape::Tagged(t) => tagged(t),
        Shape::Marked(choices) => json!({"anyOf": choices.iter().map(|(_, s)| shape(s)).collect::<Vec<_>>()}),
        Shape::Amount => json!({"anyOf": [{"type": "integer"}, {"type": "string", "pattern": "\\$\\{"}]}),
    }
}
