//! Events, direct actions, sessions, claims and plans.

use std::time::Duration;

use serde_json::json;
use tollgate_core::event::Event;
use tollgate_core::hash::Digest;
use tollgate_core::id::{PlanId, RunId};
use tollgate_core::plan::ProposalError;
use tollgate_core::ports::{Claimed, Dedupe, IngestEvent, Ingested, NewRun, PlanOutcome, Step, StorePlan, SubmitAction, Submitted};
use tollgate_core::scope::Scope;
use tollgate_core::spec::Ordering;
use tollgate_core::terms::Labels;
use tollgate_core::verdict::Principal;

use crate::ops::{Act, Op};
use crate::terms::{has, rules_of_all, terms};
use crate::world::{World, both, scope_of, shown};

impl World {
    pub fn event(&mut self, scope: Scope, body: u8) -> Event {
        let id = self.id();
        Event { scope, ..tollgate_testkit::event(id, self.now(), &json!({"body": body})) }
    }

    fn dedupe(&self, key: Option<u8>, body: u8) -> Option<Dedupe> {
        let expires_at = self.now().plus(Duration::from_secs(60));
        key.map(|k| Dedupe { route: "r".to_owned(), key: format!("k{k}"), fingerprint: Digest::of(&[body]), expires_at })
    }

    pub fn new_runs(&mut self, scope: Scope, n: u8, strict: bool, kind: u8) -> Vec<NewRun> {
        (0..n)
            .map(|i| NewRun {
                id: RunId::from_bytes(self.id()),
                operator: format!("op{i}"),
                bundle: Digest::of(b"b"),
                strict,
                terms: terms(&scope, kind),
            })
            .collect()
    }

    /// Everyone has a session to begin with.
    pub async fn open_sessions(&mut self) {
        for session in self.sessions {
            both!(self, |s| s.open_session(session, Duration::from_secs(600), Labels::default())).unwrap();
        }
        for op in rules_of_all() {
            self.configure(&op).await;
        }
    }

    pub async fn step(&mut self, op: &Op) -> String {
        match op {
            Op::Ingest { scope, events, key, body, operators, strict, terms: kind, claim, stale } => {
                let scope = scope_of(*scope);
                let mut batch = Vec::new();
                for i in 0..*events {
                    // The second event of a batch under the same key is a repetition.
                    let dedupe = self.dedupe(*key, *body);
                    let event = self.event(scope, body.wrapping_add(i));
                    let runs = self.new_runs(scope, *operators, *strict, *kind);
                    batch.push(IngestEvent { event, dedupe, runs });
                }
                let (rev, session) = (self.rev(*stale).await, self.session(*claim));
                let answer = both!(self, |s| s.ingest(scope, rev, batch.clone(), session));
                for (new, what) in batch.iter().zip(answer.iter().flatten()) {
                    if let Ingested::Stored { claimed } = what {
                        self.events.push((scope, new.event.id));
                        self.runs.extend(new.runs.iter().map(|r| (scope, r.id)));
                        self.take(claimed);
                    }
                }
                shown(&answer)
            }
            Op::Submit { scope, act, key, body, claim } => {
                let scope = scope_of(*scope);
                let run = self.id();
                let command = SubmitAction {
                    scope,
                    dedupe: self.dedupe(*key, *body),
                    run: RunId::from_bytes(run),
                    plan: PlanId::from_bytes(run),
                    bundle: Digest::of(b"b"),
                    principal: Principal::ServiceAccount("a".to_owned()),
                    action: self.action(scope, act),
                    at: self.now(),
                    claim: self.session(*claim),
                };
                let answer = both!(self, |s| s.submit(command.clone()));
                if let Ok(Submitted::Stored(claimed)) = &answer {
                    self.runs.push((scope, command.run));
                    self.actions.push((scope, command.run, command.action.id));
                    self.take(&claimed.iter().copied().collect::<Vec<_>>());
                }
                shown(&answer)
            }
            Op::Session { which, kind, labels, long } => {
                let (session, ttl) = (self.sessions[usize::from(*which) % 3], Duration::from_secs(if *long { 600 } else { 30 }));
                match kind {
                    0 | 1 => shown(&both!(self, |s| s.open_session(session, ttl, has(*labels)))),
                    2 => shown(&both!(self, |s| s.renew(session, ttl))),
                    _ => shown(&both!(self, |s| s.close_session(session))),
                }
            }
            Op::Claim { which, labels } => self.claim(*which, *labels).await,
            Op::Plan { pick, acts, outcome, strict, claim } => self.plan(*pick, acts, *outcome, *strict, *claim).await,
            other => panic!("{other:?}"),
        }
    }

    /// Takes everything there is: in which order is each engine's own affair.
    async fn claim(&mut self, which: u8, labels: u8) -> String {
        let session = self.sessions[usize::from(which) % 3];
        let _ = both!(self, |s| s.open_session(session, Duration::from_secs(300), has(labels)));
        let sorted = |mut found: Result<Vec<Claimed>, _>| {
            if let Ok(found) = &mut found {
                found.sort_by_key(|c| (c.run, c.step));
            }
            found
        };
        let one = sorted(self.sqlite.store.claim(session, 1000).await);
        let other = sorted(self.postgres.store.claim(session, 1000).await);
        let answer = self.same("claim", one, other);
        self.take(answer.as_deref().unwrap_or_default());
        shown(&answer)
    }

    async fn plan(&mut self, pick: u8, acts: &[Act], outcome: u8, strict: bool, claim: Option<u8>) -> String {
        let Some(c) = self.pick_held(pick, |c| c.step == Step::Reason) else { return "nothing to plan".to_owned() };
        let actions: Vec<_> = acts.iter().map(|a| self.action(c.scope, a)).collect();
        let ids: Vec<_> = actions.iter().map(|a| a.id).collect();
        let outcome = match outcome {
            0 => PlanOutcome::Draft(actions),
            1 => PlanOutcome::Nothing,
            2 => PlanOutcome::Failed(ProposalError { place: "p".to_owned(), message: "m".to_owned() }),
            _ => PlanOutcome::Proposed(actions),
        };
        let command = StorePlan {
            scope: c.scope,
            run: c.run,
            lease: c.lease,
            plan: PlanId::from_bytes(*c.run.as_bytes()),
            at: self.now(),
            outcome,
            ordering: if strict { Ordering::Strict } else { Ordering::Relaxed },
            claim: self.session(claim),
        };
        let answer = both!(self, |s| s.store_plan(command.clone()));
        if let Ok(done) = &answer {
            self.ended(&c);
            if matches!(command.outcome, PlanOutcome::Proposed(_) | PlanOutcome::Draft(_)) {
                self.actions.extend(ids.iter().map(|id| (c.scope, c.run, *id)));
            }
            self.take(&done.claimed);
        }
        shown(&answer)
    }
}
