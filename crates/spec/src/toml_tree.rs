//! TOML texts to trees with places. Must not know any field.

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use crate::fault::{Fault, Pos};
use crate::node::{Data, Entry, Node, Style};
use crate::scalar;
use crate::yaml::DEPTH_MAX;

/// The tree of a text, as far as it can be read.
pub(crate) fn parse(file: &str, text: &str, faults: &mut Vec<Fault>) -> Node {
    let (table, errors) = DeTable::parse_recoverable(text);
    for e in &errors {
        let at = e.span().map_or(Pos::START, |span| position(text, span.start));
        let message = e.message().lines().collect::<Vec<_>>().join(", ");
        faults.push(Fault::at(file, at, format!("this is not TOML: {message}")).help("look at the quotes, brackets and `=` of this line"));
    }
    let mut reader = Reader { file, text, faults };
    let data = reader.table(table.get_ref(), 0);
    Node::new(Pos::START, data)
}

/// Line and column of a byte offset.
pub(crate) fn position(text: &str, offset: usize) -> Pos {
    let mut end = offset.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let before = text.get(..end).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Pos::new(line, column)
}

struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    faults: &'a mut Vec<Fault>,
}

impl Reader<'_> {
    fn broken(&mut self, at: Pos, message: impl Into<String>) -> Data {
        self.faults.push(Fault::at(self.file, at, message));
        Data::Broken
    }

    fn table(&mut self, table: &DeTable<'_>, depth: usize) -> Data {
        let mut entries: Vec<Entry> = table
            .iter()
            .map(|(key, value)| Entry {
                key: key.get_ref().to_string(),
                key_at: position(self.text, key.span().start),
                value: self.value(value, depth + 1),
            })
            .collect();
        // The library sorts by name; faults and the first of two are easier to follow in the order of the file.
        entries.sort_by_key(|e| e.key_at);
        Data::Map(entries)
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, depth: usize) -> Node {
        let start = value.span().start;
        let at = position(self.text, start);
        if depth > DEPTH_MAX {
            let data = self.broken(at, format!("tables and lists are nested more than {DEPTH_MAX} deep"));
            return Node::new(at, data);
        }
        let data = match value.get_ref() {
            DeValue::String(text) => Data::Text(text.to_string()),
            DeValue::Boolean(b) => Data::Bool(*b),
            DeValue::Integer(n) => scalar::integer(whole(n), &n.to_string()).unwrap_or_else(|m| self.broken(at, m)),
            DeValue::Float(n) => scalar::decimal(n.as_str()).unwrap_or_else(|m| self.broken(at, m)),
            DeValue::Datetime(_) => self.broken(at, "dates and times are written as text here: quote it"),
            DeValue::Array(items) => Data::List(items.iter().map(|v| self.value(v, depth + 1)).collect()),
            DeValue::Table(table) => self.table(table, depth),
        };
        let opening = self.text.get(start..).unwrap_or_default();
        let style = if opening.starts_with("\"\"\"") || opening.starts_with("'''") {
            Style::Folded
        } else if opening.starts_with('"') {
            Style::Double
        } else if opening.starts_with('\'') {
            Style::Single
        } else {
            Style::Plain
        };
        Node { at, style, data }
    }
}

fn whole(n: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(n.as_str(), n.radix()).ok()
}
