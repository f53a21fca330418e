//! The ports, each a thin line to its command or query.

use std::time::Duration;

use tollgate_core::event::Event;
use tollgate_core::gate::KeyLook;
use tollgate_core::hash::Digest;
use tollgate_core::id::{ActionId, ApprovalId, EntryId, EventId, KeyId, ReplayId, RunId, SessionId};
use tollgate_core::ledger::Frontier;
use tollgate_core::ports::{
    ActionFilter, ActionRecord, Answered, ApiKeyRecord, ApprovalFilter, ApprovalRecord, Approve, AskApproval, BeginAttempt, Begun, Block,
    BoxFuture, Claimed, ConfigRev, Dedupe, Defer, Deploy, Dispose, Disposed, DurableExec, Effects, EntryFilter, EventFilter, EventLog,
    IngestEvent, Ingested, Lease, LedgerLog, ListOut, Lists, NewEntry, NewRun, Page, ReasonRecord, Registry, ReplayRange, ReplayState,
    Resolve, RunFilter, RunRecord, SecretCiphertext, StoreError, StorePlan, StoredEntry, SubjectKeyRow, SubmitAction, Submitted,
    WrappedTenantKey,
};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::codec::int;
use crate::command::{approval, begin, compensate, defer, dispose, exec, ingest, plan, registry, replay, resolve};
use crate::error::OrStore;
use crate::query;
use crate::sqlite::SqliteStore;

type Out<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

impl EventLog for SqliteStore {
    fn ingest(&self, scope: Scope, rev: ConfigRev, events: Vec<IngestEvent>, claim: Option<SessionId>) -> Out<'_, Vec<Ingested>> {
        self.write(move |tx| ingest::ingest(tx, scope, rev, &events, claim))
    }
    fn seen<'a>(&'a self, scope: Scope, dedupe: &'a Dedupe) -> Out<'a, Option<Ingested>> {
        let (dedupe, now) = (dedupe.clone(), self.clock().now());
        self.read(move |c| query::events::seen(c, scope, &dedupe, now))
    }
    fn forget_keys(&self, limit: u32) -> Out<'_, u32> {
        Box::pin(async move {
            let now = self.clock().now();
            let lapsed = self.walk(move |c| query::events::lapsed_keys(c, now, limit)).await?;
            if lapsed.is_empty() {
                return Ok(0);
            }
            self.write(move |tx| ingest::forget(tx, &lapsed)).await
        })
    }
    fn event(&self, scope: Scope, id: EventId) -> Out<'_, Option<Event>> {
        self.read(move |c| query::events::get(c, scope, id))
    }
    fn events_after(&self, scope: Scope, position: u64, limit: u32) -> Out<'_, Vec<(u64, Event)>> {
        self.read(move |c| query::events::after(c, scope, position, limit))
    }
    fn begin_replay(&self, scope: Scope, range: ReplayRange, at: Timestamp) -> Out<'_, ReplayState> {
        self.write(move |tx| replay::begin(tx, scope, &range, at))
    }
    fn advance_replay(&self, scope: Scope, id: ReplayId, expected: u64, next: u64, runs: Vec<(EventId, NewRun)>) -> Out<'_, ReplayState> {
        self.write(move |tx| replay::advance(tx, scope, id, expected, next, &runs))
    }
    fn open_replays(&self) -> Out<'_, Vec<(Scope, ReplayState)>> {
        self.read(|c| {
            let mut sql = c.prepare_cached("SELECT * FROM replays WHERE next < end ORDER BY id").or_store()?;
            let mut rows = sql.query([]).or_store()?;
            let mut out = Vec::new();
            while let Some(r) = rows.next().or_store()? {
                out.push(replay::read(r)?);
            }
            Ok(out)
        })
    }
}

