//! What an evaluation reads: JSON by root name, borrowed.

use serde_json::Value;

/// Named JSON values.
#[derive(Clone, Default, Debug)]
pub struct Inputs<'a> {
    roots: Vec<(&'a str, &'a Value)>,
}

impl<'a> Inputs<'a> {
    /// None yet.
    pub const fn new() -> Self {
        Self { roots: Vec::new() }
    }

    /// With one more root.
    #[must_use]
    pub fn with(mut self, root: &'a str, value: &'a Value) -> Self {
        self.roots.push((root, value));
        self
    }

    pub(crate) fn get(&self, root: &str) -> Option<&'a Value> {
        self.roots.iter().find(|(name, _)| *name == root).map(|(_, v)| *v)
    }
}
