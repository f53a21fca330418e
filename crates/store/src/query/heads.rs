//! The part of an action that commands decide on: no join but the key's, no JSON, columns by place. It is read in every write of the
//! hot path.

use rusqlite::{Connection, OptionalExtension, Row, params};
use tollgate_core::action::ActionState;
use tollgate_core::attempt::Attempts;
use tollgate_core::hash::Digest;
use tollgate_core::id::{ActionId, ApprovalId, EntryId, RunId, SessionId};
use tollgate_core::ports::{KeyClaim, OpenAttempt};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::error::{OrStore, Result, damaged};

/// An action as commands see it.
#[derive(Clone, Debug)]
pub(crate) struct ActionHead {
    pub id: ActionId,
    pub scope: Scope,
    pub run: RunId,
    pub lane: Option<Digest>,
    pub key: Option<KeyClaim>,
    pub state: ActionState,
    pub attempts: Attempts,
    pub deadline_at: Option<Timestamp>,
    pub generation: u32,
    pub open: Option<OpenAttempt>,
    pub approval: Option<ApprovalId>,
    pub compensates: bool,
}

const HEAD: &str = "SELECT a.run_id, a.lane, a.key, a.fingerprint, a.state, a.attempts, a.in_doubt, a.doubt_deadline, a.verify_failures, \
     a.deadline_at, a.generation, a.generation_began, a.open_session, a.last_intent, a.approval, k.generation, k.began, \
     a.compensates IS NOT NULL \
     FROM actions a LEFT JOIN effect_keys k ON k.key = a.key AND k.state = 3 \
     WHERE a.id = ?1 AND a.tenant_id = ?2 AND a.mode = ?3";

/// One action of this tenant and mode.
pub(crate) fn load_head(conn: &Connection, scope: Scope, id: ActionId) -> Result<Option<ActionHead>> {
    let mut sql = conn.prepare_cached(HEAD).or_store()?;
    let found = sql
        .query_row(params![id.as_bytes(), scope.tenant_id.as_bytes(), scope.mode.as_int()], |r| Ok(read(r, scope, id)))
        .optional()
        .or_store()?;
    found.transpose()
}

fn count(r: &Row<'_>, at: usize) -> Result<u32> {
    u32::try_from(r.get::<_, i64>(at).or_store()?).map_err(|_| damaged("a count of an action"))
}

fn instant(r: &Row<'_>, at: usize) -> Result<Timestamp> {
    r.get(at).map(Timestamp::from_micros).or_store()
}

/// Whether an action goes on from the generation that its free key hands on. Before its first attempt it has none of its own; one that gave
/// its key back to ask a person may find that another has spent the generation since.
pub(crate) const fn inherits(disposed: bool, attempts: u32, own: u32, of_key: u32) -> bool {
    attempts == 0 || (of_key > own && !disposed)
}

fn read(r: &Row<'_>, scope: Scope, id: ActionId) -> Result<ActionHead> {
    let attempts = count(r, 5)?;
    let key = match (r.get(2).or_store()?, r.get(3).or_store()?) {
        (Some(key), Some(fingerprint)) => Some(KeyClaim { key: Digest(key), fingerprint: Digest(fingerprint) }),
        (None, None) => None,
        _ => return Err(damaged("an action's key")),
    };
    let open = match (r.get::<_, Option<[u8; 16]>>(12).or_store()?, r.get::<_, Option<[u8; 16]>>(13).or_store()?) {
        (Some(session), Some(intent)) => {
            Some(OpenAttempt { attempt: attempts, intent: EntryId::from_bytes(intent), session: SessionId::from_bytes(session) })
        }
        (Some(_), None) => return Err(damaged("an open attempt")),
        _ => None,
    };
    let state = ActionState::from_int(r.get(4).or_store()?).ok_or_else(|| damaged("an action's state"))?;
    let own = count(r, 10)?;
    let (generation, generation_began) = match r.get::<_, Option<u32>>(15).or_store()? {
        Some(of_key) if inherits(state.is_disposed(), attempts, own, of_key) => (of_key, instant(r, 16)?),
        _ => (own, instant(r, 11)?),
    };
    Ok(ActionHead {
        id,
        scope,
        run: RunId::from_bytes(r.get(0).or_store()?),
        lane: r.get::<_, Option<[u8; 32]>>(1).or_store()?.map(Digest),
        key,
        state,
        attempts: Attempts {
            count: attempts,
            in_doubt: r.get(6).or_store()?,
            generation_began,
            doubt_deadline: instant(r, 7)?,
            verify_failures: count(r, 8)?,
        },
        deadline_at: r.get::<_, Option<i64>>(9).or_store()?.map(Timestamp::from_micros),
        generation,
        open,
        approval: r.get::<_, Option<[u8; 16]>>(14).or_store()?.map(ApprovalId::from_bytes),
        compensates: r.get(17).or_store()?,
    })
}
