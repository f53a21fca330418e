//! Pages and their cursors: opaque, and bound to the query that made them. Knows no lists.

use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;
use tollgate_core::hash::Digest;
use tollgate_core::ports::{Listed, Page};
use tollgate_core::scope::Scope;
use utoipa::ToSchema;

use crate::error::{ApiError, Code};

const VERSION: u8 = 1;
const LIMIT_MAX: u32 = 100;
const LIMIT_DEFAULT: u32 = 20;
const UNREADABLE: &str = "the cursor cannot be read: use it as it came, or leave it out to start again";

/// A page of a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct List<T> {
    /// Always `list`.
    pub object: &'static str,
    /// Newest first.
    pub data: Vec<T>,
    /// Whether there is a next page.
    pub has_more: bool,
    /// What to ask the next page with; null on the last page.
    pub next_cursor: Option<String>,
}

/// What a page is asked of.
pub(crate) struct Asked {
    before: Option<u128>,
    limit: u32,
    /// Names the query: route, whose data, filters.
    query: Digest,
}

impl Asked {
    /// Reads `limit` and `cursor` for a list. `filters` are those given, in a fixed order.
    ///
    /// # Errors
    /// `invalid_parameter` for a limit out of range, `invalid_cursor` for a cursor of another query.
    pub fn new(route: &str, scope: &Scope, filters: &[Option<&str>], limit: Option<&str>, cursor: Option<&str>) -> Result<Self, ApiError> {
        let limit = limit.map_or(Ok(LIMIT_DEFAULT), read_limit)?;
        let query = name(route, scope, filters);
        let before = cursor.map(|c| read(c, &query)).transpose()?;
        Ok(Self { before, limit, query })
    }

    /// The page to ask a port for: one more than is shown, to know whether there is a next.
    pub fn page(&self) -> Page {
        Page { before: self.before, limit: self.limit + 1 }
    }

    /// The answer from what a port gave for [`Self::page`].
    pub fn list<T, V>(&self, mut rows: Vec<Listed<T>>, view: impl FnMut(T) -> V) -> List<V> {
        let shown = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > shown;
        rows.truncate(shown);
        let next_cursor = rows.last().filter(|_| has_more).map(|last| write(&self.query, last.row));
        List { object: "list", data: rows.into_iter().map(|l| l.item).map(view).collect(), has_more, next_cursor }
    }

    /// A page of what is in memory whole, in its order.
    pub fn of_all<T>(&self, all: Vec<T>) -> Vec<Listed<T>> {
        // Rows fall from item to item, as in the lists of the ports: the first item has the highest.
        let rows = (0..all.len() as u128).rev().map(|n| u128::MAX - (all.len() as u128 - 1 - n));
        let before = self.before.unwrap_or(u128::MAX);
        let after_cursor = |l: &Listed<T>| self.before.is_none() || l.row < before;
        let page = usize::try_from(self.limit).unwrap_or(usize::MAX) + 1;
        let rows: Vec<u128> = rows.collect();
        rows.into_iter().zip(all).map(|(row, item)| Listed { row, item }).filter(after_cursor).take(page).collect()
    }
}

/// The cursors of a stream: positions, bound to its query.
pub(crate) struct StreamCursors(Digest);

impl StreamCursors {
    /// Those of a route, whose data, and filters in a fixed order.
    pub fn new(route: &str, scope: &Scope, filters: &[Option<&str>]) -> Self {
        Self(name(route, scope, filters))
    }

    /// The cursor that stands behind a position.
    pub fn write(&self, position: u64) -> String {
        write(&self.0, u128::from(position))
    }

    /// The position of a cursor.
    ///
    /// # Errors
    /// `invalid_cursor` for one of another query.
    pub fn read(&self, cursor: &str) -> Result<u64, ApiError> {
        let unreadable = || ApiError::new(Code::InvalidCursor, UNREADABLE);
        u64::try_from(read(cursor, &self.0)?).ok().filter(|p| i64::try_from(*p).is_ok()).ok_or_else(unreadable)
    }
}

