//! A tree against the tables: every fault of it at once. Must not know any field.

use std::collections::BTreeMap;

use tollgate_core::time::parse_span;

use super::shape::{Field, Keys, NAME_MAX, Need, Record, Shape, Tagged, is_dotted, is_name};
use crate::fault::{Fault, Pos};
use crate::nearest::{advice, nearest};
use crate::node::{Data, Entry, Node, short};

/// Checks nodes of one file.
pub(crate) struct Checker<'a> {
    pub file: &'a str,
    pub faults: &'a mut Vec<Fault>,
}

impl Checker<'_> {
    /// Whether the value under a key is what the table wants. `owner` is blamed for what is missing.
    fn value(&mut self, label: &str, node: &Node, owner: Pos, shape: &Shape) {
        match (shape, &node.data) {
            (_, Data::Broken) | (Shape::Json, _) => {}
            (Shape::Text, Data::Text(_)) | (Shape::Bool, Data::Bool(_)) | (Shape::JsonMap | Shape::Schema, Data::Map(_)) => {}
            (Shape::Filled, Data::Text(text)) if !text.trim().is_empty() => {}
            (Shape::Filled, Data::Text(_)) => self.fault(node.at, format!("`{label}` is empty"), None),
            (Shape::Name, Data::Text(text)) => self.name(label, text, node.at, false),
            (Shape::Span, Data::Text(text)) => {
                if let Err(message) = parse_span(text) {
                    self.fault(node.at, message, None);
                }
            }
            (Shape::Whole { min, max }, Data::Number(n)) if n.as_u64().is_some_and(|n| (*min..=*max).contains(&n)) => {}
            (Shape::Amount, Data::Number(n)) if n.is_i64() || n.is_u64() => {}
            (Shape::Amount, Data::Text(text)) if text.contains("${") => {}
            (Shape::Words(words), Data::Text(text)) => self.word(label, text, node.at, words),
            (Shape::WordOr(words, _), Data::Text(text)) => self.word(label, text, node.at, words),
            (Shape::List { of, min }, Data::List(items)) => self.list(label, items, owner, of, *min),
            (Shape::Set(of), Data::List(items)) => {
                self.list(label, items, owner, of, 0);
                self.distinct(label, items);
            }
            (Shape::Map { keys, of }, Data::Map(entries)) => self.map(label, entries, *keys, of),
            (Shape::Record(record) | Shape::WordOr(_, record), Data::Map(_)) => self.record(node, owner, record),
            (Shape::Tagged(tagged), Data::Map(_)) => self.tagged(node, owner, tagged),
            (Shape::Marked(choices), Data::Map(_)) => {
                let found = choices.iter().find(|(mark, _)| node.get(mark).is_some()).or_else(|| choices.last());
                if let Some((_, shape)) = found {
                    self.value(label, node, owner, shape);
                }
            }
            _ => self.wrong(label, node, shape),
        }
    }

    /// A map against a table of fields.
    pub fn record(&mut self, node: &Node, owner: Pos, record: &Record) {
        let fields: Vec<&Field> = record.fields.iter().collect();
        self.fields(node, owner, record.what, &fields);
    }

    fn fields(&mut self, node: &Node, owner: Pos, what: &str, fields: &[&Field]) {
        for entry in node.entries() {
            let Some(field) = fields.iter().find(|f| f.name == entry.key) else {
                let help = advice(&entry.key, fields.iter().map(|f| f.name));
                self.fault(entry.key_at, format!("{what} has no field `{}`", short(&entry.key)), help);
                continue;
            };
            // An empty optional field is most likely one that was meant to be filled: it is not taken for left out.
            self.value(field.name, &entry.value, below(entry), &field.shape);
        }
        for field in fields.iter().filter(|f| matches!(f.need, Need::Required) && node.entry(f.name).is_none()) {
            self.fault(owner, format!("{what} needs the field `{}`", field.name), Some(field.doc.to_owned()));
        }
    }

    fn tagged(&mut self, node: &Node, owner: Pos, tagged: &Tagged) {
        let words: Vec<&str> = tagged.variants.iter().map(|v| v.word).collect();
        let tag = node.get(tagged.tag);
        let word = match tag.map(|n| (n, n.text())) {
            Some((_, Some(word))) => word,
            // Without its tag nothing else of the map can be judged.
            Some((n, None)) => {
                if n.data != Data::Broken {
                    self.wrong(tagged.tag, n, &Shape::Words(&[]));
                }
                return;
            }
            None => {
                let help = advice("", words.iter().copied()).map(|h| h.replacen("valid are", "one of", 1));
                return self.fault(owner, format!("{} needs the field `{}`", tagged.what, tagged.tag), help);
            }
        };
        let Some(variant) = tagged.variants.iter().find(|v| v.word == word) else {
            return self.word(tagged.tag, word, tag.map_or(owner, |n| n.at), &words);
        };
        let tag_field = Field::required(tagged.tag, Shape::Text, tagged.tag_doc);
        let mut fields: Vec<&Field> = vec![&tag_field];
        fields.extend(tagged.common.iter().chain(variant.fields));
        self.fields(node, owner, &format!("{} of {} `{word}`", tagged.what, tagged.tag), &fields);
    }

    fn list(&mut self, label: &str, items: &[Node], owner: Pos, of: &Shape, min: usize) {
        if items.len() < min {
            self.fault(owner, format!("`{label}` is an empty list"), Some("write at least one item".to_owned()));
        }
        let label = format!("an item of {label}");
        for item in items {
            self.value(&label, item, item.at, of);
        }
    }

    fn distinct(&mut self, label: &str, items: &[Node]) {
        let mut seen = BTreeMap::new();
        for item in items {
            if seen.insert(item.to_json().to_string(), ()).is_some() {
                self.fault(item.at, format!("{} stands twice in `{label}`", item.describe()), Some("keep one".to_owned()));
            }
        }
    }

    fn map(&mut self, label: &str, entries: &[Entry], keys: Keys, of: &Shape) {
        for entry in entries {
            match keys {
                Keys::Any => {}
                Keys::Names => self.name(&format!("a name under {label}"), &entry.key, entry.key_at, false),
                Keys::Dotted => self.name(&format!("a name under {label}"), &entry.key, entry.key_at, true),
            }
            self.value(&entry.key, &entry.value, below(entry), of);
        }
    }

    fn name(&mut self, label: &str, text: &str, at: Pos, dotted: bool) {
        let fits = if dotted { is_dotted(text) } else { is_name(text) };
        if !fits {
            let dots = if dotted { ", such words with dots between" } else { "" };
            let help = format!("a lower-case letter, then lower-case letters, digits, `-` and `_`, at most {NAME_MAX} in all{dots}");
            self.fault(at, format!("`{}` is not {}", short(text), if label == "name" { "a name" } else { label }), Some(help));
        }
    }

    fn word(&mut self, label: &str, text: &str, at: Pos, words: &[&str]) {
        if !words.contains(&text) {
            self.fault(at, format!("`{label}` cannot be `{}`", short(text)), advice(text, words.iter().copied()));
        }
    }

    fn wrong(&mut self, label: &str, node: &Node, shape: &Shape) {
        let help = match (shape, &node.data) {
            (Shape::Text | Shape::Filled | Shape::Name | Shape::Words(_), Data::Number(_) | Data::Bool(_)) => {
                Some("quote it, so that it is text".to_owned())
            }
            (Shape::Span, Data::Number(n)) => Some(format!("write the unit: `{n}s` or `{n}ms`")),
            (Shape::List { .. } | Shape::Set(_), Data::Text(text)) => Some(format!("write `[{}]`", short(text))),
            (_, Data::Null) => Some("fill it in, or remove the key".to_owned()),
            _ => None,
        };
        let label = if label.starts_with("an item of ") { label.to_owned() } else { format!("`{}`", short(label)) };
        self.fault(node.at, format!("{label} must be {}, not {}", expected(shape), node.describe()), help);
    }

    fn fault(&mut self, at: Pos, message: String, help: Option<String>) {
        self.faults.push(Fault { help, ..Fault::at(self.file, at, message) });
    }

    /// The word that says what a document is, when it is one of these.
    pub fn kind<'n>(&mut self, node: &'n Node, kinds: &[&str]) -> Option<&'n str> {
        let list = advice("", kinds.iter().copied()).map(|h| h.replacen("valid are", "one of", 1));
        if !matches!(node.data, Data::Map(_)) {
            if node.data != Data::Broken {
                self.fault(node.at, format!("a spec must be a map with a `kind`, not {}", node.describe()), list);
            }
            return None;
        }
        let Some(kind) = node.entry("kind") else {
            let near = node.entries().iter().find(|e| nearest(&e.key, ["kind"]).is_some());
            let help = near.map(|e| format!("did you mean `kind` where it says `{}`?", short(&e.key))).or(list);
            self.fault(node.at, "a spec needs the field `kind`".to_owned(), help);
            return None;
        };
        match kind.value.text() {
            Some(word) if kinds.contains(&word) => return Some(word),
            Some(word) => self.fault(kind.value.at, format!("there is no kind `{}`", short(word)), advice(word, kinds.iter().copied())),
            None if kind.value.data == Data::Broken => {}
            None => self.wrong("kind", &kind.value, &Shape::Words(&[])),
        }
        None
    }
}

