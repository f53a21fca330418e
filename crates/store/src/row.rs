//! Rows that come out of a statement, whatever the engine. Knows encodings, no statements.

use tollgate_core::hash::Digest;
use tollgate_core::id::{ResellerId, TenantId};
use tollgate_core::scope::{Mode, Scope};
use tollgate_core::time::Timestamp;

use crate::error::{OrStore, Result, damaged};

/// A row of either engine.
#[derive(Clone, Copy)]
pub(crate) enum Row<'r> {
    /// Of SQLite.
    Sqlite(&'r rusqlite::Row<'r>),
    /// Of Postgres.
    Postgres(&'r tokio_postgres::Row),
}

/// What a column holds.
pub(crate) trait Cell: Sized {
    /// Reads the column at a place.
    fn read(row: Row<'_>, at: usize) -> Result<Self>;
}

impl<'r> Row<'r> {
    /// The column at a place: on hot paths, since looking forty names up costs more than the query.
    pub(crate) fn at<T: Cell>(self, at: usize) -> Result<T> {
        T::read(self, at)
    }

    /// The column of a name.
    pub(crate) fn get<T: Cell>(self, name: &str) -> Result<T> {
        let at = match self {
            Self::Sqlite(r) => r.as_ref().column_index(name).ok(),
            Self::Postgres(r) => r.columns().iter().position(|c| c.name() == name),
        };
        T::read(self, at.ok_or_else(|| damaged(name))?)
    }

    /// The name of the column at a place.
    pub(crate) fn name(self, at: usize) -> Option<&'r str> {
        match self {
            Self::Sqlite(r) => r.as_ref().column_name(at).ok(),
            Self::Postgres(r) => r.columns().get(at).map(tokio_postgres::Column::name),
        }
    }

    /// The columns `reseller_id`, `tenant_id`, `mode`.
    pub(crate) fn scope(self) -> Result<Scope> {
        Ok(Scope {
            reseller_id: ResellerId::from_bytes(self.get("reseller_id")?),
            tenant_id: TenantId::from_bytes(self.get("tenant_id")?),
            mode: Mode::from_int(self.get("mode")?).ok_or_else(|| damaged("a mode"))?,
        })
    }
}

macro_rules! cell {
    ($($t:ty: |$s:ident| $sqlite:expr, |$p:ident, $at:ident| $postgres:expr);* $(;)?) => {
        $(impl Cell for $t {
            fn read(row: Row<'_>, at: usize) -> Result<Self> {
                match row {
                    Row::Sqlite(r) => {
                        let $s = (r, at);
                        $sqlite
                    }
                    Row::Postgres($p) => {
                        let $at = at;
                        $postgres
                    }
                }
            }
        }
        impl Cell for Option<$t> {
            fn read(row: Row<'_>, at: usize) -> Result<Self> {
                if row.is_null(at)? { Ok(None) } else { <$t>::read(row, at).map(Some) }
            }
        })*
    };
}

cell! {
    i64: |s| s.0.get(s.1).or_store(), |p, at| crate::postgres::cell::int(p, at);
    bool: |s| s.0.get(s.1).or_store(), |p, at| p.try_get(at).or_store();
    String: |s| s.0.get(s.1).or_store(), |p, at| p.try_get(at).or_store();
    Vec<u8>: |s| s.0.get(s.1).or_store(), |p, at| p.try_get(at).or_store();
    [u8; 16]: |s| s.0.get(s.1).or_store(), |p, at| crate::postgres::cell::id(p, at);
    [u8; 32]: |s| s.0.get(s.1).or_store(), |p, at| crate::postgres::cell::digest(p, at);
    u32: |s| s.0.get(s.1).or_store(), |p, at| count(crate::postgres::cell::int(p, at)?);
    u64: |s| s.0.get::<_, i64>(s.1).or_store().and_then(number), |p, at| number(crate::postgres::cell::int(p, at)?);
    Digest: |s| s.0.get(s.1).map(Digest).or_store(), |p, at| crate::postgres::cell::digest(p, at).map(Digest);
    Timestamp: |s| s.0.get(s.1).map(Timestamp::from_micros).or_store(), |p, at| crate::postgres::cell::int(p, at).map(Timestamp::from_micros);
}

fn count(n: i64) -> Result<u32> {
    u32::try_from(n).map_err(|_| damaged("a count"))
}

fn number(n: i64) -> Result<u64> {
    u64::try_from(n).map_err(|_| damaged("a number"))
}

impl Row<'_> {
    fn is_null(self, at: usize) -> Result<bool> {
        match self {
            Self::Sqlite(r) => Ok(r.get_ref(at).or_store()?.data_type() == rusqlite::types::Type::Null),
            Self::Postgres(r) => crate::postgres::cell::is_null(r, at),
        }
    }
}
