//! Computes a recorded verdict again, offline, from what an export carries and nothing else. Made for files from
//! strangers: everything is bounded and nothing is taken for granted. Must not know the engine that decided.

use std::collections::BTreeSet;

use cedar_policy::{Authorizer, Entities, PolicySet, Schema};
use serde_json::Value;
use tollgate_core::spec::PolicySource;
use tollgate_core::verdict::{DecisionReason, Verdict};

use crate::engine::policy_set;
use crate::fault::PolicyFault;
use crate::hierarchy::Hierarchy;
use crate::judge::{Judged, judge};
use crate::limits;
use crate::names::{EVALUATOR, EVALUATOR_FAMILY, Types};
use crate::request::{build, clip, read};
use crate::sources::{self, LoadedSet};

/// A verdict as computed again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recomputed {
    /// ALLOW, REQUIRE_APPROVAL or BLOCK.
    pub verdict: Verdict,
    /// Ids of the determining policies, sorted.
    pub determining: Vec<String>,
    /// Why.
    pub reason: DecisionReason,
    /// The distinct queues that must approve, sorted.
    pub queues: Vec<String>,
}

/// Why a verdict cannot be computed again. None of these says that the recorded verdict is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecomputeError {
    /// The artifact is not one: the file is damaged or was not exported by this product.
    #[error("the policy artifact cannot be used: {0}")]
    Artifact(String),
    /// The artifact's evaluator is another: take a verifier of that release.
    #[error("the verdict was computed by `{0}`, and this verifier has {EVALUATOR}: use the release that wrote it")]
    Evaluator(String),
    /// A policy of the artifact does not load.
    #[error("a policy of the artifact cannot be used: {0}")]
    Policy(PolicyFault),
    /// The request is not one, or not one that these policies were written for.
    #[error("the recorded request cannot be used: {0}")]
    Request(String),
}

/// Computes one verdict again, from an exported artifact `{policies: [{path, text}], schema, evaluator}` and the request
/// of a decision. For many requests under one artifact, make one [`Recomputer`].
///
/// # Errors
/// When artifact or request cannot be used; the message names what is wrong.
pub fn recompute(artifact: &Value, request: &Value) -> Result<Recomputed, RecomputeError> {
    Recomputer::new(artifact)?.verdict(request)
}

/// An exported artifact, loaded.
pub struct Recomputer {
    types: Types,
    authorizer: Authorizer,
    schema: Schema,
    hierarchy: Hierarchy,
    entities: Entities,
    loaded: LoadedSet,
    /// Not sliced: an independent check of the slices that decided.
    policies: PolicySet,
}

impl Recomputer {
    /// Loads an artifact.
    ///
    /// # Errors
    /// When it cannot be used; the message names what is wrong.
    pub fn new(artifact: &Value) -> Result<Self, RecomputeError> {
        let map = artifact.as_object().ok_or_else(|| bad("it is not an object"))?;
        if let Some(odd) = map.keys().find(|k| !["policies", "schema", "evaluator"].contains(&k.as_str())) {
            return Err(bad(&format!("it has an unknown member `{}`", clip(odd))));
        }
        let evaluator = map.get("evaluator").and_then(Value::as_str).ok_or_else(|| bad("it has no `evaluator`"))?;
        if !evaluator.starts_with(EVALUATOR_FAMILY) {
            return Err(RecomputeError::Evaluator(clip(evaluator)));
        }
        let schema = map.get("schema").ok_or_else(|| bad("it has no `schema`"))?;
        limits::check(schema, "its schema", limits::SCHEMA_NODES, limits::SCHEMA_BYTES).map_err(|e| bad(&e))?;
        let hierarchy = hierarchy(schema).map_err(|e| bad(&e))?;
        let schema =
            Schema::from_json_value(schema.clone()).map_err(|e| bad(&format!("its schema is not valid: {}", clip(&e.to_string()))))?;
        let sources = policy_sources(map.get("policies")).map_err(|e| bad(&e))?;
        let loaded = sources::load(&sources).map_err(|faults| match faults.into_iter().min() {
            Some(fault) => RecomputeError::Policy(fault),
            None => bad("its policies do not load"),
        })?;
        let types = Types::new().map_err(|e| bad(&e))?;
        let entities = hierarchy.entities(&types).map_err(|e| bad(&e))?;
        let policies = policy_set(loaded.values().map(|l| &l.policy)).map_err(|e| bad(&e))?;
        Ok(Self { types, authorizer: Authorizer::new(), schema, hierarchy, entities, loaded, policies })
    }

