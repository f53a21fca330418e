//! Changes of what governs actions. Each raises the revision that intents must match.

use tollgate_core::id::KeyId;
use tollgate_core::ports::{ApiKeyRecord, ConfigRev, Deploy, NewEntry, SecretCiphertext, WrappedTenantKey};
use tollgate_core::scope::Scope;
use tollgate_core::terms::{Rules, joined, label_of};
use tollgate_core::time::Timestamp;

use crate::command::compensate;
use crate::error::Result;
use crate::row::Row;
use crate::tx::{Query, Statement, Tx, fetch_one};
use crate::value::values;

/// Makes a bundle active.
pub(crate) fn deploy(tx: &mut dyn Tx, s: Scope, d: &Deploy) -> Result<ConfigRev> {
    for (digest, kind, body) in &d.artifacts {
        tx.execute(Statement {
            text: "INSERT INTO artifacts (tenant_id, mode, digest, kind, body, reseller_id) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
            values: values![s.tenant_id.as_bytes(), s.mode.as_int(), *digest, kind, body, s.reseller_id.as_bytes()],
        })?;
    }
    tx.execute(Statement {
        text: "INSERT INTO deployments (id, reseller_id, tenant_id, mode, bundle, at) VALUES ($1, $2, $3, $4, $5, $6)",
        values: values![d.id.as_bytes(), s.reseller_id.as_bytes(), s.tenant_id.as_bytes(), s.mode.as_int(), d.bundle, d.at],
    })?;
    rules(tx, s, &d.rules)?;
    for entry in &d.entries {
        tx.append(s, entry)?;
    }
    compensate::wake(tx, s)?;
    tx.raise_rev()
}

/// Puts what a bundle says about dispatch in the place of what the one before said, for what waits too.
fn rules(tx: &mut dyn Tx, s: Scope, rules: &Rules) -> Result<()> {
    let scope = values![s.tenant_id.as_bytes(), s.mode.as_int()];
    for set in &rules.labels {
        let values = values![label_of(set), joined(set)];
        tx.execute(Statement { text: "INSERT INTO label_sets (id, labels) VALUES ($1, $2) ON CONFLICT DO NOTHING", values })?;
    }
    tx.execute(Statement { text: "DELETE FROM limits WHERE tenant_id = $1 AND mode = $2", values: scope.clone() })?;
    for (class, max) in &rules.maxima {
        tx.execute(Statement {
            text: "INSERT INTO limits (tenant_id, mode, class, max, reseller_id) VALUES ($1, $2, $3, $4, $5)",
            values: values![s.tenant_id.as_bytes(), s.mode.as_int(), class, *max, s.reseller_id.as_bytes()],
        })?;
    }
    tx.execute(Statement {
        text: "INSERT INTO openings (label, tenant_id, limit_id, reseller_id, mode)
         SELECT DISTINCT -1, tenant_id, limit_id, reseller_id, mode FROM parked WHERE tenant_id = $1 AND mode = $2",
        values: scope,
    })?;
    tx.wake();
    Ok(())
}

/// Sets a status.
pub(crate) fn set_status(tx: &mut dyn Tx, s: Scope, kind: &str, name: &str, status: &str, entry: &NewEntry) -> Result<ConfigRev> {
    tx.execute(Statement {
        text: "INSERT INTO statuses (tenant_id, mode, kind, name, reseller_id, status) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (tenant_id, mode, kind, name) DO UPDATE SET status = excluded.status",
        values: values![s.tenant_id.as_bytes(), s.mode.as_int(), kind, name, s.reseller_id.as_bytes(), status],
    })?;
    tx.append(s, entry)?;
    compensate::wake(tx, s)?;
    tx.raise_rev()
}

/// Stores a secret's new version.
pub(crate) fn put_secret(tx: &mut dyn Tx, s: Scope, c: &SecretCiphertext, entry: &NewEntry, at: Timestamp) -> Result<()> {
    tx.execute(Statement { text: "INSERT INTO secrets (tenant_id, mode, name, reseller_id, version, ciphertext, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (tenant_id, mode, name) DO UPDATE SET version = excluded.version, ciphertext = excluded.ciphertext, updated_at = excluded.updated_at", values: values![s.tenant_id.as_bytes(), s.mode.as_int(), &c.name, s.reseller_id.as_bytes(), c.version, &c.bytes, at] })?;
    tx.append(s, entry)
}

/// Removes a secret.
pub(crate) fn remove_secret(tx: &mut dyn Tx, s: Scope, name: &str, entry: &NewEntry) -> Result<bool> {
    let values = values![s.tenant_id.as_bytes(), s.mode.as_int(), name];
    let there = Query {
        text: "SELECT 1 AS one FROM secrets WHERE tenant_id = $1 AND mode = $2 AND name = $3".into(),
        values: values.clone(),
        read: |_: Row<'_>| Ok(()),
    };
    if fetch_one(tx, &there)?.is_none() {
        return Ok(false);
    }
    tx.execute(Statement { text: "DELETE FROM secrets WHERE tenant_id = $1 AND mode = $2 AND name = $3", values })?;
    tx.append(s, entry)?;
    Ok(true)
}

/// Stores the tenant's wrapped data key; a second one is an error, for values are sealed under the first.
pub(crate) fn put_tenant_key(tx: &mut dyn Tx, s: Scope, k: &WrappedTenantKey) -> Result<()> {
    tx.execute(Statement {
        text: "INSERT INTO tenant_keys (tenant_id, reseller_id, key_id, wrapped) VALUES ($1, $2, $3, $4)",
        values: values![s.tenant_id.as_bytes(), s.reseller_id.as_bytes(), k.key_id, &k.wrapped],
    })?;
    Ok(())
}

/// Stores an API key.
pub(crate) fn put_api_key(tx: &mut dyn Tx, k: &ApiKeyRecord, entry: &NewEntry) -> Result<()> {
    tx.execute(Statement { text: "INSERT INTO api_keys (id, reseller_id, tenant_id, mode, name, hash, scopes, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)", values: values![
            k.id.as_bytes(),
            k.scope.reseller_id.as_bytes(),
            k.scope.tenant_id.as_bytes(),
            k.scope.mode.as_int(),
            &k.name,
            k.hash,
            k.scopes.join(" "),
            k.created_at
        ] })?;
    tx.append(k.scope, entry)
}

/// Revokes an API key.
pub(crate) fn revoke_api_key(tx: &mut dyn Tx, s: Scope, id: KeyId, at: Timestamp, entry: &NewEntry) -> Result<bool> {
    let stands = Query {
        text: "SELECT 1 AS one FROM api_keys WHERE id = $1 AND tenant_id = $2 AND mode = $3 AND revoked_at IS NULL".into(),
        values: values![id.as_bytes(), s.tenant_id.as_bytes(), s.mode.as_int()],
        read: |_: Row<'_>| Ok(()),
    };
    if fetch_one(tx, &stands)?.is_none() {
        return Ok(false);
    }
    tx.execute(Statement { text: "UPDATE api_keys SET revoked_at = $1 WHERE id = $2", values: values![at, id.as_bytes()] })?;
    tx.append(s, entry)?;
    Ok(true)
}
