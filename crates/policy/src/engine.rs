//! The policies of one bundle, compiled: validated, sliced per action, ready to decide. Must not know exports.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cedar_policy::{Authorizer, Entities, EntityUid, PolicySet, Schema};
use serde_json::{Map, Value, json};
use tollgate_core::canon::{INTEGER_MAX, canonical};
use tollgate_core::hash::Digest;
use tollgate_core::ports::PolicyEngine;
use tollgate_core::spec::{PolicySource, ToolSpec};
use tollgate_core::verdict::{Decision, PolicyRequest};

use crate::fault::PolicyFault;
use crate::hierarchy::Hierarchy;
use crate::judge::{Judged, judge};
use crate::names::{EVALUATOR, Types};
use crate::shape::{Field, of_input};
use crate::sources::{self, LoadedSet};
use crate::validate::World;
use crate::{limits, request, schema, walk};

/// The domain of [`Decision::determining_text`].
const TEXT_DOMAIN: &str = "tollgate/determining-policies/v1";

/// The policies of one bundle, compiled.
pub struct Policies {
    types: Types,
    authorizer: Authorizer,
    entities: Entities,
    loaded: LoadedSet,
    actions: HashMap<String, Action>,
    schema: Value,
    artifact: Value,
    version: Digest,
    unmapped: Vec<(String, String, String)>,
    warnings: Vec<PolicyFault>,
}

/// What is known of a tool before it is called.
struct Action {
    uid: EntityUid,
    /// The uid as recorded.
    text: String,
    tool: ToolSpec,
    fields: BTreeMap<String, Field>,
    classes: Value,
    slice: Arc<PolicySet>,
}

impl Policies {
    /// Compiles policy files against the tools and operators of a bundle.
    ///
    /// # Errors
    /// Every fault found, in order of path and place.
    pub fn compile<'a>(
        sources: &[PolicySource],
        tools: &BTreeMap<String, ToolSpec>,
        operators: impl Iterator<Item = &'a str>,
    ) -> Result<Self, Vec<PolicyFault>> {
        let whole = |message: String| vec![PolicyFault::whole("policies", message, None)];
        let of_tools = |message: String| vec![PolicyFault::whole("tools", message, None)];
        let mut sources = sources.to_vec();
        sources.sort_by(|a, b| a.path.cmp(&b.path));
        let types = Types::new().map_err(whole)?;
        let generated = schema::generate(tools).map_err(of_tools)?;
        limits::check(&generated.json, "the schema of the tools", limits::SCHEMA_NODES, limits::SCHEMA_BYTES).map_err(of_tools)?;
        let cedar = Schema::from_json_value(generated.json.clone()).map_err(|e| of_tools(format!("they have no schema: {e}")))?;
        let (loaded, mut faults) = sources::read(&sources);
        let all = policy_set(loaded.values().map(|l| &l.policy)).map_err(whole)?;
        let names = generated.hierarchy.actions.iter().flat_map(|(action, groups)| groups.iter().chain([action]));
        let world = World {
            sources: &sources,
            operators: operators.collect(),
            actions: names.map(String::as_str).collect(),
            unmapped: &generated.unmapped,
            types: &types,
        };
        let findings = world.validate(&loaded, &all, cedar);
        faults.extend(findings.faults);
        if !faults.is_empty() {
            return Err(sorted(faults));
        }
        let entities = generated.hierarchy.entities(&types).map_err(whole)?;
        let actions = actions(tools, generated.inputs, &generated.hierarchy, &loaded, &types).map_err(whole)?;
        let texts: Vec<Value> = sources.iter().map(|s| json!({"path": s.path, "text": s.text})).collect();
        let artifact = json!({"policies": texts, "schema": generated.json, "evaluator": EVALUATOR});
        let version = Digest::of(&canonical(&artifact).map_err(|e| whole(e.to_string()))?);
        Ok(Self {
            types,
            authorizer: Authorizer::new(),
            entities,
            loaded,
            actions,
            schema: generated.json,
            artifact,
            version,
            unmapped: generated.unmapped,
            warnings: findings.warnings,
        })
    }

    /// What policies cannot see: tool, path below `args`, and why. For the deploy report.
    pub fn unmapped_paths(&self) -> &[(String, String, String)] {
        &self.unmapped
    }

    /// The schema that policies were validated against, as Cedar's JSON.
    pub const fn schema_json(&self) -> &Value {
        &self.schema
    }

    /// What is valid and yet suspicious, such as a policy that can never apply. For the deploy report.
    pub fn warnings(&self) -> &[PolicyFault] {
        &self.warnings
    }

    /// Judges a request that fits, and says what to record.
    fn judged(&self, asked: &PolicyRequest<'_>) -> (Judged, Value) {
        let principal = self.types.principal(asked.principal);
        let resource = self.types.entity(asked.entity_key.unwrap_or(&asked.tool.connector));
        let record = |action: &str, context: Value| {
            Map::from_iter([
                ("principal".to_owned(), Value::from(principal.to_string())),
                ("action".to_owned(), Value::from(action)),
                ("resource".to_owned(), Value::from(resource.to_string())),
                ("context".to_owned(), context),
            ])
        };
        let closed = |mut recorded: Map<String, Value>, why: String| {
            recorded.insert("unfit".to_owned(), Value::from(why.clone()));
            (Judged::closed(why), Value::Object(recorded))
        };
        let Some(action) = self.actions.get(&asked.tool.name) else {
            let name = self.types.action(&asked.tool.name).to_string();
            return closed(record(&name, json!({})), format!("the tool `{}` is not among the deployed ones", asked.tool.name));
        };
        let context = match context(action, asked) {
            Ok(context) => context,
            Err(why) => return closed(record(&action.text, json!({})), why),
        };
        let recorded = Value::Object(record(&action.text, context));
        if let Err(why) = limits::check(&recorded, "the call", limits::REQUEST_NODES, limits::REQUEST_BYTES) {
            return closed(record(&action.text, json!({})), why);
        }
        let context = recorded.get("context").unwrap_or(&Value::Null);
        // The walk is directed by the schema, so that asking the schema again would only cost time.
        match request::build(principal.clone(), action.uid.clone(), resource.clone(), context, None) {
            Ok(request) => (judge(&self.authorizer, &request, &action.slice, &self.entities, &self.loaded), recorded),
            Err(why) => closed(record(&action.text, json!({})), why),
        }
    }

    /// Binds approvals to the ids and texts of what determined a verdict.
    fn text_digest(&self, determining: &[String]) -> Digest {
        let known = determining.iter().filter_map(|id| Some((id, self.loaded.get(id)?)));
        let parts: Vec<&[u8]> = known.flat_map(|(id, policy)| [id.as_bytes(), policy.text.as_bytes()]).collect();
        Digest::of_parts(TEXT_DOMAIN, &parts)
    }
}

