//! Runs of graphs.

use tollgate_core::graph::GraphSpec;
use tollgate_core::hash::Digest;
use tollgate_core::id::{RunId, SessionId};
use tollgate_core::ports::{Claimed, Disposed, FinishNode, GraphExec, Lease, NodeEnd, NodeRecord, StartGraph, Step};
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use super::Out;
use super::effects::handed_on;
use crate::backend::{Ordered, Store};
use crate::command::graph;
use crate::needs::Needs;
use crate::query;

fn held(scope: Scope, run: RunId, node: u32, lease: Lease) -> Needs {
    Needs::of(scope).graph(run).step(run, Step::Node(node)).session(lease.session)
}

impl<B: Ordered> GraphExec for Store<B> {
    fn start_graph(&self, c: StartGraph) -> Out<'_, Disposed> {
        let (to, of) = (c.claim, (c.scope, c.run));
        let done = self.engine.write(Needs::of(c.scope).session(c.claim), move |tx| graph::start(tx, &c));
        Box::pin(async move { handed_on(&self.engine, to, of, done.await?).await })
    }
    fn finish_node(&self, c: FinishNode) -> Out<'_, Disposed> {
        let mut needs = held(c.scope, c.run, c.node, c.lease).session(c.claim);
        if let NodeEnd::Acts(action) = &c.end {
            needs = needs.views(c.run).lane(action.lane);
        }
        let (to, of) = (c.claim, (c.scope, c.run));
        let done = self.engine.write(needs, move |tx| graph::finish(tx, &c));
        Box::pin(async move { handed_on(&self.engine, to, of, done.await?).await })
    }
    fn node_step(&self, scope: Scope, run: RunId) -> Out<'_, Option<NodeRecord>> {
        Box::pin(async move { Ok(query::graphs::gathered(self.engine.all(query::graphs::node(scope, run), scope).await?)) })
    }
    fn graph_spec(&self, scope: Scope, digest: Digest) -> Out<'_, Option<GraphSpec>> {
        self.engine.one(query::graphs::spec(scope, digest), scope)
    }
    fn blob(&self, scope: Scope, digest: Digest) -> Out<'_, Option<Vec<u8>>> {
        self.engine.one(query::graphs::blob(scope, digest), scope)
    }
    fn nodes_of(&self, scope: Scope, run: RunId, session: SessionId) -> Out<'_, Vec<Claimed>> {
        self.engine.all(query::graphs::held(scope, run, session), scope)
    }
    fn stop_graph(&self, scope: Scope, run: RunId, node: u32, lease: Lease, why: String) -> Out<'_, ()> {
        self.engine.write(held(scope, run, node, lease), move |tx| graph::stop(tx, scope, run, node, lease, &why))
    }
    fn resume_run(&self, scope: Scope, run: RunId, at: Timestamp) -> Out<'_, Disposed> {
        self.engine.write(Needs::of(scope).graph(run), move |tx| graph::resume(tx, scope, run, at))
    }
}
