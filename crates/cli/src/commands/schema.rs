//! `tollgate schema`: the JSON Schemas of the spec kinds.

use serde_json::{Map, Value};

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// Runs it.
///
/// # Errors
/// When there is no such kind.
pub fn run(cx: &Context, kind: Option<&str>) -> Result<(), Failure> {
    let Some(kind) = kind else {
        let all: Map<String, Value> =
            tollgate_spec::KINDS.iter().filter_map(|k| Some(((*k).to_owned(), tollgate_spec::schema(k)?))).collect();
        cx.out.value(&Value::Object(all));
        return Ok(());
    };
    match tollgate_spec::schema(kind) {
        Some(schema) => {
            cx.out.value(&schema);
            Ok(())
        }
        None => {
            let near = tollgate_spec::nearest(kind, tollgate_spec::KINDS.iter().copied());
            let help = near.map_or_else(|| format!("one of: {}", tollgate_spec::KINDS.join(", ")), |n| format!("did you mean `{n}`?"));
            Err(Failure::new(Exit::Usage, format!("there is no spec kind `{kind}` ({help})")))
        }
    }
}
