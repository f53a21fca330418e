//! Rows that a group of commands knows: as they were fetched, and as the commands leave them. Nothing here knows SQL.
//!
//! A command works in a layer of its own that is merged when it succeeds and dropped when it fails or asks for a row that was not fetched.

use std::collections::{BTreeMap, BTreeSet};

use tollgate_core::ports::StoreError;

use crate::error::Result;

/// A row that is known.
#[derive(Clone, Debug)]
pub(crate) struct Known<V> {
    /// As it is now; none when there is no such row.
    pub(crate) value: Option<V>,
    /// As it was fetched.
    pub(crate) was: Option<V>,
    /// Whether a command changed it.
    pub(crate) dirty: bool,
}

/// Rows of one table by their key.
#[derive(Debug)]
pub(crate) struct Table<K, V> {
    rows: BTreeMap<K, Known<V>>,
    layer: BTreeMap<K, Known<V>>,
    missing: BTreeSet<K>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), layer: BTreeMap::new(), missing: BTreeSet::new() }
    }
}

/// What a command fails with when it asks for a row that was not fetched: it is run again when the row is there.
pub(crate) fn not_fetched() -> StoreError {
    StoreError::Unavailable("a row was not fetched yet".to_owned())
}

impl<K: Ord + Clone, V: Clone> Table<K, V> {
    fn known(&self, key: &K) -> Option<&Known<V>> {
        self.layer.get(key).or_else(|| self.rows.get(key))
    }

    /// A row; none when there is none.
    pub(crate) fn get(&mut self, key: &K) -> Result<Option<V>> {
        match self.known(key) {
            Some(k) => Ok(k.value.clone()),
            None => {
                self.missing.insert(key.clone());
                Err(not_fetched())
            }
        }
    }

    /// A row, or an empty one when it is not known.
    pub(crate) fn known_or_empty(&self, key: &K) -> V
    where
        V: Default,
    {
        self.known(key).and_then(|k| k.value.clone()).unwrap_or_default()
    }

    /// Sets a row, known or new.
    pub(crate) fn put(&mut self, key: K, value: Option<V>) {
        let was = self.known(&key).and_then(|k| k.was.clone());
        self.layer.insert(key, Known { value, was, dirty: true });
    }

    /// Changes a row that is there.
    pub(crate) fn change(&mut self, key: &K, with: impl FnOnce(&mut V)) -> Result<bool> {
        let Some(mut value) = self.get(key)? else { return Ok(false) };
        with(&mut value);
        self.put(key.clone(), Some(value));
        Ok(true)
    }

    /// Takes in what was fetched; what is known already stays.
    pub(crate) fn fetched(&mut self, key: K, value: Option<V>) {
        self.missing.remove(&key);
        self.rows.entry(key).or_insert_with(|| Known { was: value.clone(), value, dirty: false });
    }

    /// Everything asked for that is not here: there is no such row.
    pub(crate) fn settle(&mut self, keys: impl IntoIterator<Item = K>) {
        for key in keys {
            self.fetched(key, None);
        }
    }

    /// What must be fetched.
    pub(crate) fn wanted(&mut self) -> BTreeSet<K> {
        std::mem::take(&mut self.missing)
    }

    /// Wants a row before a command asks for it.
    pub(crate) fn want(&mut self, key: K) {
        if self.known(&key).is_none() {
            self.missing.insert(key);
        }
    }

    pub(crate) fn is_missing(&self) -> bool {
        !self.missing.is_empty()
    }

    /// Keeps what the command did.
    pub(crate) fn merge(&mut self) {
        self.rows.append(&mut self.layer);
    }

    /// Forgets what the command did.
    pub(crate) fn discard(&mut self) {
        self.layer.clear();
    }

    /// Every row that is there.
    pub(crate) fn present(&self) -> impl Iterator<Item = (&K, &V)> {
        self.rows.iter().filter_map(|(key, k)| Some((key, k.value.as_ref()?)))
    }

    /// What changed, in the order of keys.
    pub(crate) fn changed(&self) -> impl Iterator<Item = (&K, &Known<V>)> {
        self.rows.iter().filter(|(_, k)| k.dirty)
    }
}
