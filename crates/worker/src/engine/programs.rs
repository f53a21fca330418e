//! Compiled graphs, kept by content address. Must not know the language of their expressions.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tollgate_core::graph::GraphSpec;
use tollgate_core::hash::Digest;
use tollgate_core::ports::{Compute, Program};

/// Programs kept: those that runs of this worker are pinned to.
const KEPT_MAX: usize = 256;

/// Compiled graphs of one process.
#[derive(Clone)]
pub struct Graphs {
    compute: Arc<dyn Compute>,
    known: Arc<Mutex<BTreeMap<Digest, Arc<dyn Program>>>>,
    retries_max: u32,
}

impl Graphs {
    /// Over a compiler.
    pub fn new(compute: Arc<dyn Compute>) -> Self {
        Self { compute, known: Arc::default(), retries_max: u32::MAX }
    }

    /// `WORKER_MAX_RETRIES`: no node is tried again more often, whatever its spec says.
    #[must_use]
    pub fn with_retries_max(mut self, retries_max: u32) -> Self {
        self.retries_max = retries_max;
        self
    }

    pub(super) const fn retries_max(&self) -> u32 {
        self.retries_max
    }

    /// A program that was compiled before.
    pub(super) fn known(&self, digest: Digest) -> Option<Arc<dyn Program>> {
        self.known.lock().get(&digest).cloned()
    }

    /// Keeps a program that was compiled elsewhere, in the place of any other of its graph.
    pub fn keep(&self, program: Arc<dyn Program>) {
        self.known.lock().insert(program.plan().digest(), program);
    }

    /// Compiles a graph, once.
    ///
    /// # Errors
    /// Its faults, in words.
    pub fn compile(&self, spec: GraphSpec) -> Result<Arc<dyn Program>, String> {
        let digest = spec.digest();
        if let Some(found) = self.known(digest) {
            return Ok(found);
        }
        let program = self.compute.compile(spec)?;
        let mut known = self.known.lock();
        while known.len() >= KEPT_MAX {
            known.pop_first();
        }
        known.insert(digest, Arc::clone(&program));
        Ok(program)
    }
}
