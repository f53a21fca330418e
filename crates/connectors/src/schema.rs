//! JSON Schemas of inputs and outputs: compiled once, all faults at once, long values never echoed.

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

/// Faults reported of one value; the rest are counted.
const MAX_FAULTS: usize = 20;
/// Longest value echoed in a message, in characters of JSON.
const MAX_ECHO: usize = 60;
/// Longest fault, in characters: a schema's own lists of choices can be long as well.
const MAX_FAULT: usize = 300;

/// A compiled schema.
pub(crate) struct Schema(Validator);

impl Schema {
    /// Compiles a schema. References must stay inside it; patterns run in linear time.
    pub fn compile(schema: &Value) -> Result<Self, String> {
        jsonschema::options()
            .offline()
            .should_validate_formats(true)
            .with_pattern_options(PatternOptions::regex())
            .build(schema)
            .map(Self)
            .map_err(|e| format!("not a JSON Schema: {}{}", at(e.instance_path().as_str()), e.masked()))
    }

    /// All faults of a value, at most [`MAX_FAULTS`].
    pub fn check(&self, value: &Value) -> Result<(), Vec<String>> {
        if self.0.is_valid(value) {
            return Ok(());
        }
        let mut errors = self.0.iter_errors(value);
        let mut faults: Vec<String> = errors.by_ref().take(MAX_FAULTS).map(|e| fault(&e)).collect();
        let more = errors.count();
        if more > 0 {
            faults.push(format!("and {more} more"));
        }
        Err(faults)
    }
}

fn fault(error: &jsonschema::ValidationError<'_>) -> String {
    let pointer = at(error.instance_path().as_str());
    let short = error.instance().to_string().chars().count() <= MAX_ECHO;
    let message = if short { error.to_string() } else { error.masked().to_string() };
    crate::http::one_line(&format!("{pointer}{message}"), MAX_FAULT)
}

fn at(pointer: &str) -> String {
    format!("`{}`: ", if pointer.is_empty() { "/" } else { pointer })
}
