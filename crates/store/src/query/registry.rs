//! Deployments, statuses, secrets, keys.

use tollgate_core::hash::Digest;
use tollgate_core::id::KeyId;
use tollgate_core::ports::{ApiKeyRecord, SecretCiphertext, WrappedTenantKey};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::row::Row;
use crate::tx::Query;
use crate::value::values;

/// The active bundle.
pub(crate) fn active_bundle(s: Scope) -> Query<Digest> {
    Query {
        text: "SELECT bundle FROM deployments WHERE tenant_id = $1 AND mode = $2 ORDER BY id DESC LIMIT 1".into(),
        values: values![s.tenant_id.as_bytes(), s.mode.as_int()],
        read: |r: Row<'_>| r.at(0),
    }
}

/// A content-addressed body.
pub(crate) fn artifact(d: Digest) -> Query<Vec<u8>> {
    Query { text: "SELECT body FROM artifacts WHERE digest = $1 LIMIT 1".into(), values: values![d], read: |r: Row<'_>| r.at(0) }
}

/// Statuses: kind, name, status.
pub(crate) fn statuses(s: Scope) -> Query<(String, String, String)> {
    Query {
        text: "SELECT kind, name, status FROM statuses WHERE tenant_id = $1 AND mode = $2 ORDER BY kind, name".into(),
        values: values![s.tenant_id.as_bytes(), s.mode.as_int()],
        read: |r: Row<'_>| Ok((r.at(0)?, r.at(1)?, r.at(2)?)),
    }
}

/// One secret, still encrypted.
pub(crate) fn secret(s: Scope, name: &str) -> Query<SecretCiphertext> {
    Query {
        text: "SELECT name, version, ciphertext FROM secrets WHERE tenant_id = $1 AND mode = $2 AND name = $3".into(),
        values: values![s.tenant_id.as_bytes(), s.mode.as_int(), name],
        read: |r: Row<'_>| Ok(SecretCiphertext { name: r.at(0)?, version: r.at(1)?, bytes: r.at(2)? }),
    }
}

/// Names, versions and times; never values.
pub(crate) fn secrets(s: Scope) -> Query<(String, u32, Timestamp)> {
    Query {
        text: "SELECT name, version, updated_at FROM secrets WHERE tenant_id = $1 AND mode = $2 ORDER BY name".into(),
        values: values![s.tenant_id.as_bytes(), s.mode.as_int()],
        read: |r: Row<'_>| Ok((r.at(0)?, r.at(1)?, r.at(2)?)),
    }
}

/// The tenant's wrapped data key.
pub(crate) fn tenant_key(s: Scope) -> Query<WrappedTenantKey> {
    Query {
        text: "SELECT key_id, wrapped FROM tenant_keys WHERE tenant_id = $1".into(),
        values: values![s.tenant_id.as_bytes()],
        read: |r: Row<'_>| Ok(WrappedTenantKey { key_id: r.at(0)?, wrapped: r.at(1)? }),
    }
}

/// Every API key.
pub(crate) fn api_keys() -> Query<ApiKeyRecord> {
    Query {
        text: "SELECT * FROM api_keys ORDER BY id".into(),
        values: Vec::new(),
        read: |r: Row<'_>| {
            Ok(ApiKeyRecord {
                id: KeyId::from_bytes(r.get("id")?),
                scope: r.scope()?,
                name: r.get("name")?,
                hash: r.get("hash")?,
                scopes: r.get::<String>("scopes")?.split_whitespace().map(str::to_owned).collect(),
                created_at: r.get("created_at")?,
                revoked_at: r.get("revoked_at")?,
            })
        },
    }
}
