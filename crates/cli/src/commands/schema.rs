//! `tollgate schema`: the JSON Schemas of the spec kinds.

use serde_json::{Map, Value};
use tollgate_spec::Kind;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// What the kinds are called on the command line.
const NAMES: [&str; 4] = ["Connector", "Operator", "Policy", "settings"];

/// Runs it.
///
/// # Errors
/// When there is no such kind.
pub fn run(cx: &Context, kind: Option<&str>) -> Result<(), Failure> {
    let Some(kind) = kind else {
        let all: Map<String, Value> = Kind::ALL.into_iter().map(|k| (k.as_str().to_owned(), tollgate_spec::schema(k))).collect();
        cx.out.value(&Value::Object(all));
        return Ok(());
    };
    match Kind::parse(kind) {
        Some(kind) => {
            cx.out.value(&tollgate_spec::schema(kind));
            Ok(())
        }
        None => {
            let near = tollgate_spec::nearest(kind, NAMES);
            let help = near.map_or_else(|| format!("one of: {}", NAMES.join(", ")), |n| format!("did you mean `{n}`?"));
            Err(Failure::new(Exit::Usage, format!("there is no spec kind `{kind}` ({help})")))
        }
    }
}
