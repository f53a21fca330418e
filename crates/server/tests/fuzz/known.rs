//! What the walk has seen so far: ids and cursors out of answers, and words of the project. Without them every request would be a 404.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IteratorRandom as _;
use serde_json::{Value, json};

/// Kept of each kind.
const KEPT: usize = 12;

/// Seen so far.
#[derive(Default)]
pub struct Known {
    ids: BTreeMap<String, BTreeSet<String>>,
    cursors: BTreeSet<String>,
    /// Runs and approvals that wait for a person: what can be answered and cancelled at all.
    waiting: BTreeMap<&'static str, BTreeSet<String>>,
}

impl Known {
    /// Learns from an answer.
    pub fn learn(&mut self, value: &Value) {
        match value {
            Value::String(text) => {
                if let Some((prefix, rest)) = text.split_once('_')
                    && rest.len() == 26
                    && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
                {
                    let of_kind = self.ids.entry(prefix.to_owned()).or_default();
                    of_kind.insert(text.clone());
                    // Ids grow with time: the oldest goes, since what is old has ended.
                    if of_kind.len() > KEPT {
                        of_kind.pop_first();
                    }
                }
            }
            Value::Array(all) => all.iter().for_each(|v| self.learn(v)),
            Value::Object(map) => {
                if let Some(cursor) = map.get("next_cursor").and_then(Value::as_str)
                    && self.cursors.len() < KEPT
                {
                    self.cursors.insert(cursor.to_owned());
                }
                if map.get("state").is_some_and(|s| s == "waiting_approval") {
                    for (field, prefix) in [("run_id", "run"), ("approval_id", "apr")] {
                        self.waiting.entry(prefix).or_default().extend(map.get(field).and_then(Value::as_str).map(str::to_owned));
                    }
                }
                map.values().for_each(|v| self.learn(v));
            }
            _ => {}
        }
    }

    /// An id for a path such as `/v1/runs/{id}`; now and then one of another kind.
    pub fn id(&self, path: &str, rng: &mut StdRng) -> Option<String> {
        let prefixes = [
            ("/v1/runs", "run"),
            ("/v1/actions", "act"),
            ("/v1/approvals", "apr"),
            ("/v1/receipts", "rc"),
            ("/v1/replays", "rpl"),
            ("/v1/api_keys", "key"),
            ("/v1/events", "ev"),
            ("/v1/plans", "pl"),
        ];
        let right = prefixes.iter().find(|(p, _)| path.starts_with(p)).map(|(_, prefix)| *prefix)?;
        if ["/cancel", "/approve", "/deny"].iter().any(|end| path.ends_with(end))
            && let Some(newest) = self.waiting.get(right).and_then(BTreeSet::last)
            && rng.random_bool(0.5)
        {
            return Some(newest.clone());
        }
        let prefix = if rng.random_bool(0.9) { right.to_owned() } else { self.ids.keys().choose(rng)?.clone() };
        self.ids.get(&prefix)?.iter().choose(rng).cloned()
    }

    /// A word that means something for a field or parameter of this name.
    pub fn word(&self, name: &str, rng: &mut StdRng) -> Option<Value> {
        if rng.random_bool(0.25) {
            return None;
        }
        let one = |all: &[&str], rng: &mut StdRng| all.iter().choose(rng).map(|w| json!(w));
        match name {
            "tool" => one(&["notes.write", "notes.sign", "notes.burn", "notes.read", "memo.store"], rng),
            "args" => Some(json!({"name": format!("n{}", rng.random_range(0..9)), "text": "t"})),
            "entity_key" | "idempotency_key" | "Idempotency-Key" => Some(json!(format!("k:{}", rng.random_range(0..500)))),
            "wait_ms" => Some(json!(rng.random_range(0..50))),
            "operator" => Some(json!("filer")),
            "queue" => Some(json!("finance")),
            "event_type" | "type" => one(&["note.made", "a.b"], rng),
            "specversion" => Some(json!("1.0")),
            "datacontenttype" => Some(json!("application/json")),
            "payload" => Some(json!({"name": format!("n{}", rng.random_range(0..9)), "text": "t"})),
            "scopes" => one(&["events:read", "runs:read", "*"], rng).map(|w| json!([w])),
            "cursor" => self.cursors.iter().choose(rng).map(|c| json!(c)),
            "run" => self.ids.get("run")?.iter().choose(rng).map(|c| json!(c)),
            "action" => self.ids.get("act")?.iter().choose(rng).map(|c| json!(c)),
            "event" => self.ids.get("ev")?.iter().choose(rng).map(|c| json!(c)),
            "code" => one(&["not_found", "invalid_json", "teapot"], rng),
            "connector" => one(&["github", "pay", "notes"], rng),
            _ => None,
        }
    }

    /// Whether the field leads somewhere, so that it is worth giving although it may be left out.
    pub fn leads(name: &str) -> bool {
        ["entity_key", "idempotency_key", "args"].contains(&name)
    }

    /// A name for a path such as `/v1/operators/{name}`.
    pub fn name(path: &str, rng: &mut StdRng) -> String {
        let all: &[&str] = match path {
            p if p.starts_with("/v1/operators") => &["filer", "filer", "nobody"],
            p if p.starts_with("/v1/connectors") => &["notes", "github", "nowhere"],
            _ => &["a_secret", "b_secret", "Bad-Name"],
        };
        (*all.iter().choose(rng).unwrap()).to_owned()
    }
}