impl PolicyEngine for Policies {
    fn decide(&self, request: &PolicyRequest<'_>) -> Decision {
        let (judged, recorded) = self.judged(request);
        Decision {
            verdict: judged.verdict,
            determining_text: self.text_digest(&judged.determining),
            determining: judged.determining,
            reason: judged.reason,
            detail: judged.detail,
            queues: judged.queues,
            policy_version: self.version,
            request: recorded,
        }
    }

    fn version(&self) -> Digest {
        self.version
    }

    fn artifact(&self) -> &Value {
        &self.artifact
    }
}

/// What the action is judged in.
fn context(action: &Action, asked: &PolicyRequest<'_>) -> Result<Value, String> {
    same_tool(action, asked.tool)?;
    let mut context = Map::new();
    context.insert("args".to_owned(), walk::args(&action.fields, asked.args).map_err(|e| e.message())?);
    if let Some(value) = asked.value {
        if value.amount_minor.unsigned_abs() > INTEGER_MAX {
            return Err(format!("`value.amount_minor` is {}, beyond 2^53: use a larger unit", value.amount_minor));
        }
        context.insert("value".to_owned(), json!({"amount_minor": value.amount_minor, "unit": value.unit}));
    }
    context.insert("classes".to_owned(), action.classes.clone());
    context.insert("effect".to_owned(), Value::from(action.tool.effect.as_str()));
    context.insert("grade".to_owned(), Value::from(action.tool.grade.as_str()));
    Ok(Value::Object(context))
}

/// A run keeps the tools it began with, policies never. Where a deployment has since changed what policies see of a tool,
/// today's policies would judge a call that is not the one made: closed.
fn same_tool(action: &Action, tool: &ToolSpec) -> Result<(), String> {
    let now = &action.tool;
    let same = now.effect == tool.effect
        && now.grade == tool.grade
        && now.connector == tool.connector
        && now.classes == tool.classes
        && (now.input == tool.input || of_input(&tool.input).0 == action.fields);
    if same {
        return Ok(());
    }
    Err(format!("the tool `{}` was changed by a deployment after this action was planned: replay its event", tool.name))
}

/// One policy set per action; actions that the same policies concern share theirs.
fn actions(
    tools: &BTreeMap<String, ToolSpec>,
    mut inputs: BTreeMap<String, BTreeMap<String, Field>>,
    hierarchy: &Hierarchy,
    loaded: &LoadedSet,
    types: &Types,
) -> Result<HashMap<String, Action>, String> {
    let mut slices: HashMap<Vec<&str>, Arc<PolicySet>> = HashMap::new();
    let mut actions = HashMap::with_capacity(tools.len());
    for tool in tools.values() {
        let concerned = loaded.iter().filter(|(_, l)| hierarchy.concerns(&l.policy, &tool.name, types));
        let (ids, policies): (Vec<&str>, Vec<_>) = concerned.map(|(id, l)| (id.as_str(), &l.policy)).unzip();
        let slice = match slices.get(&ids) {
            Some(slice) => Arc::clone(slice),
            None => Arc::new(policy_set(policies.into_iter())?),
        };
        slices.insert(ids, Arc::clone(&slice));
        let uid = types.action(&tool.name);
        let action = Action {
            text: uid.to_string(),
            uid,
            tool: tool.clone(),
            fields: inputs.remove(&tool.name).unwrap_or_default(),
            classes: tool.classes.iter().map(String::as_str).collect(),
            slice,
        };
        actions.insert(tool.name.clone(), action);
    }
    Ok(actions)
}

/// A set of policies that already carry their own ids.
pub(crate) fn policy_set<'a>(policies: impl Iterator<Item = &'a cedar_policy::Policy>) -> Result<PolicySet, String> {
    PolicySet::from_policies(policies.cloned()).map_err(|e| format!("the policies do not form a set: {e}"))
}

fn sorted(mut faults: Vec<PolicyFault>) -> Vec<PolicyFault> {
    faults.sort();
    faults
}