    /// Computes one verdict again.
    ///
    /// # Errors
    /// When the request cannot be used; the message names what is wrong.
    pub fn verdict(&self, request: &Value) -> Result<Recomputed, RecomputeError> {
        let recorded = read(request, &self.types).map_err(RecomputeError::Request)?;
        let judged = match recorded.unfit {
            // What could not be shown to policies is closed, and the record says why; there is nothing to evaluate.
            Some(why) => Judged::closed(why.to_owned()),
            None => {
                if !self.hierarchy.actions.contains_key(recorded.action.id().unescaped()) {
                    return Err(RecomputeError::Request(format!(
                        "`{}` is not an action of the schema",
                        clip(&recorded.action.to_string())
                    )));
                }
                let request = build(recorded.principal, recorded.action, recorded.resource, recorded.context, Some(&self.schema))
                    .map_err(|e| RecomputeError::Request(clip(&e)))?;
                judge(&self.authorizer, &request, &self.policies, &self.entities, &self.loaded)
            }
        };
        Ok(Recomputed { verdict: judged.verdict, determining: judged.determining, reason: judged.reason, queues: judged.queues })
    }
}

fn bad(why: &str) -> RecomputeError {
    RecomputeError::Artifact(why.to_owned())
}

fn policy_sources(policies: Option<&Value>) -> Result<Vec<PolicySource>, String> {
    let list = policies.and_then(Value::as_array).ok_or("it has no list of `policies`")?;
    if list.len() > limits::FILES {
        return Err(format!("it has more than {} policy files", limits::FILES));
    }
    let one = |(i, policy): (usize, &Value)| {
        let text = |name: &str| policy.get(name).and_then(Value::as_str).map(str::to_owned);
        match (text("path"), text("text"), policy.as_object().map(serde_json::Map::len)) {
            (Some(path), Some(text), Some(2)) => Ok(PolicySource { path, text }),
            _ => Err(format!("`policies[{i}]` is not `{{path, text}}`")),
        }
    };
    list.iter().enumerate().map(one).collect()
}

/// Reads actions and groups, and refuses every form of schema that we do not write: common types could expand without
/// bound, and other namespaces or deeper groups would not be evaluated as they read.
fn hierarchy(schema: &Value) -> Result<Hierarchy, String> {
    let namespaces = schema.as_object().ok_or("its schema is not an object")?;
    let (Some(Value::Object(main)), 1) = (namespaces.get(""), namespaces.len()) else {
        return Err("its schema does not have the one unnamed namespace".to_owned());
    };
    if let Some(odd) = main.keys().find(|k| !["entityTypes", "actions"].contains(&k.as_str())) {
        return Err(format!("its schema has the unknown member `{}`", clip(odd)));
    }
    let actions = main.get("actions").and_then(Value::as_object).ok_or("its schema has no `actions`")?;
    let mut hierarchy = Hierarchy::default();
    for (name, action) in actions {
        let groups = action.get("memberOf").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut parents = BTreeSet::new();
        for group in groups {
            let id = group.get("id").and_then(Value::as_str).filter(|_| group.as_object().is_some_and(|g| g.len() == 1));
            let id = id.ok_or_else(|| format!("the groups of `{}` in its schema are not `{{id}}`", clip(name)))?;
            if actions.get(id).is_none_or(|g| g.get("memberOf").is_some()) {
                return Err(format!("`{}` in its schema is in `{}`, which is not a group", clip(name), clip(id)));
            }
            parents.insert(id.to_owned());
        }
        if action.get("appliesTo").is_some() {
            hierarchy.actions.insert(name.clone(), parents);
        }
    }
    Ok(hierarchy)
}
