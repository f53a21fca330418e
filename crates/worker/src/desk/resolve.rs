//! A person's word on an `unknown`, and the end of a run that somebody cancels.

use tollgate_core::action::ActionState;
use tollgate_core::id::{ActionId, EntryId, RunId};
use tollgate_core::ledger::{Body, Disposition, Field, Resolution};
use tollgate_core::ports::{ActionRecord, Actor, Authority, Compensation, DeskError, Resolve, StoreError};
use tollgate_core::spec::OnUnknown;

use super::answers::stored;
use super::port::Counter;
use crate::engine::{Ending, compensation, disposal};
use crate::entries::Scribe;

pub(super) async fn resolve(
    desk: &Counter,
    actor: &Actor,
    action: ActionId,
    applied: bool,
    comment: Option<String>,
) -> Result<ActionRecord, DeskError> {
    let record = desk.record(actor, action).await?;
    let Some(receipt) = record.receipt.filter(|_| record.state == ActionState::Unknown) else {
        return Err(DeskError::Conflict(format!("the action is {}, not unknown", record.state)));
    };
    let deps = &desk.deps.engine;
    let scribe = Scribe::new(&record, &deps.ids, &*deps.sealer);
    let entry = scribe.entry(None, |committer, mut committed, _| {
        if let Some(comment) = &comment {
            committer.text_named(&mut committed, Field::Comment, "comment:resolution", comment);
        }
        Body::Resolution(Box::new(Resolution {
            of: scribe.of(),
            receipt,
            resolved: if applied { Disposition::Applied } else { Disposition::Failed },
            by: actor.principal.label(),
            evidence: None,
            committed,
        }))
    })?;
    let spare = (0..record.plan_len).map(|_| EntryId::from_bytes(deps.ids.uuid())).collect();
    let compensation = if applied { undo(desk, &record).await? } else { None };
    let command = Resolve { scope: actor.scope, action, applied, entry: entry.clone(), at: deps.ids.now(), spare, compensation };
    deps.effects.resolve(command).await?;
    stored(deps, actor.scope, [&entry]);
    desk.record(actor, action).await
}

/// What takes the effect back, should the run be cancelled: its tool's word, in the bundle that the run is pinned to. Nobody has seen
/// an output.
async fn undo(desk: &Counter, record: &ActionRecord) -> Result<Option<Box<Compensation>>, DeskError> {
    let deps = &desk.deps.engine;
    if let Some(bundle) = deps.bundles.pinned(record.bundle).await? {
        return Ok(compensation(deps, &bundle, record, None));
    }
    match desk.deps.lists.run(record.scope, record.run).await? {
        Some(run) if run.cancelling => Err(DeskError::Unavailable(format!(
            "the run is cancelled, and the bundle `{}`, which says how to take the effect back, is not available",
            record.bundle
        ))),
        _ => Ok(None),
    }
}

/// Disposes what waits; what is being called is awaited, and what is in doubt is settled first. A run that is being cancelled already
/// has its blocked compensations given up.
pub(super) async fn cancel(desk: &Counter, actor: &Actor, run: RunId) -> Result<(), DeskError> {
    let deps = &desk.deps.engine;
    for id in deps.effects.cancel_run(actor.scope, run, deps.ids.now()).await? {
        let record = desk.record(actor, id).await?;
        let why = if record.compensates.is_some() { "compensation_given_up" } else { "run_cancelled" };
        let verb = if record.compensates.is_some() { "given up" } else { "cancelled" };
        let ending = Ending::new(Disposition::Cancelled, why).detail(format!("{verb} by {}", actor.principal.label()));
        let command = disposal(deps, &record, OnUnknown::Hold, ending, Authority::Parked(record.state), None)?;
        let receipt = command.disposal.receipt.clone();
        match deps.effects.dispose(command).await {
            Ok(_) => stored(deps, actor.scope, [&receipt]),
            // It moved on meanwhile: its worker sees the cancellation before the next call.
            Err(StoreError::Conflict(_)) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}
