//! Every transition of actions, every change of runs and every entry of a journal is told, on both engines.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::sync::Arc;

use serde_json::json;
use tollgate_core::action::{ActionState as S, TRANSITIONS, Trigger};
use tollgate_core::graph::{EntryKind, JournalEntry, SEMANTICS_VERSION};
use tollgate_core::hash::Digest;
use tollgate_core::id::EntryId;
use tollgate_core::ledger::Disposition;
use tollgate_core::ports::{ChangeLog, EventLog, NewAction, StoreError};
use tollgate_core::run::RunState;
use tollgate_core::spec::Effect;
use tollgate_private_postgres::Server;
use tollgate_testkit::{SimClock, scope};

use super::*;
use crate::backend::{Ordered, Store};
use crate::command::runs::set_state;
use crate::needs::{Lock, Needs};
use crate::testing::Database;
use crate::tx::{ActionChange, NewActionRow, NewRunRow, RunChange, Tx};
use crate::{Login, Options, PgOptions, PgStore, Role, SqliteStore};

fn run_id(n: usize) -> RunId {
    RunId::from_bytes((n as u128 + 1).to_be_bytes())
}

fn action_id(n: usize) -> ActionId {
    ActionId::from_bytes((n as u128 + 1).to_be_bytes())
}

fn run(id: RunId, state: RunState) -> NewRunRow {
    NewRunRow {
        terms: Default::default(),
        id,
        scope: scope(),
        event: None,
        operator: None,
        offering: 0,
        principal: "system:test".to_owned(),
        bundle: Digest::of(b"b"),
        strict: false,
        state,
        actions: 1,
        graph: None,
        planned_at: None,
        at: Timestamp::from_micros(1),
    }
}

fn action(id: ActionId) -> NewAction {
    let proposal = json!({"tool": "t.x", "args": {"secret": "said 4111"}, "entity_key": null, "idempotency_key": null, "value": null});
    NewAction {
        terms: Default::default(),
        id,
        proposal: serde_json::from_value(proposal).unwrap(),
        tool_digest: None,
        effect: Effect::Write,
        salt: [1; 32],
        lane: None,
        key: None,
    }
}

/// A run with an action.
fn store_both(tx: &mut dyn Tx, n: usize) -> crate::error::Result<()> {
    tx.insert_run(&run(run_id(n), RunState::Running))?;
    let (action, at) = (&action(action_id(n)), Timestamp::from_micros(1));
    tx.insert_action(&NewActionRow { scope: scope(), run: run_id(n), seq: 0, action, strict: false, compensates: None, node: None, at })
}

async fn told<B: Ordered>(store: &Store<B>, n: usize) -> Vec<What> {
    store.publish().await.unwrap();
    let page = store.changes_after(scope(), Some(run_id(n)), 0).await.unwrap();
    assert!(!page.more);
    page.found.into_iter().map(|(_, c)| c.what).collect()
}

fn needs(n: usize) -> Needs {
    let mut needs = Needs::of(scope()).action(action_id(n));
    needs.locks.push(Lock::Run(run_id(n)));
    needs
}

/// Every transition that there is, made by the function that all commands move actions with.
async fn every_transition<B: Ordered>(store: &Store<B>) {
    for (n, (from, trigger, to)) in TRANSITIONS.iter().copied().enumerate() {
        store.engine.write(needs(n), move |tx| store_both(tx, n)).await.unwrap();
        if from != S::Proposed {
            store.engine.write(needs(n), move |tx| tx.write_move(action_id(n), S::Proposed, from).map(drop)).await.unwrap();
        }
        let of = (scope(), run_id(n));
        store.engine.write(needs(n), move |tx| set_state(tx, of, action_id(n), from, trigger)).await.unwrap();
        // A transition that cannot happen, and one from a state that it left, are not told.
        let again = store.engine.write(needs(n), move |tx| set_state(tx, of, action_id(n), S::Done, Trigger::Began)).await;
        assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
        if from != to {
            let again = store.engine.write(needs(n), move |tx| set_state(tx, of, action_id(n), from, trigger)).await;
            assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
        }
        let moves = [Moved::new(action_id(n), None, S::Proposed), Moved::new(action_id(n), Some(from), to)].map(What::Action);
        let expected: Vec<What> = [What::Run(RunState::Running)].into_iter().chain(moves).collect();
        assert_eq!(told(store, n).await, expected, "{from} by {trigger:?}");
    }
}

