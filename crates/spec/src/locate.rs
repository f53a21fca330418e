//! From the places that other parts spell (`propose[0].args/issue`, `request.url`) to places in files. Must not know what they mean.

use crate::fault::Pos;
use crate::node::{Data, Entry, Node};
use crate::offset;

/// Where a place leads: as near as the tree goes.
pub(crate) struct Found<'n> {
    /// The nearest key or item on the way.
    pub at: Pos,
    /// The value, when the whole way is there.
    pub node: Option<&'n Node>,
}

impl Found<'_> {
    /// The position of a line and column inside the value's text, both from 1.
    pub fn inside(&self, source: &str, line: u32, column: u32) -> Pos {
        self.node.and_then(|node| offset::position(source, node, line, column)).unwrap_or(self.at)
    }
}

/// Follows a place: names with dots, `[0]` for items, and from the first `/` on a JSON pointer.
pub(crate) fn follow<'n>(node: &'n Node, owner: Pos, place: &str) -> Found<'n> {
    let (mut node, mut at, mut rest) = (node, owner, place);
    loop {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        if rest.is_empty() {
            return Found { at, node: Some(node) };
        }
        if rest.starts_with('/') {
            return follow_pointer(node, at, rest);
        }
        let step = if let Some((index, after)) = rest.strip_prefix('[').and_then(|r| r.split_once(']')) {
            index.parse().ok().and_then(|i: usize| node.items().get(i)).map(|item| (item, item.at, after))
        } else {
            entry_of(node, rest).map(|e| (&e.value, blame(e), rest.get(e.key.len()..).unwrap_or_default()))
        };
        match step {
            Some(next) => (node, at, rest) = next,
            None => return Found { at, node: None },
        }
    }
}

/// The entry whose key a place begins with; the longest, since keys may hold dots themselves.
fn entry_of<'n>(node: &'n Node, place: &str) -> Option<&'n Entry> {
    let begins = |e: &&Entry| {
        !e.key.is_empty() && place.strip_prefix(e.key.as_str()).is_some_and(|after| after.is_empty() || after.starts_with(['.', '[', '/']))
    };
    node.entries().iter().filter(begins).max_by_key(|e| e.key.len())
}

/// Who is blamed for what lies in an entry: its key for a map or a list, else the value.
pub(crate) fn blame(entry: &Entry) -> Pos {
    if matches!(entry.value.data, Data::List(_) | Data::Map(_)) { entry.key_at } else { entry.value.at }
}

/// Follows a JSON pointer.
fn follow_pointer<'n>(node: &'n Node, owner: Pos, pointer: &str) -> Found<'n> {
    let (mut node, mut at) = (node, owner);
    for part in pointer.split('/').skip(1) {
        let name = part.replace("~1", "/").replace("~0", "~");
        let next = match &node.data {
            Data::List(items) => name.parse().ok().and_then(|i: usize| items.get(i)).map(|item| (item, item.at)),
            _ => node.entry(&name).map(|e| (&e.value, blame(e))),
        };
        match next {
            Some(next) => (node, at) = next,
            None => return Found { at, node: None },
        }
    }
    Found { at, node: Some(node) }
}

/// The place of what a JSON pointer leads to, or of the nearest thing round it.
pub(crate) fn pointer(node: &Node, owner: Pos, pointer: &str) -> Pos {
    follow_pointer(node, owner, pointer).at
}
