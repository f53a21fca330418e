//! A running node with a server and an upstream, in a folder of its own on the disk that is measured.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::routing::post;
use axum::{Json, Router};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tollgate_core::gate::KeyLook;
use tollgate_core::id::{ActionId, ApprovalId, RunId};
use tollgate_core::ports::{
    ActionRecord, Answered, ApprovalRecord, Approve, AskApproval, BeginAttempt, Begun, Block, BoxFuture, Defer, Desk, Dispose, Disposed,
    Effects, Lease, NewEntry, PlanOutcome, Resolve, StoreError, StorePlan, SubmitAction, Submitted,
};
use tollgate_core::scope::{Mode, Scope};
use tollgate_core::time::Timestamp;
use tollgate_worker::Options;

use super::ground::Ground;
use super::spec::bundle;
use crate::failure::Failure;
use crate::node::{Meter, Node, Place, Private, Setup, actor, assemble};

/// Who waits for which unit of work.
#[derive(Default)]
pub struct Waiting {
    by_key: Mutex<BTreeMap<String, oneshot::Sender<()>>>,
    by_run: Mutex<BTreeMap<RunId, String>>,
}

impl Waiting {
    /// Resolves when the receipt of the action with this key is durable.
    pub fn on(&self, key: String) -> oneshot::Receiver<()> {
        let (done, wait) = oneshot::channel();
        self.by_key.lock().insert(key, done);
        wait
    }

    fn planned(&self, run: RunId, outcome: &PlanOutcome) {
        if let PlanOutcome::Proposed(actions) = outcome
            && let Some(key) = actions.first().and_then(|a| a.proposal.idempotency_key.clone())
        {
            self.by_run.lock().insert(run, key);
        }
    }

    fn disposed(&self, run: RunId) {
        let key = self.by_run.lock().remove(&run);
        if let Some(done) = key.and_then(|k| self.by_key.lock().remove(&k)) {
            // Whoever waited may have gone.
            let _ = done.send(());
        }
    }
}

/// Effects that tell when a receipt is durable.
struct Watched {
    inner: Arc<dyn Effects>,
    waiting: Arc<Waiting>,
}

type Out<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

impl Effects for Watched {
    fn store_plan(&self, c: StorePlan) -> Out<'_, Disposed> {
        self.waiting.planned(c.run, &c.outcome);
        self.inner.store_plan(c)
    }
    fn dispose(&self, c: Dispose) -> Out<'_, Disposed> {
        Box::pin(async move {
            let run = c.run;
            let disposed = self.inner.dispose(c).await?;
            self.waiting.disposed(run);
            Ok(disposed)
        })
    }
    fn submit(&self, c: SubmitAction) -> Out<'_, Submitted> {
        self.inner.submit(c)
    }
    fn look_at_key(&self, scope: Scope, action: ActionId, lease: Lease) -> Out<'_, KeyLook> {
        self.inner.look_at_key(scope, action, lease)
    }
    fn begin(&self, c: BeginAttempt) -> Out<'_, Begun> {
        self.inner.begin(c)
    }
    fn defer(&self, c: Defer) -> Out<'_, ()> {
        self.inner.defer(c)
    }
    fn block(&self, c: Block) -> Out<'_, ()> {
        self.inner.block(c)
    }
    fn wake_blocked(&self) -> Out<'_, u32> {
        self.inner.wake_blocked()
    }
    fn ask_approval(&self, c: AskApproval) -> Out<'_, ()> {
        self.inner.ask_approval(c)
    }
    fn approve(&self, c: Approve) -> Out<'_, Answered> {
        self.inner.approve(c)
    }
    fn resolve(&self, c: Resolve) -> Out<'_, Disposed> {
        self.inner.resolve(c)
    }
    fn append(&self, scope: Scope, entry: NewEntry) -> Out<'_, ()> {
        self.inner.append(scope, entry)
    }
    fn cancel_run(&self, scope: Scope, run: RunId, at: Timestamp) -> Out<'_, Vec<ActionId>> {
        self.inner.cancel_run(scope, run, at)
    }
    fn lift_denial(&self, scope: Scope, action: ActionId, entry: NewEntry) -> Out<'_, bool> {
        self.inner.lift_denial(scope, action, entry)
    }
    fn action(&self, scope: Scope, id: ActionId) -> Out<'_, Option<ActionRecord>> {
        self.inner.action(scope, id)
    }
    fn approval(&self, scope: Scope, id: ApprovalId) -> Out<'_, Option<ApprovalRecord>> {
        self.inner.approval(scope, id)
    }
    fn lapsed_approvals(&self, limit: u32) -> Out<'_, Vec<(Scope, ApprovalId)>> {
        self.inner.lapsed_approvals(limit)
    }
    fn consumed_output(&self, scope: Scope, by: ActionId) -> Out<'_, Option<ActionRecord>> {
        self.inner.consumed_output(scope, by)
    }
}