impl Effects for SqliteStore {
    fn store_plan(&self, c: StorePlan) -> Out<'_, Disposed> {
        self.write(move |tx| plan::store_plan(tx, &c))
    }
    fn submit(&self, c: SubmitAction) -> Out<'_, Submitted> {
        self.write(move |tx| plan::submit(tx, &c))
    }
    fn look_at_key(&self, scope: Scope, action: ActionId, lease: Lease) -> Out<'_, KeyLook> {
        self.write(move |tx| begin::look_at_key(tx, scope, action, lease))
    }
    fn begin(&self, c: BeginAttempt) -> Out<'_, Begun> {
        self.write(move |tx| begin::begin(tx, &c))
    }
    fn defer(&self, c: Defer) -> Out<'_, ()> {
        self.write(move |tx| defer::defer(tx, &c))
    }
    fn block(&self, c: Block) -> Out<'_, ()> {
        self.write(move |tx| compensate::block(tx, &c))
    }
    fn wake_blocked(&self) -> Out<'_, u32> {
        self.write(|tx| compensate::wake(tx, None))
    }
    fn dispose(&self, c: Dispose) -> Out<'_, Disposed> {
        self.write(move |tx| dispose::dispose(tx, &c))
    }
    fn ask_approval(&self, c: AskApproval) -> Out<'_, ()> {
        self.write(move |tx| approval::ask(tx, &c))
    }
    fn approve(&self, c: Approve) -> Out<'_, Answered> {
        self.write(move |tx| approval::approve(tx, &c))
    }
    fn resolve(&self, c: Resolve) -> Out<'_, Disposed> {
        self.write(move |tx| resolve::resolve(tx, &c))
    }
    fn append(&self, scope: Scope, entry: NewEntry) -> Out<'_, ()> {
        self.write(move |tx| tx.append(scope, &entry))
    }
    fn cancel_run(&self, scope: Scope, run: RunId, at: Timestamp) -> Out<'_, Vec<ActionId>> {
        self.write(move |tx| resolve::cancel_run(tx, scope, run, at))
    }
    fn lift_denial(&self, scope: Scope, action: ActionId, entry: NewEntry) -> Out<'_, bool> {
        self.write(move |tx| approval::lift(tx, scope, action, &entry))
    }
    fn action(&self, scope: Scope, id: ActionId) -> Out<'_, Option<ActionRecord>> {
        self.read(move |c| query::actions::load_action(c, scope, id))
    }
    fn approval(&self, scope: Scope, id: ApprovalId) -> Out<'_, Option<ApprovalRecord>> {
        self.read(move |c| query::approvals::get(c, scope, id))
    }
    fn lapsed_approvals(&self, limit: u32) -> Out<'_, Vec<(Scope, ApprovalId)>> {
        let now = self.clock().now();
        self.read(move |c| query::approvals::lapsed(c, now, limit))
    }
    fn consumed_output(&self, scope: Scope, by: ActionId) -> Out<'_, Option<ActionRecord>> {
        self.read(move |c| query::actions::load_action(c, scope, by))
    }
}

impl DurableExec for SqliteStore {
    fn open_session(&self, session: SessionId, ttl: Duration) -> Out<'_, ()> {
        self.write(move |tx| exec::keep_session(tx, session, ttl, true))
    }
    fn renew(&self, session: SessionId, ttl: Duration) -> Out<'_, ()> {
        self.write(move |tx| exec::keep_session(tx, session, ttl, false))
    }
    fn close_session(&self, session: SessionId) -> Out<'_, u32> {
        self.write(move |tx| exec::hand_back(tx, Some(session)))
    }
    fn claim(&self, session: SessionId, limit: u32) -> Out<'_, Vec<Claimed>> {
        self.write(move |tx| exec::claim(tx, session, limit))
    }
    fn pending(&self) -> Out<'_, bool> {
        self.read(|c| c.prepare_cached("SELECT EXISTS (SELECT 1 FROM ready)").or_store()?.query_row([], |r| r.get(0)).or_store())
    }
    fn fire_timers(&self, limit: u32) -> Out<'_, (u32, Option<Timestamp>)> {
        self.write(move |tx| exec::fire_timers(tx, limit))
    }
    fn reap(&self) -> Out<'_, u32> {
        self.write(|tx| exec::hand_back(tx, None))
    }
    fn reason_step(&self, scope: Scope, run: RunId) -> Out<'_, Option<ReasonRecord>> {
        self.read(move |c| query::events::reason_step(c, scope, run))
    }
}

impl LedgerLog for SqliteStore {
    fn entries(&self, scope: Scope, from: u64, limit: u32) -> Out<'_, Vec<StoredEntry>> {
        self.read(move |c| query::ledger::range(c, scope, from, limit))
    }
    fn entry(&self, scope: Scope, id: EntryId) -> Out<'_, Option<StoredEntry>> {
        self.read(move |c| query::ledger::get(c, scope, id))
    }
    fn entries_of(&self, scope: Scope, action: ActionId) -> Out<'_, Vec<StoredEntry>> {
        self.read(move |c| query::ledger::of_action(c, scope, action))
    }
    fn frontier(&self, scope: Scope) -> Out<'_, Frontier> {
        self.read(move |c| query::ledger::frontier(c, scope))
    }
    fn leaf_hashes(&self, scope: Scope, from: u64, to: u64) -> Out<'_, Vec<Digest>> {
        self.read(move |c| query::ledger::leaf_hashes(c, scope, from, to))
    }
    fn tiles(&self, scope: Scope, level: u8, from: u64, to: u64) -> Out<'_, Vec<Digest>> {
        self.read(move |c| query::ledger::tiles(c, scope, level, from, to))
    }
    fn subject_key(&self, scope: Scope, key_id: [u8; 16]) -> Out<'_, Option<SubjectKeyRow>> {
        self.read(move |c| query::ledger::subject_key(c, scope, key_id))
    }
    fn checkpoint(&self, scope: Scope) -> Out<'_, Option<String>> {
        self.read(move |c| query::ledger::checkpoint(c, scope))
    }
    fn put_checkpoint(&self, scope: Scope, size: u64, signed: String) -> Out<'_, ()> {
        self.write(move |tx| {
            let Some((log, _)) = crate::tx::find_log(tx.connection(), scope)? else { return Err(StoreError::NotFound) };
            tx.run(
                "INSERT INTO checkpoints (log, size, signed) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                rusqlite::params![log, int(size), signed],
            )?;
            Ok(())
        })
    }
}

