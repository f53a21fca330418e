//! What Cedar can see of a tool's input: the JSON Schema mapped to Cedar's types, and every path that does not map.
//! Must not know values or policies.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::limits::SHAPE_DEPTH;

/// The part of a JSON Schema that has a Cedar type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shape {
    Bool,
    Long,
    Decimal,
    Text,
    /// Nulls in the array are left out, as everywhere.
    Set(Box<Shape>),
    Record(BTreeMap<String, Field>),
}

/// An attribute of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) shape: Shape,
    /// Not required, or nullable: a null is an absence.
    pub(crate) optional: bool,
}

/// A path that policies cannot see, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unmapped {
    pub(crate) path: String,
    pub(crate) why: String,
}

/// Cedar's JSON gives these keys a meaning of its own, so that an argument of that name could pass for another type.
const RESERVED: [&str; 3] = ["__entity", "__expr", "__extn"];
/// Where a schema hides further properties.
const COMBINATORS: [&str; 5] = ["oneOf", "anyOf", "allOf", "if", "patternProperties"];

/// The shape of a tool's arguments. Arguments are an object: where nothing maps, the record is empty.
pub(crate) fn of_input(schema: &Value) -> (BTreeMap<String, Field>, Vec<Unmapped>) {
    let mut unmapped = Vec::new();
    let fields = match schema {
        Value::Object(map) if map.get("$ref").is_none() && matches!(type_of(map), Ok(("object", _)) | Err(Untyped::Missing)) => {
            record(map, "args", 0, &mut unmapped)
        }
        Value::Object(map) => {
            let why = if map.contains_key("$ref") { "uses `$ref`" } else { "is not an object" };
            unmapped.push(Unmapped { path: "args".to_owned(), why: why.to_owned() });
            BTreeMap::new()
        }
        _ => {
            unmapped.push(Unmapped { path: "args".to_owned(), why: "has no schema".to_owned() });
            BTreeMap::new()
        }
    };
    (fields, unmapped)
}

/// Maps one schema; the second part says whether it may also be null.
fn shape(schema: &Value, path: &str, depth: usize, unmapped: &mut Vec<Unmapped>) -> Option<(Shape, bool)> {
    match mapped(schema, path, depth, unmapped) {
        Ok(found) => Some(found),
        Err(why) => {
            unmapped.push(Unmapped { path: path.to_owned(), why });
            None
        }
    }
}

fn mapped(schema: &Value, path: &str, depth: usize, unmapped: &mut Vec<Unmapped>) -> Result<(Shape, bool), String> {
    let map = schema.as_object().ok_or("has no schema")?;
    if depth > SHAPE_DEPTH {
        return Err(format!("is nested deeper than {SHAPE_DEPTH} levels"));
    }
    if map.contains_key("$ref") || map.contains_key("$dynamicRef") {
        return Err("uses `$ref`".to_owned());
    }
    let (kind, nullable) = type_of(map).map_err(|e| e.why(map))?;
    let shape = match kind {
        "boolean" => Shape::Bool,
        "integer" => Shape::Long,
        "number" => Shape::Decimal,
        "string" => Shape::Text,
        "array" => Shape::Set(Box::new(element(map, path, depth, unmapped)?)),
        "object" => {
            let closed = map.get("additionalProperties") == Some(&Value::Bool(false));
            let declares = map.get("properties").and_then(Value::as_object).is_some_and(|p| !p.is_empty());
            if !declares && !closed {
                return Err("is a free-form object: declare its `properties`".to_owned());
            }
            Shape::Record(record(map, path, depth, unmapped))
        }
        other => return Err(format!("has the unknown type `{other}`")),
    };
    Ok((shape, nullable))
}

