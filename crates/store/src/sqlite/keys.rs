//! Effect keys on SQLite.

use rusqlite::{OptionalExtension, params};
use tollgate_core::hash::Digest;
use tollgate_core::id::{ActionId, EntryId, RunId};
use tollgate_core::ports::KeyClaim;
use tollgate_core::scope::Scope;

use crate::error::{OrStore, Result};
use crate::row::Row;
use crate::sqlite::tx::SqliteTx;
use crate::tx::{KeyEnd, KeyRecord, KeyRowState, Keys};

fn read(r: Row<'_>) -> Result<KeyRecord> {
    Ok(KeyRecord {
        state: KeyRowState::from_int(r.at(0)?)?,
        action: ActionId::from_bytes(r.at(1)?),
        receipt: r.at::<Option<[u8; 16]>>(2)?.map(EntryId::from_bytes),
        fingerprint: r.at(3)?,
        generation: r.at(4)?,
        began: r.at(5)?,
    })
}

impl Keys for SqliteTx<'_> {
    fn key(&mut self, key: &Digest) -> Result<Option<KeyRecord>> {
        self.sql("SELECT state, action, receipt, fingerprint, generation, began FROM effect_keys WHERE key = ?1")?
            .query_row([key.0], |r| Ok(read(Row::Sqlite(r))))
            .optional()
            .or_store()?
            .transpose()
    }

    fn reserve_key(&mut self, scope: Scope, action: ActionId, claim: &KeyClaim) -> Result<bool> {
        let n = self.exec(
            "INSERT INTO effect_keys (key, reseller_id, tenant_id, mode, state, action, fingerprint) VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6)
             ON CONFLICT (key) DO UPDATE SET state = 0, action = excluded.action, fingerprint = excluded.fingerprint WHERE state = 3",
            params![
                claim.key.0,
                scope.reseller_id.as_bytes(),
                scope.tenant_id.as_bytes(),
                scope.mode.as_int(),
                action.as_bytes(),
                claim.fingerprint.0
            ],
        )?;
        Ok(n == 1)
    }

    fn end_key(&mut self, key: &Digest, action: ActionId, end: KeyEnd) -> Result<bool> {
        let action = action.as_bytes();
        let n = match end {
            KeyEnd::Consumed(receipt) => self.exec(
                "UPDATE effect_keys SET state = 2, receipt = ?3 WHERE key = ?1 AND action = ?2 AND state <> 2",
                params![key.0, action, receipt.as_bytes()],
            ),
            KeyEnd::Free { generation, began } => self.exec(
                "UPDATE effect_keys SET state = 3, generation = ?3, began = ?4 WHERE key = ?1 AND action = ?2 AND state <> 2",
                params![key.0, action, generation, began.as_micros()],
            ),
            KeyEnd::InDoubt => {
                self.exec("UPDATE effect_keys SET state = 1 WHERE key = ?1 AND action = ?2 AND state = 0", params![key.0, action])
            }
        }?;
        Ok(n == 1)
    }

    fn wait_for_key(&mut self, _: Scope, key: &Digest, action: ActionId, run: RunId) -> Result<()> {
        self.exec(
            "INSERT INTO key_waiters (key, action, run_id) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            params![key.0, action.as_bytes(), run.as_bytes()],
        )
        .map(|_| ())
    }

    fn drop_waiter(&mut self, key: &Digest, action: ActionId) -> Result<()> {
        self.exec("DELETE FROM key_waiters WHERE key = ?1 AND action = ?2", params![key.0, action.as_bytes()]).map(|_| ())
    }

    fn take_waiters(&mut self, key: &Digest) -> Result<Vec<(ActionId, RunId)>> {
        let waiters: Vec<(ActionId, RunId)> = self
            .sql("SELECT action, run_id FROM key_waiters WHERE key = ?1 ORDER BY action")?
            .query_map([key.0], |r| Ok((ActionId::from_bytes(r.get(0)?), RunId::from_bytes(r.get(1)?))))
            .or_store()?
            .collect::<rusqlite::Result<_>>()
            .or_store()?;
        if !waiters.is_empty() {
            self.exec("DELETE FROM key_waiters WHERE key = ?1", [key.0])?;
        }
        Ok(waiters)
    }

    fn denial(&mut self, claim: &KeyClaim) -> Result<Option<EntryId>> {
        self.sql("SELECT entry FROM denials WHERE key = ?1 AND fingerprint = ?2")?
            .query_row(params![claim.key.0, claim.fingerprint.0], |r| Ok(EntryId::from_bytes(r.get(0)?)))
            .optional()
            .or_store()
    }

    fn deny(&mut self, scope: Scope, claim: &KeyClaim, entry: EntryId) -> Result<()> {
        self.exec(
            "INSERT INTO denials (key, fingerprint, entry, reseller_id, tenant_id, mode) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (key, fingerprint) DO UPDATE SET entry = excluded.entry",
            params![
                claim.key.0,
                claim.fingerprint.0,
                entry.as_bytes(),
                scope.reseller_id.as_bytes(),
                scope.tenant_id.as_bytes(),
                scope.mode.as_int()
            ],
        )
        .map(|_| ())
    }

    fn lift_denial(&mut self, claim: &KeyClaim) -> Result<()> {
        self.exec("DELETE FROM denials WHERE key = ?1 AND fingerprint = ?2", params![claim.key.0, claim.fingerprint.0]).map(|_| ())
    }
}