/// A running stage.
pub struct Stage {
    /// Where the server listens.
    pub addr: SocketAddr,
    /// A key for everything.
    pub key: String,
    /// The folder: on the disk that is measured.
    pub dir: PathBuf,
    /// Units under way.
    pub waiting: Arc<Waiting>,
    /// Calls that the upstream saw.
    pub calls: Arc<AtomicU64>,
    /// The Postgres database that everything is in, if any.
    pub private: Option<Private>,
    /// The bundle that is deployed.
    pub bundle: tollgate_core::hash::Digest,
    node: Node,
    stop: CancellationToken,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
    _folder: tempfile::TempDir,
}

impl Stage {
    /// Starts everything in a new folder below `dir`.
    pub async fn start(dir: &Path, ground: &Ground) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("tollgate-bench-").tempdir_in(dir)?;
        let calls = Arc::new(AtomicU64::new(0));
        let upstream = upstream(Arc::clone(&calls)).await?;
        let waiting = Arc::new(Waiting::default());
        let watch = Arc::clone(&waiting);
        let wrap = |inner| Arc::new(Watched { inner, waiting: watch }) as Arc<dyn Effects>;
        let private = ground.lay(folder.path()).await?;
        let place = private.as_ref().map_or(Place::Embedded, Private::place);
        let setup = Setup { place, ..Setup::embedded(&folder.path().join("data"), folder.path(), Options::default()) };
        let node = Node::open_with(&setup, wrap).await?;
        let assembled = assemble(Arc::new(bundle(upstream)), folder.path()).map_err(|f| Failure::plain(f.lines().join("\n")))?;
        node.deploy(&assembled).await?;
        let key = node.desk.issue_key(&actor(Mode::Live), "bench".to_owned(), vec!["*".to_owned()]).await?.text;
        node.service.start().await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (addr, stop) = (listener.local_addr()?, CancellationToken::new());
        let ended = stop.clone();
        let server = tokio::spawn(tollgate_server::serve(listener, node.router(&Meter::install()), async move { ended.cancelled().await }));
        let (dir, bundle) = (folder.path().to_owned(), assembled.bundle.digest);
        Ok(Self { addr, key, dir, waiting, calls, private, bundle, node, stop, server, _folder: folder })
    }

    /// What runs behind the server.
    pub const fn node(&self) -> &Node {
        &self.node
    }

    /// What the engine does of bare rows, in units of work a second.
    pub async fn floor(&self, rows: usize, group: usize) -> Result<f64, Failure> {
        match &self.private {
            None => super::floor::inserts(&self.dir, rows, group),
            Some(private) => super::floor_postgres::inserts(&private.admin, rows, group).await,
        }
    }

    /// Stops everything and keeps what is stored.
    pub async fn close(self) -> Remains {
        self.stop.cancel();
        // Its end is all that is waited for.
        let _ = self.server.await;
        self.node.service.stop().await;
        drop(self.node);
        Remains { dir: self.dir, private: self.private, _folder: self._folder }
    }

    /// Stops everything and removes the folder.
    pub async fn stop(self) {
        self.close().await.remove().await;
    }
}

/// What is stored when nothing runs.
pub struct Remains {
    /// The folder.
    pub dir: PathBuf,
    /// The Postgres database that everything is in, if any.
    pub private: Option<Private>,
    _folder: tempfile::TempDir,
}

impl Remains {
    /// Removes it.
    pub async fn remove(self) {
        if let Some(private) = self.private
            && let Err(e) = private.remove().await
        {
            tracing::error!(error = %e, "the benchmark's database is still there");
        }
    }
}

async fn upstream(calls: Arc<AtomicU64>) -> Result<SocketAddr, Failure> {
    let place = move |_: axum::body::Bytes| {
        let n = calls.fetch_add(1, Ordering::Relaxed);
        async move { Json(serde_json::json!({"ok": true, "n": n})) }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    let app = Router::new().route("/orders", post(place));
    // Without it every small answer waits for an acknowledgement.
    let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
        let _ = stream.set_nodelay(true);
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(addr)
}