fn name(route: &str, scope: &Scope, filters: &[Option<&str>]) -> Digest {
    let mut parts: Vec<&[u8]> =
        vec![route.as_bytes(), scope.reseller_id.as_bytes(), scope.tenant_id.as_bytes(), scope.mode.as_str().as_bytes()];
    for f in filters {
        parts.push(if f.is_some() { b"+" } else { b"-" });
        parts.push(f.unwrap_or_default().as_bytes());
    }
    Digest::of_parts("cursor", &parts)
}

fn read_limit(text: &str) -> Result<u32, ApiError> {
    let bad = || {
        let shown: String = text.chars().take(40).collect();
        ApiError::invalid(format!("`limit`: `{}` is not a whole number from 1 to {LIMIT_MAX}", shown.escape_debug()))
    };
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse::<u32>().ok().filter(|n| plain && (1..=LIMIT_MAX).contains(n)).ok_or_else(bad)
}

fn write(query: &Digest, row: u128) -> String {
    let mut bytes = Vec::with_capacity(25);
    bytes.push(VERSION);
    bytes.extend_from_slice(&query.0[..8]);
    bytes.extend_from_slice(&row.to_be_bytes());
    BASE64URL_NOPAD.encode(&bytes)
}

fn read(cursor: &str, query: &Digest) -> Result<u128, ApiError> {
    let bad = |m: &str| ApiError::new(Code::InvalidCursor, m);
    let bytes = BASE64URL_NOPAD.decode(cursor.as_bytes()).map_err(|_| bad(UNREADABLE))?;
    let row = match bytes.split_first() {
        Some((&VERSION, rest)) if rest.len() == 24 => rest,
        _ => return Err(bad(UNREADABLE)),
    };
    let (of, row) = row.split_at(8);
    if of != &query.0[..8] {
        return Err(bad("the cursor belongs to another query: repeat the filters that it was made with, or leave it out to start again"));
    }
    row.try_into().map(u128::from_be_bytes).map_err(|_| bad(UNREADABLE))
}

#[cfg(test)]
mod tests {
    use tollgate_core::id::{ResellerId, TenantId};
    use tollgate_core::scope::Mode;

    use super::*;

    fn scope(mode: Mode) -> Scope {
        Scope { reseller_id: ResellerId::from_bytes([1; 16]), tenant_id: TenantId::from_bytes([2; 16]), mode }
    }

    #[test]
    fn a_cursor_reads_back_only_under_its_own_query() {
        let of = |mode, f: &[Option<&str>]| name("/v1/events", &scope(mode), f);
        let query = of(Mode::Live, &[Some("a"), None]);
        let text = write(&query, 77);
        assert_eq!(read(&text, &query), Ok(77));
        for other in [of(Mode::Test, &[Some("a"), None]), of(Mode::Live, &[None, Some("a")]), of(Mode::Live, &[Some(""), None])] {
            assert_eq!(read(&text, &other).unwrap_err().code, Code::InvalidCursor);
        }
    }

    #[test]
    fn what_is_in_memory_is_paged_without_gaps() {
        let mut seen = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let asked = Asked::new("/x", &scope(Mode::Live), &[], Some("3"), cursor.as_deref()).unwrap();
            let list = asked.list(asked.of_all((0..10).collect()), |n| n);
            seen.extend(list.data);
            cursor = list.next_cursor;
            if !list.has_more {
                break;
            }
        }
        assert_eq!(seen, (0..10).collect::<Vec<_>>());
        assert!(cursor.is_none());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}", limit in ".{0,6}") {
            let query = name("/x", &scope(Mode::Live), &[]);
            let _ = read(&text, &query);
            if let Ok(n) = read_limit(&limit) {
                proptest::prop_assert!((1..=100).contains(&n));
            }
        }
    }
}