impl Registry for SqliteStore {
    fn config_rev(&self) -> Out<'_, ConfigRev> {
        self.write(|tx| ingest::current_rev(tx))
    }
    fn deploy(&self, scope: Scope, deploy: Deploy) -> Out<'_, ConfigRev> {
        self.write(move |tx| registry::deploy(tx, scope, &deploy))
    }
    fn active_bundle(&self, scope: Scope) -> Out<'_, Option<Digest>> {
        self.read(move |c| query::registry::active_bundle(c, scope))
    }
    fn artifact(&self, digest: Digest) -> Out<'_, Option<Vec<u8>>> {
        self.read(move |c| query::registry::artifact(c, digest))
    }
    fn set_status(&self, scope: Scope, kind: String, name: String, status: String, entry: NewEntry) -> Out<'_, ConfigRev> {
        self.write(move |tx| registry::set_status(tx, scope, &kind, &name, &status, &entry))
    }
    fn statuses(&self, scope: Scope) -> Out<'_, Vec<(String, String, String)>> {
        self.read(move |c| query::registry::statuses(c, scope))
    }
    fn put_secret(&self, scope: Scope, secret: SecretCiphertext, entry: NewEntry, at: Timestamp) -> Out<'_, ()> {
        self.write(move |tx| registry::put_secret(tx, scope, &secret, &entry, at))
    }
    fn remove_secret(&self, scope: Scope, name: String, entry: NewEntry) -> Out<'_, bool> {
        self.write(move |tx| registry::remove_secret(tx, scope, &name, &entry))
    }
    fn secret_row(&self, scope: Scope, name: String) -> Out<'_, Option<SecretCiphertext>> {
        self.read(move |c| query::registry::secret(c, scope, &name))
    }
    fn secrets(&self, scope: Scope) -> Out<'_, Vec<(String, u32, Timestamp)>> {
        self.read(move |c| query::registry::secrets(c, scope))
    }
    fn tenant_key(&self, scope: Scope) -> Out<'_, Option<WrappedTenantKey>> {
        self.read(move |c| query::registry::tenant_key(c, scope))
    }
    fn put_tenant_key(&self, scope: Scope, key: WrappedTenantKey) -> Out<'_, ()> {
        self.write(move |tx| registry::put_tenant_key(tx, scope, &key))
    }
    fn put_api_key(&self, key: ApiKeyRecord, entry: NewEntry) -> Out<'_, ()> {
        self.write(move |tx| registry::put_api_key(tx, &key, &entry))
    }
    fn api_keys(&self) -> Out<'_, Vec<ApiKeyRecord>> {
        self.read(query::registry::api_keys)
    }
    fn revoke_api_key(&self, scope: Scope, id: KeyId, at: Timestamp, entry: NewEntry) -> Out<'_, bool> {
        self.write(move |tx| registry::revoke_api_key(tx, scope, id, at, &entry))
    }
}

impl Lists for SqliteStore {
    fn list_events(&self, scope: Scope, filter: EventFilter, page: Page) -> ListOut<'_, Event> {
        self.walk(move |c| query::lists::events(c, scope, &filter, page))
    }
    fn list_runs(&self, scope: Scope, filter: RunFilter, page: Page) -> ListOut<'_, RunRecord> {
        self.walk(move |c| query::lists::runs(c, scope, &filter, page))
    }
    fn run(&self, scope: Scope, id: RunId) -> Out<'_, Option<RunRecord>> {
        self.read(move |c| query::lists::run(c, scope, id))
    }
    fn actions_of(&self, scope: Scope, run: RunId) -> Out<'_, Vec<ActionRecord>> {
        self.read(move |c| query::lists::actions_of(c, scope, run))
    }
    fn list_actions(&self, scope: Scope, filter: ActionFilter, page: Page) -> ListOut<'_, ActionRecord> {
        self.walk(move |c| query::lists::list_actions(c, scope, &filter, page))
    }
    fn list_approvals(&self, scope: Scope, filter: ApprovalFilter, page: Page) -> ListOut<'_, ApprovalRecord> {
        self.walk(move |c| query::lists::list_approvals(c, scope, &filter, page))
    }
    fn list_entries(&self, scope: Scope, filter: EntryFilter, page: Page) -> ListOut<'_, StoredEntry> {
        self.walk(move |c| query::lists::list_entries(c, scope, &filter, page))
    }
    fn list_replays(&self, scope: Scope, page: Page) -> ListOut<'_, ReplayState> {
        self.walk(move |c| query::lists::list_replays(c, scope, page))
    }
    fn replay(&self, scope: Scope, id: ReplayId) -> Out<'_, Option<ReplayState>> {
        self.read(move |c| query::lists::replay(c, scope, id))
    }
}
