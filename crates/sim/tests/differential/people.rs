//! What people do: asked, answering, resolving, cancelling.

use std::time::Duration;

use tollgate_core::action::ActionState;
use tollgate_core::hash::Digest;
use tollgate_core::id::ApprovalId;
use tollgate_core::ledger::Kind;
use tollgate_core::ports::{ApprovalEnd, Approve, AskApproval, Authority, Dispose, KeyChange, Resolve};

use crate::ops::Op;
use crate::world::{World, action_of, both, shown};

const QUEUES: [&str; 3] = ["finance", "ops", "nobody"];

/// What every request is bound to.
pub fn binding() -> Digest {
    Digest::of(b"shown")
}

impl World {
    pub async fn person(&mut self, op: &Op) -> String {
        match *op {
            Op::Ask { pick, queues, seconds } => self.ask(pick, queues, seconds).await,
            Op::Approve { pick, queue, wrong } => {
                let Some((scope, approval, action)) = Self::pick(&self.approvals, pick) else { return "nobody is asked".to_owned() };
                let command = Approve {
                    scope,
                    approval,
                    queue: QUEUES[usize::from(queue) % 3].to_owned(),
                    by: "someone".to_owned(),
                    binding: if wrong { Digest::of(b"other") } else { binding() },
                    entry: self.entry(Kind::Approval, Some(action)),
                    at: self.now(),
                };
                shown(&both!(self, |s| s.approve(command.clone())))
            }
            Op::End { pick, expired } => {
                let Some((scope, approval, action)) = Self::pick(&self.approvals, pick) else { return "nobody is asked".to_owned() };
                let Some(a) = self.record(scope, action).await else { return "no such action".to_owned() };
                let entry = self.entry(Kind::Approval, Some(action));
                let end = if expired { ApprovalEnd::Expired } else { ApprovalEnd::Denied(entry.id) };
                let mut disposal = self.disposal(&a, 9, false);
                disposal.key = KeyChange::None;
                disposal.entries = vec![entry];
                let command = Dispose {
                    scope,
                    run: a.run,
                    action,
                    authority: Authority::Approval(approval, end),
                    close: None,
                    disposal,
                    at: self.now(),
                    spare: self.spare(a.plan_len + 4),
                    claim: None,
                    compensation: None,
                };
                self.dispose(command, None).await
            }
            Op::Resolve { pick, applied, undo } => {
                let of = self.pick_in(pick, |s| s == ActionState::Unknown).await;
                let Some((scope, run, action)) = of else { return "no action".to_owned() };
                let compensation = self.compensation(scope, undo);
                let undo = compensation.as_ref().map(|c| (scope, run, c.action.id));
                let (entry, at, spare) = (self.entry(Kind::Resolution, Some(action)), self.now(), self.spare(8));
                let command = Resolve { scope, action, applied, entry, at, spare, compensation };
                let answer = both!(self, |s| s.resolve(command.clone()));
                if answer.is_ok() {
                    self.actions.extend(undo);
                }
                shown(&answer)
            }
            Op::Cancel { pick } => {
                let Some((scope, run)) = Self::pick(&self.runs, pick) else { return "no run".to_owned() };
                let at = self.now();
                shown(&both!(self, |s| s.cancel_run(scope, run, at)))
            }
            Op::Lift { pick } => {
                let Some((scope, _, action)) = Self::pick(&self.actions, pick) else { return "no action".to_owned() };
                let entry = self.entry(Kind::Approval, Some(action));
                shown(&both!(self, |s| s.lift_denial(scope, action, entry.clone())))
            }
            ref other => panic!("{other:?}"),
        }
    }

    async fn ask(&mut self, pick: u8, queues: u8, seconds: u16) -> String {
        let Some(c) = self.pick_held(pick, |c| action_of(c).is_some()) else { return "nothing is held".to_owned() };
        let Some(action) = action_of(&c) else { return String::new() };
        let command = AskApproval {
            scope: c.scope,
            run: c.run,
            action,
            lease: c.lease,
            approval: ApprovalId::from_bytes(self.id()),
            queues: QUEUES.iter().take(usize::from(queues)).map(|q| (*q).to_owned()).collect(),
            binding: binding(),
            shown: b"{\"shown\":true}".to_vec(),
            expires_in: Duration::from_secs(u64::from(seconds)),
            entries: vec![self.entry(Kind::Approval, Some(action))],
            at: self.now(),
        };
        let answer = both!(self, |s| s.ask_approval(command.clone()));
        if answer.is_ok() {
            self.ended(&c);
            self.approvals.push((c.scope, command.approval, action));
        }
        shown(&answer)
    }
}
