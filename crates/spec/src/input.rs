//! Input schemas: what is wrong with one, and what it becomes when objects that say nothing are closed. Must not know tools.

use jsonschema::PatternOptions;
use serde_json::{Map, Value, json};

use crate::fault::Fault;
use crate::locate;
use crate::nearest::nearest;
use crate::node::{Data, Node, short};

/// Keywords beside which `additionalProperties: false` would refuse what another branch allows.
const COMBINING: &[&str] =
    &["allOf", "anyOf", "oneOf", "not", "if", "then", "else", "$ref", "$dynamicRef", "dependentSchemas", "unevaluatedProperties"];

/// The keywords of 2020-12.
const KEYWORDS: &[&str] = &[
    "$anchor",
    "$comment",
    "$defs",
    "$dynamicAnchor",
    "$dynamicRef",
    "$id",
    "$ref",
    "$schema",
    "$vocabulary",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "contains",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "default",
    "dependentRequired",
    "dependentSchemas",
    "deprecated",
    "description",
    "else",
    "enum",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "if",
    "items",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "oneOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "properties",
    "propertyNames",
    "readOnly",
    "required",
    "then",
    "title",
    "type",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
    "writeOnly",
];

/// The schema with every object closed that lists its properties and says nothing of others. Objects that combine schemas, and
/// those under `$defs`, are left as they are: whether they may be closed depends on what they are combined with.
pub(crate) fn closed(schema: Option<&Value>) -> Value {
    let mut schema = schema.cloned().unwrap_or_else(|| json!({"type": "object", "properties": {}}));
    if let Value::Object(map) = &mut schema
        && !map.contains_key("properties")
        && open(map)
    {
        map.insert("properties".to_owned(), json!({}));
    }
    close(&mut schema);
    schema
}

fn open(map: &Map<String, Value>) -> bool {
    !["additionalProperties", "patternProperties"].iter().chain(COMBINING).any(|k| map.contains_key(*k))
}

fn close(schema: &mut Value) {
    let Value::Object(map) = schema else { return };
    if map.get("properties").is_some_and(Value::is_object) && open(map) {
        map.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        properties.values_mut().for_each(close);
    }
    if let Some(Value::Array(items)) = map.get_mut("prefixItems") {
        items.iter_mut().for_each(close);
    }
    for key in ["items", "additionalProperties"] {
        map.get_mut(key).into_iter().for_each(close);
    }
}

/// Every fault of a schema; of an `input` also that it is an object's.
pub(crate) fn check(file: &str, field: &str, node: &Node, faults: &mut Vec<Fault>) {
    if !matches!(node.data, Data::Map(_)) {
        return;
    }
    let before = faults.len();
    keywords(file, node, faults);
    let value = node.to_json();
    if faults.len() == before {
        meta(file, field, node, &value, faults);
    }
    if field != "input" || faults.len() > before {
        return;
    }
    match node.entry("type") {
        None => {
            let fault = Fault::at(file, node.at, "an input schema describes an object: it needs `type: object`");
            faults.push(fault.help("tools take named arguments"));
        }
        Some(e) if e.value.text() != Some("object") => {
            let message = format!("an input schema describes an object: `type` must be `object`, not {}", e.value.describe());
            faults.push(Fault::at(file, e.value.at, message).help("tools take named arguments"));
        }
        Some(_) => {}
    }
}

/// The standard's own schema, then what only a validator finds: references that lead nowhere, patterns that do not compile.
fn meta(file: &str, field: &str, node: &Node, value: &Value, faults: &mut Vec<Fault>) {
    let meta = jsonschema::draft202012::meta::validator();
    let mut found: Vec<(String, String)> =
        meta.iter_errors(value).map(|e| (e.instance_path().as_str().to_owned(), e.masked().to_string())).collect();
    if found.is_empty() {
        let built =
            jsonschema::options().offline().should_validate_formats(true).with_pattern_options(PatternOptions::regex()).build(value);
        found.extend(built.err().map(|e| (e.instance_path().as_str().to_owned(), e.masked().to_string())));
    }
    // A value that fits no branch of a choice is reported once for each branch.
    found.dedup_by(|a, b| a.0 == b.0);
    for (pointer, message) in found {
        let at = locate::pointer(node, node.at, &pointer);
        let place = if pointer.is_empty() { "/" } else { &pointer };
        faults.push(Fault::at(file, at, format!("`{field}` is not a JSON Schema at `{place}`: {message}")));
    }
}

/// Unknown keywords, which the standard lets pass, and `required` names that a closed object cannot have.
fn keywords(file: &str, node: &Node, faults: &mut Vec<Fault>) {
    for e in node.entries() {
        if !KEYWORDS.contains(&e.key.as_str()) && !e.key.starts_with("x-") {
            let help =
                nearest(&e.key, KEYWORDS.iter().copied()).map(|near| format!("did you mean `{near}`? words of your own begin with `x-`"));
            let help = help.unwrap_or_else(|| "words of your own begin with `x-`".to_owned());
            faults.push(Fault::at(file, e.key_at, format!("`{}` is not a word of JSON Schema", short(&e.key))).help(help));
        }
        match e.key.as_str() {
            "properties" | "$defs" | "patternProperties" | "dependentSchemas" => {
                e.value.entries().iter().for_each(|p| keywords(file, &p.value, faults));
            }
            "items" | "additionalProperties" | "contains" | "propertyNames" | "not" | "if" | "then" | "else" => {
                keywords(file, &e.value, faults)
            }
            "allOf" | "anyOf" | "oneOf" | "prefixItems" => e.value.items().iter().for_each(|n| keywords(file, n, faults)),
            _ => {}
        }
    }
    required(file, node, faults);
}

fn required(file: &str, node: &Node, faults: &mut Vec<Fault>) {
    let shape = node.to_map();
    let (Some(required), Some(Data::Map(_))) = (node.get("required"), node.get("properties").map(|p| &p.data)) else { return };
    if !open(&shape) {
        return;
    }
    let names: Vec<&str> = node.get("properties").map(Node::entries).unwrap_or_default().iter().map(|e| e.key.as_str()).collect();
    for item in required.items() {
        if let Some(name) = item.text().filter(|n| !names.contains(n)) {
            let fault = Fault::at(file, item.at, format!("`{}` is required, but `properties` does not list it", short(name)));
            faults.push(Fault { help: crate::nearest::advice(name, names.iter().copied()), ..fault });
        }
    }
}
