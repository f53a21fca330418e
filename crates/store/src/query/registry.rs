//! Deployments, statuses, secrets, keys.

use rusqlite::{Connection, OptionalExtension, params};
use tollgate_core::hash::Digest;
use tollgate_core::id::KeyId;
use tollgate_core::ports::{ApiKeyRecord, SecretCiphertext, WrappedTenantKey};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::codec::{col, count, digest, id16, instant, scope};
use crate::error::{OrStore, Result};
use crate::tx::digest_of;

/// The active bundle.
pub(crate) fn active_bundle(conn: &Connection, s: Scope) -> Result<Option<Digest>> {
    let found: Option<Vec<u8>> = conn
        .prepare_cached("SELECT bundle FROM deployments WHERE tenant_id = ?1 AND mode = ?2 ORDER BY id DESC LIMIT 1")
        .or_store()?
        .query_row(params![s.tenant_id.as_bytes(), s.mode.as_int()], |r| r.get(0))
        .optional()
        .or_store()?;
    found.map(|b| digest_of(&b)).transpose()
}

/// A content-addressed body.
pub(crate) fn artifact(conn: &Connection, d: Digest) -> Result<Option<Vec<u8>>> {
    conn.prepare_cached("SELECT body FROM artifacts WHERE digest = ?1").or_store()?.query_row([d.0], |r| r.get(0)).optional().or_store()
}

/// Statuses: kind, name, status.
pub(crate) fn statuses(conn: &Connection, s: Scope) -> Result<Vec<(String, String, String)>> {
    conn.prepare_cached("SELECT kind, name, status FROM statuses WHERE tenant_id = ?1 AND mode = ?2 ORDER BY kind, name")
        .or_store()?
        .query_map(params![s.tenant_id.as_bytes(), s.mode.as_int()], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
        .or_store()?
        .collect::<rusqlite::Result<_>>()
        .or_store()
}

/// One secret, still encrypted.
pub(crate) fn secret(conn: &Connection, s: Scope, name: &str) -> Result<Option<SecretCiphertext>> {
    conn.prepare_cached("SELECT name, version, ciphertext FROM secrets WHERE tenant_id = ?1 AND mode = ?2 AND name = ?3")
        .or_store()?
        .query_row(params![s.tenant_id.as_bytes(), s.mode.as_int(), name], |r| {
            Ok((|| Ok(SecretCiphertext { name: col(r, "name")?, version: count(r, "version")?, bytes: col(r, "ciphertext")? }))())
        })
        .optional()
        .or_store()?
        .transpose()
}

/// Names, versions and times; never values.
pub(crate) fn secrets(conn: &Connection, s: Scope) -> Result<Vec<(String, u32, Timestamp)>> {
    let mut sql =
        conn.prepare_cached("SELECT name, version, updated_at FROM secrets WHERE tenant_id = ?1 AND mode = ?2 ORDER BY name").or_store()?;
    let mut rows = sql.query(params![s.tenant_id.as_bytes(), s.mode.as_int()]).or_store()?;
    let mut out = Vec::new();
    while let Some(r) = rows.next().or_store()? {
        out.push((col(r, "name")?, count(r, "version")?, instant(r, "updated_at")?));
    }
    Ok(out)
}

/// The tenant's wrapped data key.
pub(crate) fn tenant_key(conn: &Connection, s: Scope) -> Result<Option<WrappedTenantKey>> {
    conn.prepare_cached("SELECT key_id, wrapped FROM tenant_keys WHERE tenant_id = ?1")
        .or_store()?
        .query_row([s.tenant_id.as_bytes()], |r| Ok(WrappedTenantKey { key_id: r.get(0)?, wrapped: r.get(1)? }))
        .optional()
        .or_store()
}

/// Every API key.
pub(crate) fn api_keys(conn: &Connection) -> Result<Vec<ApiKeyRecord>> {
    let mut sql = conn.prepare_cached("SELECT * FROM api_keys ORDER BY id").or_store()?;
    let mut rows = sql.query([]).or_store()?;
    let mut out = Vec::new();
    while let Some(r) = rows.next().or_store()? {
        out.push(ApiKeyRecord {
            id: KeyId::from_bytes(id16(r, "id")?),
            scope: scope(r)?,
            name: col(r, "name")?,
            hash: digest(r, "hash")?,
            scopes: col::<String>(r, "scopes")?.split_whitespace().map(str::to_owned).collect(),
            created_at: instant(r, "created_at")?,
            revoked_at: col::<Option<i64>>(r, "revoked_at")?.map(Timestamp::from_micros),
        });
    }
    Ok(out)
}
