//! The Cedar schema of a set of tools: one action per tool, groups over them, and the context each is judged in.
//! Must not know policies.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use tollgate_core::spec::{Effect, ToolSpec};

use crate::hierarchy::Hierarchy;
use crate::names::{self, ENTITY, OPERATOR, SERVICE_ACCOUNT, STANDARD_CLASSES, SYSTEM};
use crate::shape::{self, Field};

/// What the tools look like to Cedar.
pub(crate) struct Generated {
    /// Cedar's JSON schema.
    pub(crate) json: Value,
    /// Shape of the arguments, by tool.
    pub(crate) inputs: BTreeMap<String, BTreeMap<String, Field>>,
    /// Tool, path, why.
    pub(crate) unmapped: Vec<(String, String, String)>,
    pub(crate) hierarchy: Hierarchy,
}

/// Generates it. The message names a tool whose name is also a group's.
pub(crate) fn generate(tools: &BTreeMap<String, ToolSpec>) -> Result<Generated, String> {
    let mut groups: BTreeSet<String> = [Effect::Read, Effect::Write].iter().map(|e| e.as_str().to_owned()).collect();
    groups.extend(STANDARD_CLASSES.iter().map(|c| names::class_group(c)));
    groups.extend(tools.values().flat_map(names::groups_of));

    let mut out = Generated { json: Value::Null, inputs: BTreeMap::new(), unmapped: Vec::new(), hierarchy: Hierarchy::default() };
    let mut actions: Map<String, Value> = groups.iter().map(|g| (g.clone(), json!({}))).collect();
    for tool in tools.values() {
        let name = &tool.name;
        if groups.contains(name) {
            return Err(format!("the tool `{name}` has the name of an action group: rename it"));
        }
        let (fields, unmapped) = shape::of_input(&tool.input);
        actions.insert(name.clone(), action(tool, &fields));
        out.hierarchy.actions.insert(name.clone(), names::groups_of(tool).into_iter().collect());
        out.inputs.insert(name.clone(), fields);
        out.unmapped.extend(unmapped.into_iter().map(|u| (name.clone(), u.path, u.why)));
    }
    let entities: Map<String, Value> = [OPERATOR, SERVICE_ACCOUNT, SYSTEM, ENTITY].iter().map(|t| ((*t).to_owned(), json!({}))).collect();
    out.json = json!({"": {"entityTypes": entities, "actions": actions}});
    Ok(out)
}

fn action(tool: &ToolSpec, fields: &BTreeMap<String, Field>) -> Value {
    let groups: Vec<Value> = names::groups_of(tool).into_iter().map(|g| json!({"id": g})).collect();
    json!({
        "memberOf": groups,
        "appliesTo": {
            "principalTypes": [OPERATOR, SERVICE_ACCOUNT, SYSTEM],
            "resourceTypes": [ENTITY],
            "context": {"type": "Record", "attributes": {
                "args": shape::record_type(fields),
                "value": {"type": "Record", "required": false, "attributes": {
                    "amount_minor": {"type": "Long"}, "unit": {"type": "String"},
                }},
                "classes": {"type": "Set", "element": {"type": "String"}},
                "effect": {"type": "String"},
                "grade": {"type": "String"},
            }},
        },
    })
}
