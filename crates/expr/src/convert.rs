//! JSON to CEL and back. Only what an expression refers to is taken over, so an evaluation costs what it reads.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use cel::Value as Cel;
use cel::objects::{Key, Map};
use serde_json::Value as Json;

use crate::error::EvalError;
use crate::limits::VALUES_MAX;

/// What a conversion met.
pub(crate) struct Taken {
    pub(crate) values: usize,
    pub(crate) longest_list: usize,
    /// In bytes.
    pub(crate) longest_text: usize,
}

/// Takes over the parts of a root that `paths` (root left out) name. An empty path is the whole root.
pub(crate) fn take(root: &Json, paths: &[Vec<String>], taken: &mut Taken) -> Result<Cel, EvalError> {
    if paths.iter().any(Vec::is_empty) {
        return whole(root, taken);
    }
    let Json::Object(map) = root else { return whole(root, taken) };
    let firsts: BTreeSet<&String> = paths.iter().filter_map(|p| p.first()).collect();
    let mut out = HashMap::new();
    for first in firsts {
        let Some(value) = map.get(first) else { continue };
        let rest: Vec<Vec<String>> =
            paths.iter().filter(|p| p.first() == Some(first)).map(|p| p.iter().skip(1).cloned().collect()).collect();
        out.insert(Key::String(Arc::new(first.clone())), take(value, &rest, taken)?);
    }
    Ok(Cel::Map(Map { map: Arc::new(out) }))
}

/// Integers stay integers: the library's own conversion would make them unsigned.
fn whole(v: &Json, taken: &mut Taken) -> Result<Cel, EvalError> {
    taken.values += 1;
    if taken.values > VALUES_MAX {
        return Err(EvalError::new(format!("the expression reads more than {VALUES_MAX} values")));
    }
    Ok(match v {
        Json::Null => Cel::Null,
        Json::Bool(b) => Cel::Bool(*b),
        Json::Number(n) => match (n.as_i64(), n.as_u64()) {
            (Some(i), _) => Cel::Int(i),
            (None, Some(u)) => Cel::UInt(u),
            (None, None) => Cel::Float(n.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(s) => {
            taken.longest_text = taken.longest_text.max(s.len());
            Cel::String(Arc::new(s.clone()))
        }
        Json::Array(items) => {
            taken.longest_list = taken.longest_list.max(items.len());
            Cel::List(Arc::new(items.iter().map(|i| whole(i, taken)).collect::<Result<_, _>>()?))
        }
        Json::Object(map) => {
            taken.longest_list = taken.longest_list.max(map.len());
            taken.longest_text = map.keys().fold(taken.longest_text, |n, k| n.max(k.len()));
            let entries = map.iter().map(|(k, v)| Ok((Key::String(Arc::new(k.clone())), whole(v, taken)?)));
            Cel::Map(Map { map: Arc::new(entries.collect::<Result<_, EvalError>>()?) })
        }
    })
}

/// A result as JSON. What JSON cannot say is an error, not an approximation.
pub(crate) fn to_json(v: &Cel) -> Result<Json, EvalError> {
    Ok(match v {
        Cel::Null => Json::Null,
        Cel::Bool(b) => Json::Bool(*b),
        Cel::Int(i) => Json::from(*i),
        Cel::UInt(u) => Json::from(*u),
        Cel::Float(f) => Json::Number(serde_json::Number::from_f64(*f).ok_or_else(|| EvalError::new("the result is not a finite number"))?),
        Cel::String(s) => Json::String(s.to_string()),
        Cel::List(items) => Json::Array(items.iter().map(to_json).collect::<Result<_, _>>()?),
        Cel::Map(map) => {
            let mut out = serde_json::Map::new();
            for (k, v) in map.map.iter() {
                let Key::String(k) = k else { return Err(EvalError::new("the keys of a map must be strings")) };
                out.insert(k.to_string(), to_json(v)?);
            }
            Json::Object(out)
        }
        _ => return Err(EvalError::new("the result is not a JSON value: convert it with string() or int()")),
    })
}
