//! Values out of schemas: those that fit, and those that do not.

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use serde_json::{Map, Value, json};

use super::Known;

const ODD: &[&str] = &[
    "",
    " ",
    "\u{0}",
    "a\nb",
    "\u{202e}abc",
    "é",
    "日本語",
    "💥",
    "%00",
    "%2F",
    "..",
    "../../etc/passwd",
    "'; DROP TABLE events; --",
    "${event}",
    "null",
    "true",
    "-1",
    "1e400",
    "NaN",
    "\"",
    "\\",
    "<script>",
    "a.b",
    "*",
    "**",
    "a..b",
    "{}",
    "[]",
    "2026-01-31T12:00:00Z",
    "2026-13-45",
    "9999-12-31T23:59:59.999999999Z",
    "0001-01-01T00:00:00Z",
];
const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "1",
    "-1",
    "20",
    "100",
    "101",
    "60000",
    "60001",
    "2147483648",
    "9007199254740992",
    "9007199254740993",
    "-9007199254740993",
    "18446744073709551615",
    "18446744073709551616",
    "1.5",
    "5.0",
    "1e2",
    "1e308",
    "-1e-308",
    "0.1",
];

/// Makes values.
pub struct Values<'a> {
    pub api: &'a Value,
    pub known: &'a Known,
    pub rng: &'a mut StdRng,
}

impl Values<'_> {
    /// One of many odd texts.
    pub fn odd(&mut self) -> String {
        match self.rng.random_range(0..10) {
            0 => "x".repeat(self.rng.random_range(1..3000)),
            1 => (0..self.rng.random_range(1..12)).map(|_| char::from_u32(self.rng.random_range(0..0x3000)).unwrap_or('?')).collect(),
            _ => (*ODD.choose(self.rng).unwrap()).to_owned(),
        }
    }

    fn number(&mut self) -> Value {
        serde_json::from_str(NUMBERS.choose(self.rng).unwrap()).unwrap_or(json!(7))
    }

    /// Anything at all.
    pub fn any(&mut self, depth: u32) -> Value {
        match self.rng.random_range(0..if depth == 0 { 5 } else { 7 }) {
            0 => Value::Null,
            1 => json!(self.rng.random::<bool>()),
            2 => self.number(),
            3 | 4 => json!(self.odd()),
            5 => (0..self.rng.random_range(0..3)).map(|_| self.any(depth - 1)).collect(),
            _ => Value::Object((0..self.rng.random_range(0..3)).map(|_| (self.odd(), self.any(depth - 1))).collect()),
        }
    }

    fn resolved<'s>(&'s self, schema: &'s Value) -> &'s Value {
        schema.get("$ref").and_then(Value::as_str).map_or(schema, |r| self.api.pointer(r.trim_start_matches('#')).unwrap())
    }

    /// A value that fits; `name` is the field or parameter that it is for: words of the project are better than random ones.
    pub fn fitting(&mut self, name: &str, schema: &Value) -> Value {
        let schema = self.resolved(schema).clone();
        if let Some(word) = self.known.word(name, self.rng) {
            return word;
        }
        if let Some(all) = schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Value::as_array) {
            let one = all.choose(self.rng).unwrap().clone();
            return self.fitting(name, &one);
        }
        if let Some(all) = schema.get("enum").and_then(Value::as_array) {
            return all.choose(self.rng).unwrap().clone();
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::String(t) => vec![t.as_str()],
            Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
            _ => return self.any(2),
        };
        match *types.choose(self.rng).unwrap() {
            "null" => Value::Null,
            "boolean" => json!(self.rng.random::<bool>()),
            "integer" | "number" => {
                let bound = |key: &str, or: i64| schema.get(key).and_then(Value::as_f64).map_or(or, |f| f as i64);
                json!(self.rng.random_range(bound("minimum", 0)..=bound("maximum", 1000)))
            }
            "array" => (0..self.rng.random_range(1..3)).map(|_| self.fitting(name, &schema["items"])).collect(),
            "object" => Value::Object(self.object(&schema)),
            _ => json!(self.text(&schema)),
        }
    }

    fn object(&mut self, schema: &Value) -> Map<String, Value> {
        let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut out = Map::new();
        for (name, of) in schema["properties"].as_object().into_iter().flatten() {
            if required.contains(&name.as_str()) || self.rng.random_bool(if Known::leads(name) { 0.9 } else { 0.4 }) {
                let value = self.fitting(name, of);
                out.insert(name.clone(), value);
            }
        }
        out
    }

    fn text(&mut self, schema: &Value) -> String {
        if schema["format"] == "date-time" {
            return format!(
                "20{:02}-0{}-1{}T00:00:00Z",
                self.rng.random_range(0..99),
                self.rng.random_range(1..9),
                self.rng.random_range(0..9)
            );
        }
        // Patterns of words are lists of them; the others are met by plain lower-case text.
        let pattern = schema["pattern"].as_str().unwrap_or_default();
        if let Some(words) = pattern.strip_prefix("^(").and_then(|p| p.strip_suffix(")$")).filter(|w| !w.contains('[')) {
            let words: Vec<&str> = words.split('|').collect();
            return (*words.choose(self.rng).unwrap()).to_owned();
        }
        if pattern.contains("{64}") {
            return "ab".repeat(32);
        }
        (0..self.rng.random_range(1..8)).map(|_| char::from(self.rng.random_range(b'a'..=b'z'))).collect()
    }

    /// Spoils a body in one place.
    pub fn spoil(&mut self, body: &mut Value) {
        let Value::Object(map) = body else {
            *body = self.any(1);
            return;
        };
        let names: Vec<String> = map.keys().cloned().collect();
        let field = names.choose(self.rng).cloned();
        match (self.rng.random_range(0..7), field) {
            (0, Some(name)) => drop(map.remove(&name)),
            (1 | 2, Some(name)) => drop(map.insert(name, self.any(2))),
            (3, Some(name)) => {
                let value = map.remove(&name).unwrap();
                let short: String = name.chars().skip(1).collect();
                map.insert(format!("x{short}"), value);
            }
            (4, Some(name)) if map[&name].is_object() => self.spoil(map.get_mut(&name).unwrap()),
            (5, _) => *body = self.any(1),
            _ => drop(map.insert(self.odd(), self.any(2))),
        }
    }
}
