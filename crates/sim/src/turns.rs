//! What happens in a history, turn by turn: events come, workers claim and work, clocks jump, people answer, leases lapse.

use std::time::Duration;

use rand::RngExt;
use serde_json::{Value, json};
use tollgate_core::action::ActionState;
use tollgate_core::id::{ActionId, ApprovalId, RunId};
use tollgate_core::ledger::Disposition;
use tollgate_core::ports::{
    ActionFilter, ActionRecord, Answer, ApprovalFilter, Desk, DeskError, DurableExec, Effects, Page, RunFilter, StoreError,
};
use tollgate_core::run::RunState;
use tollgate_core::verdict::Verdict;
use tollgate_testkit::{Behaviour, Odds, scope};

use crate::desk::someone;
use crate::history::History;
use crate::house::HouseError;

const TOOLS: [&str; 8] = [
    "remote.keyed",
    "remote.keyed_secret",
    "remote.verifiable",
    "remote.once",
    "remote.once",
    "remote.keyed_undo",
    "remote.verifiable_undo",
    "remote.once_undo",
];
/// More than the longest time in which a remote still applies a call: its deadline and its settling.
const SETTLED: Duration = Duration::from_secs(60);
const ALL: Page = Page { before: None, limit: 1000 };

impl History {
    /// The odds of this seed, and what there is to act on: few entities and keys, so that they meet.
    pub(crate) fn set_up(&mut self) {
        let rng = &mut self.rng;
        let mut pick = |most: u32| if rng.random_range(0..3) == 0 { 0 } else { rng.random_range(0..most) };
        let odds = Odds { wait: pick(600), sleep: pick(60), die: pick(40), lose: pick(60) };
        self.h.fates.set_odds(odds);
        self.h.remote.set_remembers_rejections(self.rng.random_range(0..2) == 0);
        for e in 0..self.rng.random_range(1..4) {
            for k in 0..self.rng.random_range(1..4) {
                let tool = TOOLS.get(self.rng.random_range(0..TOOLS.len())).copied().unwrap_or("remote.once");
                self.tools.insert(format!("{e}-{k}"), tool);
            }
        }
    }

    fn behaviour(&mut self) -> Behaviour {
        match self.rng.random_range(0..16) {
            0 => Behaviour::ApplyAndLoseAnswer,
            1 => Behaviour::ApplyLate(Duration::from_secs(self.rng.random_range(0..39))),
            2 => Behaviour::Lose,
            3 => Behaviour::Reject(503),
            4 => Behaviour::Reject(422),
            5 => Behaviour::Reject(401),
            6 => Behaviour::NotSent,
            7 => Behaviour::Hang,
            8 => Behaviour::ApplyThenHang,
            9 | 10 => Behaviour::Slow,
            _ => Behaviour::Apply,
        }
    }

    /// One turn.
    pub(crate) async fn turn(&mut self) -> Result<(), HouseError> {
        match self.rng.random_range(0..25) {
            0..=2 => self.propose().await,
            24 if self.has_graphs => self.start_graph().await,
            3 => {
                let secs = if self.rng.random_range(0..8) == 0 { self.rng.random_range(60..5000) } else { self.rng.random_range(0..50) };
                self.pass(secs);
                Ok(())
            }
            4 => {
                self.h.watch.reap().await?;
                Ok(())
            }
            5 => {
                let woken = self.tasks.wake(&mut self.rng);
                self.polled(woken);
                Ok(())
            }
            6 => {
                self.skew();
                Ok(())
            }
            7 => {
                self.govern();
                // A policy comes with a deployment, and an old one is still read by those who have not heard of it.
                if self.rng.random_range(0..2) == 0 { self.h.keep_policy().await } else { Ok(()) }
            }
            8 | 9 => self.people().await,
            10..=14 => {
                self.h.watch.fire_timers(8).await?;
                let (worker, limit) = (self.rng.random_range(0..3), self.rng.random_range(1..4));
                self.claim(worker, limit).await.map(drop)
            }
            _ => {
                for _ in 0..self.rng.random_range(1..12) {
                    let script = [self.behaviour()];
                    self.h.remote.clear();
                    self.h.remote.script(script);
                    let polled = self.tasks.next(&mut self.rng);
                    if !self.polled(polled) {
                        break;
                    }
                }
                Ok(())
            }
        }
    }

    async fn propose(&mut self) -> Result<(), HouseError> {
        let ids: Vec<String> = self.tools.keys().cloned().collect();
        let mut plan = Vec::new();
        for _ in 0..self.rng.random_range(1..4) {
            let Some(id) = ids.get(self.rng.random_range(0..ids.len())) else { continue };
            let mut action = self.action(id);
            if let Some(a) = action.as_object_mut() {
                a.insert("continue".to_owned(), json!(self.rng.random_range(0..2) == 0));
                a.insert("independent".to_owned(), json!(self.rng.random_range(0..3) == 0));
            }
            plan.push(action);
        }
        self.send(&plan).await
    }

    /// The action that an id stands for: always the same tool, entity and key.
    pub(crate) fn action(&self, id: &str) -> Value {
        let (entity, _) = id.split_once('-').unwrap_or((id, ""));
        let tool = self.tools.get(id).copied().unwrap_or("remote.keyed");
        json!({"tool": tool, "args": {"id": id}, "entity_key": format!("e:{entity}"), "idempotency_key": format!("k:{id}"), "value": null})
    }

