//! What the expressions and templates of a step read.

use serde_json::{Map, Value, json};

/// The roots that a source of a step may read.
pub const ROOTS: [&str; 2] = ["input", "steps"];

/// The roots of one step as an object: the run's input, and `steps.NAME.output` of each step that it reads (see
/// [`super::GraphPlan::reads`]). A step that left no output, since it failed under `continue` or a person vouched for it, has no `output`
/// here: `has(steps.NAME.output)` tells.
pub fn context(input: Value, outputs: impl IntoIterator<Item = (String, Option<Value>)>) -> Value {
    let of_step = |(name, output): (String, Option<Value>)| {
        let fields = output.map(|o| ("output".to_owned(), o));
        (name, Value::Object(fields.into_iter().collect()))
    };
    let steps: Map<String, Value> = outputs.into_iter().map(of_step).collect();
    json!({"input": input, "steps": steps})
}
