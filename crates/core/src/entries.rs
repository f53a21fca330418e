//! Builds ledger entries out of what the gate and the worker know. Pure: ids, times and salts come in.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::canon::canonical;
use crate::hash::Digest;
use crate::id::EntryId;
use crate::ledger::{ActionRef, Body, Commitments, Committed, Decided, Entry, Field, Kind, LeafError, Opened, Opening, leaf_hash};
use crate::plan::ProposedAction;
use crate::ports::{ActionRecord, NewEntry};
use crate::scope::Scope;
use crate::time::Timestamp;
use crate::verdict::Decision;

/// Values that open the commitments of an entry, by commitment: what is sealed beside it.
pub type Openings = BTreeMap<Digest, Opening>;

/// Makes the commitments of one action and keeps what opens them.
pub struct Committer {
    salts: Commitments,
    openings: Openings,
}

impl Committer {
    /// For an action's salt.
    pub fn new(salt: [u8; crate::ledger::SALT_LEN]) -> Self {
        Self { salts: Commitments::new(salt), openings: Openings::new() }
    }

    /// Commits to text under a field's own name.
    pub fn text(&mut self, into: &mut Committed, field: Field, value: &str) {
        self.text_named(into, field, field.as_str(), value);
    }

    /// Commits to text of one attempt: `name` must be unique within the action.
    pub fn text_named(&mut self, into: &mut Committed, field: Field, name: &str, value: &str) {
        let digest = self.salts.commit(name, value.as_bytes());
        self.openings.insert(digest, self.salts.opening(name, Opened::Text(value.to_owned())));
        into.insert(field, digest);
    }

    /// Commits to JSON. What has no canonical form is committed to as its text.
    pub fn json(&mut self, into: &mut Committed, field: Field, name: &str, value: &Value) {
        let digest = self.json_digest(name, value);
        into.insert(field, digest);
    }

    fn json_digest(&mut self, name: &str, value: &Value) -> Digest {
        match self.salts.commit_json(name, value) {
            Ok(digest) => {
                self.openings.insert(digest, self.salts.opening(name, Opened::Json(value.clone())));
                digest
            }
            Err(_) => {
                let text = value.to_string();
                let digest = self.salts.commit(name, text.as_bytes());
                self.openings.insert(digest, self.salts.opening(name, Opened::Text(text)));
                digest
            }
        }
    }

    /// Commits to what an action says: arguments, entity, key, value.
    pub fn proposal(&mut self, action: &ProposedAction) -> Committed {
        let mut out = Committed::new();
        self.json(&mut out, Field::Args, "args", &action.args);
        if let Some(e) = &action.entity_key {
            self.text(&mut out, Field::EntityKey, e);
        }
        if let Some(k) = &action.idempotency_key {
            self.text(&mut out, Field::Key, k);
        }
        if let Some(v) = &action.value {
            let v = serde_json::to_value(v).unwrap_or_default();
            self.json(&mut out, Field::Value, "value", &v);
        }
        out
    }

    /// Commits to the request that policy saw, and takes over the rest of its decision. `round` tells one look of the gate from another.
    pub fn decision(&mut self, decision: &Decision, round: u32) -> Decided {
        Decided {
            verdict: decision.verdict,
            reason: decision.reason,
            determining: decision.determining.clone(),
            queues: decision.queues.clone(),
            policy_version: decision.policy_version,
            determining_text: decision.determining_text,
            request: self.json_digest(&format!("request#{round}"), &decision.request),
        }
    }

    /// What opens all commitments made so far, as canonical JSON.
    pub fn sealable(&self) -> Vec<u8> {
        let value = serde_json::to_value(&self.openings).unwrap_or_default();
        canonical(&value).unwrap_or_else(|_| value.to_string().into_bytes())
    }
}

/// What an entry says of its action.
pub fn action_ref(a: &ActionRecord) -> ActionRef {
    ActionRef {
        action: a.id,
        run: a.run,
        plan: a.plan,
        event: a.event,
        principal: a.principal.label(),
        tool: a.proposal.tool.clone(),
        tool_digest: a.tool_digest,
        effect: a.effect,
    }
}

/// An entry with its leaf and hash, not yet sealed.
///
/// # Errors
/// When the leaf would be too long.
pub fn new_entry(id: EntryId, scope: Scope, at: Timestamp, body: Body) -> Result<NewEntry, LeafError> {
    let kind: Kind = body.kind();
    let action = body.of().map(|of| of.action);
    let leaf = Entry { id, scope, at, body }.to_leaf()?;
    let hash = leaf_hash(&leaf);
    Ok(NewEntry { id, kind, at, action, leaf, leaf_hash: hash, sealed: None })
}