/// Who is blamed for what a value lacks: the key of a map or a list.
fn below(entry: &Entry) -> Pos {
    match entry.value.data {
        Data::List(_) | Data::Map(_) => entry.key_at,
        _ => entry.value.at,
    }
}

fn expected(shape: &Shape) -> String {
    match shape {
        Shape::Text | Shape::Filled => "text".to_owned(),
        Shape::Name => "a name".to_owned(),
        Shape::Bool => "`true` or `false`".to_owned(),
        Shape::Whole { min, max } => format!("a whole number from {min} to {max}"),
        Shape::Span => "a duration such as `10s`".to_owned(),
        Shape::Json => "a value".to_owned(),
        Shape::JsonMap | Shape::Map { .. } => "a map".to_owned(),
        Shape::Schema => "a JSON Schema, which is a map".to_owned(),
        Shape::Words([]) => "a word".to_owned(),
        Shape::Words(words) => format!("one of {}", list(words)),
        Shape::WordOr(words, record) => format!("{}, or {} as a map", list(words), record.what),
        Shape::List { of, .. } | Shape::Set(of) => match of {
            Shape::Text | Shape::Filled | Shape::Name => "a list of texts".to_owned(),
            Shape::Record(_) => "a list of maps".to_owned(),
            _ => "a list of numbers".to_owned(),
        },
        Shape::Record(record) => format!("{} as a map", record.what.trim_matches('`')),
        Shape::Tagged(tagged) => format!("a map with the field `{}`", tagged.tag),
        Shape::Marked(_) => "a map with `method` and `url`, or with `op` and `path`".to_owned(),
        Shape::Amount => "a whole number of the smallest unit, or a template such as `${event.payload.amount}`".to_owned(),
    }
}

fn list(words: &[&str]) -> String {
    words.iter().map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", ")
}
