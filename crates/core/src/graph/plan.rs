//! A graph compiled: steps as places, with what each waits for, reads and frees. Made once per spec, shared by all its runs.

use std::sync::Arc;

use super::check::{GraphFault, References, check};
use super::order::reversed;
use super::spec::{GraphSpec, StepSpec};
use crate::hash::Digest;

/// A graph without faults, ready to run.
#[derive(Debug)]
pub struct GraphPlan {
    spec: GraphSpec,
    digest: Digest,
    depends_on: Vec<Vec<usize>>,
    dependents: Vec<Vec<usize>>,
    reads: Vec<Vec<usize>>,
    order: Vec<usize>,
}

impl GraphPlan {
    /// Checks and compiles a graph.
    ///
    /// # Errors
    /// Every fault, as [`GraphSpec::validate`] gives them.
    pub fn compile(spec: GraphSpec, references: &mut References<'_>) -> Result<Arc<Self>, Vec<GraphFault>> {
        let checked = check(&spec, references);
        if !checked.faults.is_empty() {
            return Err(checked.faults);
        }
        Ok(Arc::new(Self {
            digest: spec.digest(),
            dependents: reversed(&checked.depends_on),
            depends_on: checked.depends_on,
            reads: checked.reads,
            order: checked.order,
            spec,
        }))
    }

    /// What it was made of.
    pub const fn spec(&self) -> &GraphSpec {
        &self.spec
    }

    /// The content address of the spec.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// How many steps it has: at least one.
    #[expect(clippy::len_without_is_empty, reason = "a plan is never empty")]
    pub const fn len(&self) -> usize {
        self.spec.steps.len()
    }

    /// A step.
    pub fn step(&self, step: usize) -> Option<&StepSpec> {
        self.spec.steps.get(step)
    }

    /// What must be done before a step starts.
    pub fn depends_on(&self, step: usize) -> &[usize] {
        self.depends_on.get(step).map_or(&[], Vec::as_slice)
    }

    /// The steps that wait for a step.
    pub fn dependents(&self, step: usize) -> &[usize] {
        self.dependents.get(step).map_or(&[], Vec::as_slice)
    }

    /// The steps whose outputs a step reads: these, and no others, are loaded for it.
    pub fn reads(&self, step: usize) -> &[usize] {
        self.reads.get(step).map_or(&[], Vec::as_slice)
    }

    /// Every step after all that it depends on.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// Whether a step's failure lets the steps go on that depend on it.
    pub fn continues(&self, step: usize) -> bool {
        self.step(step).is_some_and(StepSpec::continues)
    }
}
