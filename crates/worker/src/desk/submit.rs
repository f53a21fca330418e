//! Direct actions: one action through the same gate, answered when it is disposed or cannot go on.

use std::time::Duration;

use tollgate_core::action::ActionState;
use tollgate_core::id::{ActionId, PlanId, RunId};
use tollgate_core::ports::{ActionRecord, Actor, DeskError, DirectAction, SubmitAction, Submitted};

use super::port::Counter;
use crate::engine::Engine;
use crate::service::Handing;

/// First and longest pause between two looks at an action that others carry out, however much the ledger grows.
const LOOK_FIRST: Duration = Duration::from_millis(2);
const LOOK_MAX: Duration = Duration::from_millis(50);
/// The longest time without a look: news may be late, or not come at all.
const NEWS_MAX: Duration = Duration::from_millis(250);

pub(super) async fn submit(desk: &Counter, actor: &Actor, action: DirectAction) -> Result<ActionRecord, DeskError> {
    let deps = &desk.deps.engine;
    let Some(active) = deps.bundles.active(actor.scope) else {
        return Err(DeskError::Unavailable("no bundle is deployed".to_owned()));
    };
    let mut proposal = action.proposal;
    let Some(tool) = active.bundle.spec.resolve_tool(&proposal.tool) else {
        return Err(DeskError::Invalid(format!("there is no tool or capability `{}`", proposal.tool)));
    };
    if tool.name != proposal.tool {
        proposal.capability = Some(std::mem::replace(&mut proposal.tool, tool.name.clone()));
    }
    let session = desk.deps.hands.as_ref().and_then(|h| h.session());
    let run = RunId::from_bytes(deps.ids.uuid());
    let command = SubmitAction {
        scope: actor.scope,
        dedupe: action.dedupe,
        run,
        plan: PlanId::from_bytes(*run.as_bytes()),
        bundle: active.bundle.digest,
        principal: actor.principal.clone(),
        action: Engine::prepare(deps, actor.scope, &active.bundle, None, proposal),
        at: deps.ids.now(),
        claim: session,
    };
    let id = command.action.id;
    let submitted = match &desk.deps.hands {
        Some(hands) => {
            let handing = Handing::new(hands, session);
            handing.over(deps.effects.submit(command).await)
        }
        None => deps.effects.submit(command).await,
    };
    let id = match submitted? {
        Submitted::Stored(claimed) => {
            if let (Some(hands), Some(step)) = (&desk.deps.hands, claimed) {
                hands.take(vec![step]);
            }
            id
        }
        Submitted::Repeated(first) => first,
        Submitted::Conflict(first) => return Err(DeskError::KeyReused(first)),
    };
    wait(desk, actor, id, action.wait).await
}

/// Looks at the action until it is disposed or waits for something that time alone does not bring.
async fn wait(desk: &Counter, actor: &Actor, id: ActionId, longest: Duration) -> Result<ActionRecord, DeskError> {
    let ids = &desk.deps.engine.ids;
    let until = ids.now().plus(longest);
    let mut pause = LOOK_FIRST;
    // Every disposition is an entry, whichever process made it.
    let mut news = desk.deps.signals.entered.subscribe();
    loop {
        news.borrow_and_update();
        let record = desk.record(actor, id).await?;
        match record.state {
            ActionState::Done | ActionState::Unknown | ActionState::WaitingApproval => return Ok(record),
            ActionState::WaitingLane | ActionState::WaitingKey => return Err(DeskError::EntityLocked(id)),
            _ if ids.now() >= until => return Ok(record),
            _ => {}
        }
        tokio::time::sleep(pause).await;
        // The sender lives as long as the desk: it ends with news, or with time.
        let _ = tokio::time::timeout(until.since(ids.now()).min(NEWS_MAX), news.changed()).await;
        pause = (pause * 2).min(LOOK_MAX);
    }
}
