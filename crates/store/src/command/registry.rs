//! Changes of what governs actions. Each raises the revision that intents must match.

use rusqlite::params;
use tollgate_core::id::KeyId;
use tollgate_core::ports::{ApiKeyRecord, ConfigRev, Deploy, NewEntry, SecretCiphertext, WrappedTenantKey};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::codec::int;
use crate::command::compensate;
use crate::command::ingest::current_rev;
use crate::error::Result;
use crate::tx::Tx;

fn raise_rev(tx: &Tx<'_>) -> Result<ConfigRev> {
    let next = ConfigRev(current_rev(tx)?.0 + 1);
    tx.run("INSERT INTO meta (k, v) VALUES ('config_rev', ?1) ON CONFLICT (k) DO UPDATE SET v = excluded.v", [int(next.0)])?;
    Ok(next)
}

/// Makes a bundle active.
pub(crate) fn deploy(tx: &mut Tx<'_>, s: Scope, d: &Deploy) -> Result<ConfigRev> {
    for (digest, kind, body) in &d.artifacts {
        tx.run("INSERT INTO artifacts (digest, kind, body) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING", params![digest.0, kind, body])?;
    }
    tx.run(
        "INSERT INTO deployments (id, reseller_id, tenant_id, mode, bundle, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![d.id.as_bytes(), s.reseller_id.as_bytes(), s.tenant_id.as_bytes(), s.mode.as_int(), d.bundle.0, d.at.as_micros()],
    )?;
    for entry in &d.entries {
        tx.append(s, entry)?;
    }
    compensate::wake(tx, Some(s))?;
    raise_rev(tx)
}

/// Sets a status.
pub(crate) fn set_status(tx: &mut Tx<'_>, s: Scope, kind: &str, name: &str, status: &str, entry: &NewEntry) -> Result<ConfigRev> {
    tx.run(
        "INSERT INTO statuses (tenant_id, mode, kind, name, reseller_id, status) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (tenant_id, mode, kind, name) DO UPDATE SET status = excluded.status",
        params![s.tenant_id.as_bytes(), s.mode.as_int(), kind, name, s.reseller_id.as_bytes(), status],
    )?;
    tx.append(s, entry)?;
    compensate::wake(tx, Some(s))?;
    raise_rev(tx)
}

/// Stores a secret's new version.
pub(crate) fn put_secret(tx: &mut Tx<'_>, s: Scope, c: &SecretCiphertext, entry: &NewEntry, at: Timestamp) -> Result<()> {
    tx.run(
        "INSERT INTO secrets (tenant_id, mode, name, reseller_id, version, ciphertext, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (tenant_id, mode, name) DO UPDATE SET version = excluded.version, ciphertext = excluded.ciphertext, updated_at = excluded.updated_at",
        params![s.tenant_id.as_bytes(), s.mode.as_int(), c.name, s.reseller_id.as_bytes(), c.version, c.bytes, at.as_micros()],
    )?;
    tx.append(s, entry)
}

/// Removes a secret.
pub(crate) fn remove_secret(tx: &mut Tx<'_>, s: Scope, name: &str, entry: &NewEntry) -> Result<bool> {
    let n = tx.run(
        "DELETE FROM secrets WHERE tenant_id = ?1 AND mode = ?2 AND name = ?3",
        params![s.tenant_id.as_bytes(), s.mode.as_int(), name],
    )?;
    if n == 1 {
        tx.append(s, entry)?;
    }
    Ok(n == 1)
}

/// Stores the tenant's wrapped data key; a second one is an error, for values are sealed under the first.
pub(crate) fn put_tenant_key(tx: &Tx<'_>, s: Scope, k: &WrappedTenantKey) -> Result<()> {
    tx.run(
        "INSERT INTO tenant_keys (tenant_id, reseller_id, key_id, wrapped) VALUES (?1, ?2, ?3, ?4)",
        params![s.tenant_id.as_bytes(), s.reseller_id.as_bytes(), k.key_id, k.wrapped],
    )?;
    Ok(())
}

/// Stores an API key.
pub(crate) fn put_api_key(tx: &mut Tx<'_>, k: &ApiKeyRecord, entry: &NewEntry) -> Result<()> {
    tx.run(
        "INSERT INTO api_keys (id, reseller_id, tenant_id, mode, name, hash, scopes, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            k.id.as_bytes(),
            k.scope.reseller_id.as_bytes(),
            k.scope.tenant_id.as_bytes(),
            k.scope.mode.as_int(),
            k.name,
            k.hash.0,
            k.scopes.join(" "),
            k.created_at.as_micros()
        ],
    )?;
    tx.append(k.scope, entry)
}

/// Revokes an API key.
pub(crate) fn revoke_api_key(tx: &mut Tx<'_>, s: Scope, id: KeyId, at: Timestamp, entry: &NewEntry) -> Result<bool> {
    let n = tx.run(
        "UPDATE api_keys SET revoked_at = ?4 WHERE id = ?1 AND tenant_id = ?2 AND mode = ?3 AND revoked_at IS NULL",
        params![id.as_bytes(), s.tenant_id.as_bytes(), s.mode.as_int(), at.as_micros()],
    )?;
    if n == 1 {
        tx.append(s, entry)?;
    }
    Ok(n == 1)
}
