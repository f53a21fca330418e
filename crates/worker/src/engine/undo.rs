//! What takes an action's effect back: an action of the same run, under the key `undo:<action>`. Whether it is stored is the store's
//! word, which knows whether the run is being cancelled; whether it may happen is the gate's.

use serde_json::Value;
use tollgate_core::ledger::Disposition;
use tollgate_core::plan::ProposedAction;
use tollgate_core::ports::{ActionRecord, Block, Bundle, Claimed, Compensation, ConfigRev, StoreError};

use super::act::Outcome;
use super::end::Ending;
use super::{Deps, Engine};
use tollgate_core::action::Trigger;

/// Its arguments could not be made. Nothing wakes it, for the specs of a run are pinned.
const RENDER_FAILED: &str = "undo_render_failed";

/// The compensation of an action that took effect, if its tool has one. What undoes is never undone itself.
pub(crate) fn compensation(deps: &Deps, bundle: &Bundle, record: &ActionRecord, output: Option<&Value>) -> Option<Box<Compensation>> {
    let of = &record.proposal;
    let tool = bundle.tools.undo_tool(&of.tool).filter(|_| record.compensates.is_none())?.to_owned();
    let (args, fault) = match bundle.tools.undo_args(&of.tool, &of.args, output.unwrap_or(&Value::Null)) {
        Ok(args) => (args, None),
        Err(e) => (Value::Null, Some((RENDER_FAILED.to_owned(), e.to_string()))),
    };
    let proposal = ProposedAction {
        priority: None,
        tool,
        capability: None,
        args,
        entity_key: of.entity_key.clone(),
        idempotency_key: Some(format!("undo:{}", record.id)),
        // As much is at stake as was: what asks a person for a large value asks for its return too.
        value: of.value.clone(),
        independent: true,
        continue_on_failure: true,
    };
    Some(Box::new(Compensation { action: Engine::prepare(deps, record.scope, bundle, None, proposal), fault }))
}

/// Whether the gate's no parks the action instead of ending it: an effect that was to be taken back is never silently left.
pub(super) fn parks(record: &ActionRecord, ending: &Ending) -> bool {
    record.compensates.is_some()
        && record.open.is_none()
        && record.state.on(Trigger::Blocked).is_some()
        && match ending.disposition() {
            Disposition::Refused | Disposition::Invalid => true,
            Disposition::Failed => !ending.closes(),
            _ => false,
        }
}

impl Engine {
    /// Parks a compensation until what governs it changes.
    pub(super) async fn park(
        &self,
        claimed: Claimed,
        record: &ActionRecord,
        rev: ConfigRev,
        ending: Ending,
    ) -> Result<Outcome, StoreError> {
        let (reason, detail) = ending.grounds();
        tracing::warn!(action = %record.id, %reason, "a compensation is blocked");
        let (scope, run, action, lease) = (claimed.scope, claimed.run, record.id, claimed.lease);
        self.deps.effects.block(Block { scope, run, action, lease, rev, reason, detail }).await?;
        Ok(Outcome::Done(Vec::new()))
    }
}