    /// The clock of one machine jumps, the store's does not. Back it jumps only between calls: a worker that sleeps past its deadline and
    /// then reads a clock set back cannot know that it slept, and no store can tell it.
    fn skew(&mut self) {
        let ahead = self.rng.random_range(-5..=5) * 60_000_000;
        let i = self.rng.random_range(0..3);
        if let Some(w) = self.workers.get(i)
            && (ahead >= w.clock.ahead() || !self.tasks.busy(i))
        {
            w.clock.set_ahead(ahead);
        }
    }

    /// Policy changes, or a secret is rotated.
    fn govern(&mut self) {
        match self.rng.random_range(0..8) {
            0..=3 => self.h.policy.set(Verdict::Allow),
            4 | 5 => self.h.policy.set(Verdict::RequireApproval),
            6 => self.h.policy.set(Verdict::Block),
            _ => self.h.sealer.set("token", b"s2"),
        }
    }

    async fn people(&mut self) -> Result<(), HouseError> {
        match self.rng.random_range(0..9) {
            0..=3 => self.answer_one().await.map(drop),
            4 | 5 => self.resolve_one().await.map(drop),
            6 => self.resume_one().await,
            _ => self.cancel_one().await,
        }
    }

    /// Someone answers an approval request; `false` when there is none.
    pub(crate) async fn answer_one(&mut self) -> Result<bool, HouseError> {
        let open = ApprovalFilter { status: Some("open".to_owned()), queue: None };
        let listed = self.h.store.list_approvals(scope(), open, ALL).await?;
        let mut open: Vec<ApprovalId> = Vec::new();
        for request in listed.into_iter().map(|l| l.item) {
            // A cancelled action leaves its request behind: nobody's answer moves anything.
            let waits = self.h.record(request.action).await?.is_some_and(|a| a.state == ActionState::WaitingApproval);
            open.extend(waits.then_some(request.id));
        }
        if open.is_empty() {
            return Ok(false);
        }
        let Some(approval) = open.get(self.rng.random_range(0..open.len())).copied() else { return Ok(false) };
        let answer = Answer { approval, queue: None, binding: None, comment: None };
        match self.rng.random_range(0..4) {
            0 => refused(self.h.desk().deny(&someone(), answer).await.map(drop))?,
            1 => {
                self.pass(73 * 3600);
                for (s, id) in self.h.watch.lapsed_approvals(100).await? {
                    match tollgate_worker::expire(&self.h.deps(), s, id).await {
                        Ok(()) | Err(StoreError::Conflict(_)) => {}
                        Err(e) => return Err(e.into()),
                    }
                }
            }
            _ => refused(self.h.desk().approve(&someone(), answer).await.map(drop))?,
        }
        Ok(true)
    }

    /// Someone who looked at the remote says whether an `unknown` happened; `false` when there is none that is settled.
    pub(crate) async fn resolve_one(&mut self) -> Result<bool, HouseError> {
        let filter = ActionFilter { state: Some("unknown".to_owned()), ..ActionFilter::default() };
        let now = self.h.clock_now();
        let unknown = self.h.store.list_actions(scope(), filter, ALL).await?;
        let settled = |at: &tollgate_core::time::Timestamp| at.plus(SETTLED) < now;
        let Some(a) = unknown.into_iter().map(|l| l.item).find(|a| settled(&a.updated_at)) else { return Ok(false) };
        debug_assert_eq!(a.disposition, Some(Disposition::Unknown));
        let id = a.proposal.args.get("id").and_then(Value::as_str).unwrap_or_default();
        let applied = self.h.remote.effects(id, now) > 0;
        self.resolve(a.id, applied).await.map(|()| true)
    }

    async fn resolve(&self, action: ActionId, applied: bool) -> Result<(), HouseError> {
        refused(self.h.desk().resolve(&someone(), action, applied, None).await.map(drop))
    }

    /// Someone cancels a run, planned or not.
    async fn cancel_one(&mut self) -> Result<(), HouseError> {
        if self.rng.random_range(0..2) > 0 {
            return Ok(());
        }
        let runs = self.h.store.list_runs(scope(), RunFilter::default(), ALL).await?;
        let open = |state: RunState| !state.is_final();
        let mut open: Vec<RunId> = runs.into_iter().filter(|l| open(l.item.state)).map(|l| l.item.id).collect();
        let mut begun: Vec<_> = self.h.actions().await?.into_values().filter(is_under_way).map(|a| (a.run, a.id)).collect();
        begun.retain(|(run, _)| open.contains(run));
        // Mostly one with something under way: that is where it matters.
        if !begun.is_empty() && self.rng.random_range(0..4) > 0 {
            open = begun.iter().map(|(run, _)| *run).collect();
        }
        if open.is_empty() {
            return Ok(());
        }
        let Some(run) = open.get(self.rng.random_range(0..open.len())).copied() else { return Ok(()) };
        refused(self.h.desk().cancel(&someone(), run).await)?;
        self.under_way.extend(begun.into_iter().filter(|(r, _)| *r == run).map(|(_, action)| action));
        Ok(())
    }
}

/// Whether an attempt of it had begun, and it may still take effect: what undoes another is undone by nobody.
fn is_under_way(a: &ActionRecord) -> bool {
    let begun = matches!(a.state, ActionState::Calling | ActionState::Backoff | ActionState::Doubt | ActionState::Unknown);
    begun && a.compensates.is_none()
}

/// A person who is told that it is too late goes away.
fn refused(out: Result<(), DeskError>) -> Result<(), HouseError> {
    match out {
        Ok(()) | Err(DeskError::Conflict(_)) => Ok(()),
        Err(e) => Err(e.into()),
    }
}
