//! YAML texts to trees with places: multi-document, bounded, without anchors, tags and duplicate keys. Must not know any field.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError};

use crate::fault::{Fault, Pos};
use crate::node::{Data, Entry, Node, Style, short};
use crate::scalar;

/// Deepest nesting of lists and maps.
pub(crate) const DEPTH_MAX: usize = 64;

/// The documents of a text that hold something. After a fault of the syntax, those before it.
pub(crate) fn parse(file: &str, text: &str, faults: &mut Vec<Fault>) -> Vec<Node> {
    let mut builder = Builder { file, faults, stack: Vec::new(), documents: Vec::new() };
    for event in Parser::new_from_str(text) {
        let (event, span) = match event {
            Ok(next) => next,
            Err(e) => {
                builder.faults.push(unreadable(file, text, &e));
                break;
            }
        };
        if !builder.take(event, pos(span.start)) {
            break;
        }
    }
    builder.documents
}

fn pos(marker: Marker) -> Pos {
    Pos::new(marker.line(), marker.col() + 1)
}

/// The parser's words are for people who know its tokens; the commonest are said anew.
fn unreadable(file: &str, text: &str, e: &ScanError) -> Fault {
    let at = pos(*e.marker());
    let line = text.lines().nth(at.line.saturating_sub(1) as usize).unwrap_or_default();
    let fault = Fault::at(file, at, format!("this is not YAML: {}", e.info()));
    let indent = line.find(|c: char| !c.is_whitespace()).map_or(line, |end| line.get(..end).unwrap_or_default());
    if indent.contains('\t') || e.info().contains("tab") {
        // The parser names the start of what it was reading, the tab comes after that.
        let tab = text.lines().enumerate().skip(at.line.saturating_sub(1) as usize).find_map(|(n, l)| Some((n, l.find('\t')?)));
        let at = tab.map_or(at, |(n, column)| Pos::new(n + 1, column + 1));
        return Fault::at(file, at, "a tab stands where YAML wants spaces").help("indent with spaces");
    }
    let info = e.info();
    let help = if info.contains("mapping values") {
        "a text that holds `: ` must be quoted; a list or map under a key begins on the next line"
    } else if info.contains("quoted scalar") {
        "the closing quote is missing"
    } else if info.contains("flow") || info.contains("',' or") {
        "a closing `]` or `}`, or a comma, is missing"
    } else if info.contains("simple key") || info.contains("expected ':'") {
        "a key must be followed by `: `"
    } else {
        "look at the indentation and the quotes of this line and the one before it"
    };
    fault.help(help)
}

/// A list or a map that is not yet closed.
struct Open {
    at: Pos,
    data: OpenData,
}

enum OpenData {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, seen: BTreeMap<String, Pos>, key: Option<Key> },
}

/// A key whose value is to come; no text when the key itself was at fault.
struct Key {
    text: Option<String>,
    at: Pos,
}

struct Builder<'a> {
    file: &'a str,
    faults: &'a mut Vec<Fault>,
    stack: Vec<Open>,
    documents: Vec<Node>,
}

impl Builder<'_> {
    fn fault(&mut self, at: Pos, message: impl Into<String>, help: &str) {
        self.faults.push(Fault::at(self.file, at, message).help(help));
    }

    /// Whether to go on.
    fn take(&mut self, event: Event<'_>, at: Pos) -> bool {
        let (anchor, tag) = match &event {
            Event::Scalar(_, _, anchor, tag) | Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag) => {
                (*anchor > 0, tag.is_some())
            }
            _ => (false, false),
        };
        if anchor {
            self.fault(at, "anchors (`&name`) are not supported", "write the value out where it is used");
        }
        if tag {
            self.fault(at, "tags (`!name`) are not supported", "leave the tag away; quote what shall be text");
        }
        match event {
            Event::Alias(_) => {
                self.fault(at, "aliases (`*name`) are not supported", "write the value out; quote a text that begins with a star");
                self.put(Node::new(at, Data::Broken));
            }
            Event::Scalar(text, style, ..) => self.scalar(&text, style, at),
            Event::SequenceStart(..) => return self.open(at, OpenData::List(Vec::new())),
            Event::MappingStart(..) => return self.open(at, OpenData::Map { entries: Vec::new(), seen: BTreeMap::new(), key: None }),
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            _ => {}
        }
        true
    }

    fn open(&mut self, at: Pos, data: OpenData) -> bool {
        if self.stack.len() >= DEPTH_MAX {
            self.fault(at, format!("lists and maps are nested more than {DEPTH_MAX} deep"), "make the structure flatter");
            return false;
        }
        self.stack.push(Open { at, data });
        true
    }

    fn close(&mut self) {
        let Some(open) = self.stack.pop() else { return };
        let data = match open.data {
            OpenData::List(items) => Data::List(items),
            OpenData::Map { entries, .. } => Data::Map(entries),
        };
        self.put(Node::new(open.at, data));
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, at: Pos) {
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted => Style::Single,
            ScalarStyle::DoubleQuoted => Style::Double,
            ScalarStyle::Literal => Style::Literal,
            ScalarStyle::Folded => Style::Folded,
        };
        // A key is text whatever it looks like: `on`, `200` and `true` are names.
        if self.wants_key() {
            let data = if text.is_empty() && style == Style::Plain { Data::Null } else { Data::Text(text.to_owned()) };
            return self.put(Node { at, style, data });
        }
        let data = if style == Style::Plain { scalar::resolve(text) } else { Ok(Data::Text(text.to_owned())) };
        let data = data.unwrap_or_else(|message| {
            self.faults.push(Fault::at(self.file, at, message));
            Data::Broken
        });
        self.put(Node { at, style, data });
    }

    fn wants_key(&self) -> bool {
        matches!(self.stack.last(), Some(Open { data: OpenData::Map { key: None, .. }, .. }))
    }

    /// A finished value into what is open; a whole document when nothing is.
    fn put(&mut self, node: Node) {
        let Some(open) = self.stack.last_mut() else {
            if node.data != Data::Null {
                self.documents.push(node);
            }
            return;
        };
        match &mut open.data {
            OpenData::List(items) => items.push(node),
            OpenData::Map { entries, seen, key } => match key.take() {
                None => *key = Some(name(self.file, node, seen, self.faults)),
                Some(Key { text: Some(text), at }) => entries.push(Entry { key: text, key_at: at, value: node }),
                Some(Key { text: None, .. }) => {}
            },
        }
    }
}

/// A node as a key: a text, once.
fn name(file: &str, node: Node, seen: &mut BTreeMap<String, Pos>, faults: &mut Vec<Fault>) -> Key {
    let at = node.at;
    let Data::Text(text) = node.data else {
        if node.data != Data::Broken {
            faults.push(Fault::at(file, at, format!("a key is a word, not {}", node.describe())));
        }
        return Key { text: None, at };
    };
    if text == "<<" && node.style == Style::Plain {
        faults.push(Fault::at(file, at, "merge keys (`<<`) are not supported").help("write the fields out"));
        return Key { text: None, at };
    }
    if let Some(first) = seen.get(&text) {
        let message = format!("the key `{}` stands twice in this map; first at line {}", short(&text), first.line);
        faults.push(Fault::at(file, at, message).help("keep one"));
        return Key { text: None, at };
    }
    seen.insert(text.clone(), at);
    Key { text: Some(text), at }
}