fn element(map: &Map<String, Value>, path: &str, depth: usize, unmapped: &mut Vec<Unmapped>) -> Result<Shape, String> {
    if map.contains_key("prefixItems") || map.get("items").is_some_and(Value::is_array) {
        return Err("is a tuple: Cedar's sets hold one type".to_owned());
    }
    let items = map.get("items").ok_or("is an array without `items`")?;
    let inner = format!("{path}[]");
    // The element's own reason is recorded under its own path; the array then has nothing to show.
    let before = unmapped.len();
    match mapped(items, &inner, depth + 1, unmapped) {
        Ok((shape, _)) => Ok(shape),
        Err(why) => {
            unmapped.truncate(before);
            Err(format!("its items cannot be mapped: an item {why}"))
        }
    }
}

fn record(map: &Map<String, Value>, path: &str, depth: usize, unmapped: &mut Vec<Unmapped>) -> BTreeMap<String, Field> {
    let required: Vec<&str> = map.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let mut fields = BTreeMap::new();
    for (name, schema) in map.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let inner = format!("{path}.{name}");
        if RESERVED.contains(&name.as_str()) {
            unmapped.push(Unmapped { path: inner, why: "has a name that Cedar reserves".to_owned() });
        } else if let Some((shape, nullable)) = shape(schema, &inner, depth + 1, unmapped) {
            let optional = nullable || !required.contains(&name.as_str());
            fields.insert(name.clone(), Field { shape, optional });
        }
    }
    open_ends(map, path, unmapped);
    fields
}

/// Names what an object may hold beside its declared properties.
fn open_ends(map: &Map<String, Value>, path: &str, unmapped: &mut Vec<Unmapped>) {
    let mut say = |why: String| unmapped.push(Unmapped { path: format!("{path}.*"), why });
    match map.get("additionalProperties") {
        Some(Value::Bool(false)) => {}
        None if map.get("unevaluatedProperties") == Some(&Value::Bool(false)) => {}
        _ => say("accepts further properties: say `additionalProperties: false`".to_owned()),
    }
    for word in COMBINATORS {
        if map.contains_key(word) {
            say(format!("properties declared inside `{word}` are not seen"));
        }
    }
}

enum Untyped {
    Missing,
    Null,
    Union(Vec<String>),
}

impl Untyped {
    fn why(&self, map: &Map<String, Value>) -> String {
        match self {
            Self::Missing => match COMBINATORS.iter().find(|word| map.contains_key(**word)) {
                Some(word) => format!("is a union (`{word}`)"),
                None => "has no `type`".to_owned(),
            },
            Self::Null => "is always null".to_owned(),
            Self::Union(types) => format!("is a union of {}", types.join(" and ")),
        }
    }
}

/// The one type of a schema, and whether null is allowed beside it.
fn type_of(map: &Map<String, Value>) -> Result<(&str, bool), Untyped> {
    let types: Vec<&str> = match map.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => return Err(Untyped::Missing),
    };
    let nullable = types.contains(&"null");
    let rest: Vec<&str> = types.into_iter().filter(|t| *t != "null").collect();
    match rest.as_slice() {
        [one] => Ok((one, nullable)),
        [] if nullable => Err(Untyped::Null),
        [] => Err(Untyped::Missing),
        many => Err(Untyped::Union(many.iter().map(|t| format!("`{t}`")).collect())),
    }
}

/// A record as Cedar's JSON schema writes its type.
pub(crate) fn record_type(fields: &BTreeMap<String, Field>) -> Value {
    let attributes: Map<String, Value> = fields
        .iter()
        .map(|(name, field)| {
            let mut kind = cedar_type(&field.shape);
            if let (true, Value::Object(map)) = (field.optional, &mut kind) {
                map.insert("required".to_owned(), Value::Bool(false));
            }
            (name.clone(), kind)
        })
        .collect();
    json!({"type": "Record", "attributes": attributes})
}

