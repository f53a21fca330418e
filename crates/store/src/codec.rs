//! Stored forms of domain values. Knows columns' encodings, no statements.

use rusqlite::Row;
use rusqlite::types::FromSql;
use tollgate_core::hash::Digest;
use tollgate_core::id::{ResellerId, TenantId};
use tollgate_core::scope::{Mode, Scope};
use tollgate_core::time::Timestamp;
use tollgate_core::verdict::Principal;

use crate::error::{OrStore, Result, damaged};

/// A column by name.
pub(crate) fn col<T: FromSql>(row: &Row<'_>, name: &str) -> Result<T> {
    row.get(name).or_store()
}

/// Sixteen bytes.
pub(crate) fn id16(row: &Row<'_>, name: &str) -> Result<[u8; 16]> {
    col::<[u8; 16]>(row, name)
}

/// Sixteen bytes, or nothing.
pub(crate) fn opt16(row: &Row<'_>, name: &str) -> Result<Option<[u8; 16]>> {
    col::<Option<[u8; 16]>>(row, name)
}

/// A digest.
pub(crate) fn digest(row: &Row<'_>, name: &str) -> Result<Digest> {
    col::<[u8; 32]>(row, name).map(Digest)
}

/// An instant.
pub(crate) fn instant(row: &Row<'_>, name: &str) -> Result<Timestamp> {
    col::<i64>(row, name).map(Timestamp::from_micros)
}

/// A count.
pub(crate) fn count(row: &Row<'_>, name: &str) -> Result<u32> {
    u32::try_from(col::<i64>(row, name)?).map_err(|_| damaged(name))
}

/// The columns `reseller_id`, `tenant_id`, `mode`.
pub(crate) fn scope(row: &Row<'_>) -> Result<Scope> {
    Ok(Scope {
        reseller_id: ResellerId::from_bytes(id16(row, "reseller_id")?),
        tenant_id: TenantId::from_bytes(id16(row, "tenant_id")?),
        mode: Mode::from_int(col(row, "mode")?).ok_or_else(|| damaged("a mode"))?,
    })
}

/// The text of a principal.
pub(crate) fn write_principal(p: &Principal) -> String {
    p.label()
}

/// Reads a principal.
pub(crate) fn read_principal(text: &str) -> Result<Principal> {
    let (kind, name) = text.split_once(':').ok_or_else(|| damaged("a principal"))?;
    match kind {
        "operator" => Ok(Principal::Operator(name.to_owned())),
        "service_account" => Ok(Principal::ServiceAccount(name.to_owned())),
        "system" => Ok(Principal::System(name.to_owned())),
        _ => Err(damaged("a principal")),
    }
}

/// An unsigned number as SQLite keeps it.
pub(crate) fn int(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
