//! Ledger entries of one action, built and sealed before their transaction.

use tollgate_core::entries::{Committer, action_ref, new_entry};
use tollgate_core::id::EntryId;
use tollgate_core::ledger::{Body, Committed, Decided};
use tollgate_core::ports::{ActionRecord, IdSource, NewEntry, Sealer, StoreError};
use tollgate_core::verdict::Decision;

/// Builds the entries of one action.
pub(crate) struct Scribe<'a> {
    pub(crate) record: &'a ActionRecord,
    ids: &'a IdSource,
    sealer: &'a dyn Sealer,
}

impl<'a> Scribe<'a> {
    pub(crate) const fn new(record: &'a ActionRecord, ids: &'a IdSource, sealer: &'a dyn Sealer) -> Self {
        Self { record, ids, sealer }
    }

    /// Commits to the action, and to what policy said of it, and lets `more` commit to the rest.
    pub(crate) fn entry(
        &self,
        decision: Option<&Decision>,
        build: impl FnOnce(&mut Committer, Committed, Option<Decided>) -> Body,
    ) -> Result<NewEntry, StoreError> {
        let mut committer = Committer::new(self.record.salt);
        let committed = committer.proposal(&self.record.proposal);
        // Each look of the gate has a request of its own; two looks before the same attempt see the same names and values.
        let decided = decision.map(|d| committer.decision(d, self.record.attempts.count));
        let body = build(&mut committer, committed, decided);
        let id = EntryId::from_bytes(self.ids.uuid());
        let mut entry = new_entry(id, self.record.scope, self.ids.now(), body).map_err(|e| StoreError::Conflict(e.to_string()))?;
        let subject = self.subject();
        let sealed =
            self.sealer.seal(self.record.scope, &subject, &committer.sealable()).map_err(|e| StoreError::Unavailable(e.to_string()))?;
        entry.sealed = Some(sealed);
        Ok(entry)
    }

    /// Whose values these are: the event's subject, else the entity, else the run.
    fn subject(&self) -> String {
        let p = &self.record.proposal;
        self.record.subject.clone().or_else(|| p.entity_key.clone()).unwrap_or_else(|| self.record.run.to_string())
    }

    pub(crate) fn of(&self) -> tollgate_core::ledger::ActionRef {
        action_ref(self.record)
    }
}