fn cedar_type(shape: &Shape) -> Value {
    match shape {
        Shape::Bool => json!({"type": "Boolean"}),
        Shape::Long => json!({"type": "Long"}),
        Shape::Decimal => json!({"type": "Extension", "name": "decimal"}),
        Shape::Text => json!({"type": "String"}),
        Shape::Set(inner) => json!({"type": "Set", "element": cedar_type(inner)}),
        Shape::Record(fields) => record_type(fields),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(schema: &Value) -> Vec<String> {
        of_input(schema).1.into_iter().map(|u| format!("{}: {}", u.path, u.why)).collect()
    }

    #[test]
    fn the_table_of_types() {
        let (fields, unmapped) = of_input(&json!({
            "type": "object", "required": ["s", "n", "r"], "additionalProperties": false,
            "properties": {
                "s": {"type": "string"}, "b": {"type": "boolean"}, "i": {"type": "integer"}, "d": {"type": "number"},
                "n": {"type": ["string", "null"]}, "set": {"type": "array", "items": {"type": ["integer", "null"]}},
                "r": {"type": "object", "required": ["x"], "additionalProperties": false, "properties": {"x": {"type": ["string"]}}},
            },
        }));
        assert_eq!(unmapped, Vec::new());
        insta::assert_snapshot!(record_type(&fields)["attributes"].as_object().unwrap().iter().map(|(k, v)| format!("{k}: {v}\n")).collect::<String>(), @r#"
        b: {"type":"Boolean","required":false}
        d: {"type":"Extension","name":"decimal","required":false}
        i: {"type":"Long","required":false}
        n: {"type":"String","required":false}
        r: {"type":"Record","attributes":{"x":{"type":"String"}}}
        s: {"type":"String"}
        set: {"type":"Set","element":{"type":"Long"},"required":false}
        "#);
    }

    #[test]
    fn what_policies_cannot_see_is_named() {
        insta::assert_snapshot!(report(&json!({
            "type": "object",
            "properties": {
                "any": true, "untyped": {"enum": ["a"]}, "choice": {"oneOf": [{"type": "string"}]}, "ref": {"$ref": "#/x"},
                "ref_typed": {"$ref": "#/x", "type": "string"}, "union": {"type": ["string", "integer", "null"]}, "nil": {"type": "null"},
                "odd": {"type": "text"}, "free": {"type": "object"}, "dict": {"type": "object", "additionalProperties": {"type": "string"}},
                "tuple": {"type": "array", "prefixItems": [{"type": "string"}]}, "bare": {"type": "array"},
                "mixed": {"type": "array", "items": {"type": ["string", "integer"]}}, "__extn": {"type": "string"},
                "lines": {"type": "array", "items": {"type": "object", "additionalProperties": false, "properties": {"sku": {"type": "string"}, "meta": {"type": "object"}}}},
                "either": {"type": "object", "additionalProperties": false, "properties": {"a": {"type": "string"}}, "anyOf": [{"required": ["a"]}]},
            },
        })).join("\n"), @r#"
        args.any: has no schema
        args.untyped: has no `type`
        args.choice: is a union (`oneOf`)
        args.ref: uses `$ref`
        args.ref_typed: uses `$ref`
        args.union: is a union of `string` and `integer`
        args.nil: is always null
        args.odd: has the unknown type `text`
        args.free: is a free-form object: declare its `properties`
        args.dict: is a free-form object: declare its `properties`
        args.tuple: is a tuple: Cedar's sets hold one type
        args.bare: is an array without `items`
        args.mixed: its items cannot be mapped: an item is a union of `string` and `integer`
        args.__extn: has a name that Cedar reserves
        args.lines[].meta: is a free-form object: declare its `properties`
        args.either.*: properties declared inside `anyOf` are not seen
        args.*: accepts further properties: say `additionalProperties: false`
        "#);
    }

    #[test]
    fn roots_without_a_usable_object_are_empty_and_say_why() {
        for (schema, why) in [
            (json!(true), "args: has no schema"),
            (json!({"$ref": "#/$defs/x", "type": "object"}), "args: uses `$ref`"),
            (json!({"type": "array"}), "args: is not an object"),
        ] {
            assert!(of_input(&schema).0.is_empty());
            assert_eq!(report(&schema), [why]);
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = (0..40).fold(
            json!({"type": "string"}),
            |inner, _| json!({"type": "object", "additionalProperties": false, "properties": {"x": inner}}),
        );
        let said = report(&deep);
        assert_eq!(said.len(), 1);
        assert!(said[0].ends_with("is nested deeper than 16 levels"), "{said:?}");
    }
}