/// Every change of a run and every entry of a journal.
async fn every_change_of_runs<B: Ordered>(store: &Store<B>, base: usize) {
    let changes = [
        (RunChange::State(RunState::Failed), Some(What::Run(RunState::Failed))),
        (
            RunChange::Planned { state: RunState::ProposalFailed, reason: Some("said 4111".to_owned()), actions: 0 },
            Some(What::Run(RunState::ProposalFailed)),
        ),
        (RunChange::Cancelling, Some(What::Cancelling)),
        (RunChange::Unasked, Some(What::Run(RunState::Cancelled))),
        (RunChange::Stopped("said 4111".to_owned()), Some(What::Run(RunState::Failed))),
        (RunChange::OneMore, None),
    ];
    for (i, (change, what)) in changes.into_iter().enumerate() {
        let n = base + i;
        store.engine.write(needs(n), move |tx| tx.insert_run(&run(run_id(n), RunState::Queued))).await.unwrap();
        let at = Timestamp::from_micros(2);
        store.engine.write(needs(n), move |tx| tx.change_run(scope(), run_id(n), &change, at)).await.unwrap();
        assert_eq!(told(store, n).await, [Some(What::Run(RunState::Queued)), what].into_iter().flatten().collect::<Vec<_>>());
    }
    let n = base + 100;
    store
        .engine
        .write(needs(n), move |tx| {
            tx.insert_run(&run(run_id(n), RunState::Running))?;
            for (seq, kind) in EntryKind::ALL.iter().copied().enumerate() {
                let step = kind.outcome().map(|_| 7);
                let (seq, request_hash) = (u32::try_from(seq).unwrap(), Digest::of(b"r"));
                let entry =
                    JournalEntry { run: run_id(n), seq, kind, step, request_hash, result: None, semantics_version: SEMANTICS_VERSION };
                tx.journal(scope(), &entry, Timestamp::from_micros(1))?;
            }
            Ok(())
        })
        .await
        .unwrap();
    let ends = EntryKind::ALL.iter().filter(|k| k.outcome().is_some()).map(|kind| What::Node { node: 7, kind: *kind });
    assert_eq!(told(store, n).await, [What::Run(RunState::Running)].into_iter().chain(ends).collect::<Vec<_>>());
}

/// What a move meant is told with it, as a code or not at all; and what is not committed is not told.
async fn meanings<B: Ordered>(store: &Store<B>, base: usize) {
    let end = |n: usize, reason: &'static str, fails: bool| {
        store.engine.write(needs(n), move |tx| {
            store_both(tx, n)?;
            set_state(tx, (scope(), run_id(n)), action_id(n), S::Proposed, Trigger::Disposed)?;
            let receipt = EntryId::from_bytes([9; 16]);
            let change = ActionChange::Disposed {
                disposition: Disposition::Refused,
                reason,
                detail: Some("said 4111"),
                receipt,
                output: Some(b"said 4111"),
            };
            tx.change_action(action_id(n), &change)?;
            if fails { Err(StoreError::Conflict("no".to_owned())) } else { Ok(()) }
        })
    };
    end(base, "policy_error", false).await.unwrap();
    end(base + 1, "said 4111", false).await.unwrap();
    end(base + 2, "policy_error", true).await.unwrap_err();
    let last = |what: Vec<What>| match what.last() {
        Some(What::Action(m)) => (m.disposition, m.reason.clone()),
        other => panic!("{other:?}"),
    };
    assert_eq!(last(told(store, base).await), (Some(Disposition::Refused), Some("policy_error".to_owned())));
    assert_eq!(last(told(store, base + 1).await), (Some(Disposition::Refused), None));
    assert_eq!(told(store, base + 2).await, []);
    // All that was told by now is in one order, without a gap, and holds nothing of what was said.
    let (mut position, mut all) = (0, Vec::new());
    loop {
        let page = store.changes_after(scope(), None, position).await.unwrap();
        all.extend(page.found);
        position = page.to;
        if !page.more {
            break;
        }
    }
    assert_eq!(all.iter().map(|(at, _)| *at).collect::<Vec<_>>(), (1..=all.len() as u64).collect::<Vec<_>>());
    assert_eq!(store.changes_from(scope()).await.unwrap(), Some(0));
    assert!(!format!("{all:?}").contains("said 4111"));
    // From wherever one goes on, exactly what follows comes: a position may lie inside a row.
    for at in 0..all.len() {
        let page = store.changes_after(scope(), None, at as u64).await.unwrap();
        assert_eq!(page.found[..], all[at..at + page.found.len()]);
        assert_eq!(page.found.is_empty(), at == all.len());
    }
}

async fn everything<B: Ordered>(store: &Store<B>) {
    every_transition(store).await;
    every_change_of_runs(store, 1000).await;
    meanings(store, 2000).await;
}

#[tokio::test]
async fn nothing_changes_untold_on_sqlite() {
    let options = Options { path: None, clock: Arc::new(SimClock::default()), inline: true, on_commit: Box::new(|_| {}) };
    everything(&SqliteStore::open(options).unwrap()).await;
}

#[tokio::test]
async fn nothing_changes_untold_on_postgres() {
    let server = Server::shared().unwrap();
    let db = Database::create(&server.url("postgres")).await.unwrap();
    let login = Login::parse(&db.serve()).unwrap();
    let options = PgOptions { login, role: Role::Serve, readers: 2, clock: None, inline: None, on_commit: Box::new(|_| {}) };
    let store = PgStore::open(options).await.unwrap();
    everything(&store).await;
    drop(store);
    db.remove().await.unwrap();
}
