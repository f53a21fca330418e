//! What a worker does with an action, right or wrong.

use std::time::Duration;

use serde_json::json;
use tollgate_core::action::ActionState;
use tollgate_core::attempt::{AttemptResult, Attempts};
use tollgate_core::ledger::{Disposition, Kind};
use tollgate_core::ports::{
    ActionRecord, Authority, BeginAttempt, Begun, Block, CloseAttempt, Compensation, Defer, Disposal, Dispose, KeyChange,
};
use tollgate_core::scope::Scope;
use tollgate_core::spec::OnUnknown;

use crate::ops::{Act, Op};
use crate::world::{World, action_of, both, shown};

impl World {
    pub fn close(&mut self, a: &ActionRecord, result: AttemptResult) -> Option<CloseAttempt> {
        let open = a.open.as_ref()?;
        Some(CloseAttempt { attempt: open.attempt, result, entry: self.entry(Kind::Attempt, Some(a.id)) })
    }

    pub fn compensation(&mut self, scope: Scope, undo: u8) -> Option<Box<Compensation>> {
        let act = Act { lane: undo, key: None, fingerprint: 0, independent: true, goes_on: true, terms: 0 };
        let fault = (undo == 2).then(|| ("no_such_tool".to_owned(), "gone".to_owned()));
        (undo > 0).then(|| Box::new(Compensation { action: self.action(scope, &act), fault }))
    }

    pub fn disposal(&mut self, a: &ActionRecord, how: u8, hold: bool) -> Disposal {
        let called = a.attempts.count > 0;
        let (disposition, key) = match how {
            0..=3 if a.open.is_some() => (Disposition::Applied, KeyChange::Consume),
            4 if called => (Disposition::Unknown, KeyChange::Doubt),
            5 if called => (Disposition::Failed, KeyChange::Free),
            6 => (Disposition::Deduplicated, KeyChange::None),
            7 => (Disposition::Cancelled, if called { KeyChange::Free } else { KeyChange::None }),
            _ => (Disposition::Refused, KeyChange::None),
        };
        Disposal {
            disposition,
            reason: "because".to_owned(),
            detail: Some("of this".to_owned()),
            receipt: self.entry(Kind::Receipt, Some(a.id)),
            entries: vec![],
            output: (disposition == Disposition::Applied).then(|| json!({"ok": true}).to_string().into_bytes()),
            key: if a.key.is_some() { key } else { KeyChange::None },
            on_unknown: if hold { OnUnknown::Hold } else { OnUnknown::Release },
        }
    }

    pub async fn act(&mut self, op: &Op) -> String {
        let (Op::Begin { pick, .. }
        | Op::Dispose { pick, .. }
        | Op::Defer { pick, .. }
        | Op::Look { pick }
        | Op::GiveUp { pick, .. }
        | Op::Block { pick }) = op
        else {
            panic!("{op:?}")
        };
        if let Op::GiveUp { right, .. } = op {
            return self.give_up(*pick, *right).await;
        }
        let Some(c) = self.pick_held(*pick, |c| action_of(c).is_some()) else { return "nothing is held".to_owned() };
        let Some(id) = action_of(&c) else { return String::new() };
        let Some(a) = self.record(c.scope, id).await else { return "no such action".to_owned() };
        match *op {
            Op::Begin { stale, other, approved, .. } => {
                let command = BeginAttempt {
                    scope: c.scope,
                    run: c.run,
                    action: id,
                    lease: c.lease,
                    rev: self.rev(stale).await,
                    attempt: a.attempts.count + 1,
                    generation: a.generation + u32::from(other),
                    deadline_at: self.now().plus(Duration::from_secs(30)),
                    rendered: b"{}".to_vec(),
                    approval: a.approval.filter(|_| approved).map(|id| (id, crate::people::binding())),
                    entry: self.entry(Kind::Intent, Some(id)),
                };
                let answer = both!(self, |s| s.begin(command.clone()));
                if matches!(answer, Ok(Begun::LaneBusy | Begun::Key(_))) {
                    self.ended(&c);
                }
                shown(&answer)
            }
            Op::Dispose { how, result, hold, claim, undo, .. } => {
                let result = [AttemptResult::Applied, AttemptResult::Rejected, AttemptResult::NotSent, AttemptResult::Ambiguous]
                    [usize::from(result) % 4];
                let disposal = self.disposal(&a, how, hold);
                let command = Dispose {
                    scope: c.scope,
                    run: c.run,
                    action: id,
                    authority: Authority::Lease(c.lease),
                    close: self.close(&a, result),
                    at: self.now(),
                    spare: self.spare(a.plan_len + 4),
                    claim: self.session(claim),
                    compensation: self.compensation(c.scope, undo),
                    disposal,
                };
                self.dispose(command, Some(&c)).await
            }
            Op::Defer { doubt, seconds, .. } => {
                let until = self.now().plus(Duration::from_secs(u64::from(seconds)));
                let attempts = Attempts { in_doubt: doubt, doubt_deadline: until, verify_failures: u32::from(doubt), ..a.attempts };
                let result = if doubt { AttemptResult::Ambiguous } else { AttemptResult::NotSent };
                let command = Defer {
                    scope: c.scope,
                    run: c.run,
                    action: id,
                    lease: c.lease,
                    close: self.close(&a, result),
                    state: if doubt { ActionState::Doubt } else { ActionState::Backoff },
                    attempts,
                    generation: a.generation + u32::from(!doubt && seconds % 2 == 0),
                    until,
                };
                let answer = both!(self, |s| s.defer(command.clone()));
                if answer.is_ok() {
                    self.ended(&c);
                }
                shown(&answer)
            }
            Op::Look { .. } => shown(&both!(self, |s| s.look_at_key(c.scope, id, c.lease))),
            Op::Block { .. } => {
                let rev = self.rev(false).await;
                let (reason, detail) = ("paused".to_owned(), Some("the connector".to_owned()));
                let command = Block { scope: c.scope, run: c.run, action: id, lease: c.lease, rev, reason, detail };
                let answer = both!(self, |s| s.block(command.clone()));
                if answer.is_ok() {
                    self.ended(&c);
                }
                shown(&answer)
            }
            _ => String::new(),
        }
    }

    pub async fn dispose(&mut self, command: Dispose, held: Option<&tollgate_core::ports::Claimed>) -> String {
        let answer = both!(self, |s| s.dispose(command.clone()));
        if let Ok(done) = &answer {
            if let Some(c) = held {
                self.ended(c);
            }
            if let Some(undo) = &command.compensation {
                self.actions.push((command.scope, command.run, undo.action.id));
            }
            self.take(&done.claimed);
        }
        shown(&answer)
    }

    /// Disposes what waits, as a cancellation does; of a wrong state, as one that comes late.
    async fn give_up(&mut self, pick: u8, right: bool) -> String {
        let Some((scope, run, id)) = self.pick_in(pick, |s| s.is_waiting() || s == ActionState::Proposed).await else {
            return "no action".to_owned();
        };
        let Some(a) = self.record(scope, id).await else { return "no such action".to_owned() };
        let state = if right { a.state } else { ActionState::WaitingLane };
        let mut disposal = self.disposal(&a, 7, false);
        disposal.key = KeyChange::None;
        let command = Dispose {
            scope,
            run,
            action: id,
            authority: Authority::Parked(state),
            close: None,
            disposal,
            at: self.now(),
            spare: self.spare(a.plan_len + 4),
            claim: None,
            compensation: None,
        };
        self.dispose(command, None).await
    }
}
