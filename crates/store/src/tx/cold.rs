//! Everything that is not hot: plain statements in the subset that both engines share, written once where they are used.
//!
//! Parameters are numbered `$1`, `$2`, each first used in that order. A command asks first and changes after: what it asks does not see
//! its own plain changes on every engine.

use std::borrow::Cow;

use crate::error::Result;
use crate::row::Row;
use crate::value::Value;

/// A read: its text, its values, and how a row reads.
pub(crate) struct Query<T> {
    pub(crate) text: Cow<'static, str>,
    pub(crate) values: Vec<Value>,
    pub(crate) read: fn(Row<'_>) -> Result<T>,
}

/// A change.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Statement {
    pub(crate) text: &'static str,
    pub(crate) values: Vec<Value>,
}

/// Plain statements.
pub(crate) trait Cold {
    /// Runs a read.
    fn select(&mut self, text: &str, values: &[Value], each: &mut dyn FnMut(Row<'_>) -> Result<()>) -> Result<()>;
    /// Runs a change.
    fn execute(&mut self, statement: Statement) -> Result<()>;
}

/// Every row of a read.
pub(crate) fn fetch<T>(tx: &mut (impl Cold + ?Sized), query: &Query<T>) -> Result<Vec<T>> {
    let mut out = Vec::new();
    tx.select(&query.text, &query.values, &mut |row| {
        out.push((query.read)(row)?);
        Ok(())
    })?;
    Ok(out)
}

/// The first row of a read.
pub(crate) fn fetch_one<T>(tx: &mut (impl Cold + ?Sized), query: &Query<T>) -> Result<Option<T>> {
    Ok(fetch(tx, query)?.into_iter().next())
}
