//! How this crate uses templates: their errors become faults of a place. The grammar belongs to `expr`.

use serde_json::Value;
use tollgate_core::ports::RenderError;
use tollgate_expr::{CompileError, EvalError, Expression, Inputs, JsonTemplate, Part, Template};

use crate::fault::Fault;

/// What requests may read.
pub(crate) const REQUEST_ROOTS: &[&str] = &["args", "config"];

/// A template and the place it was written at.
pub(crate) struct Placed<T> {
    place: String,
    template: T,
}

impl Placed<Template> {
    /// Compiles a text.
    pub fn text(place: &str, source: &str, roots: &[&str]) -> Result<Self, Fault> {
        let template = Template::compile(source, roots).map_err(|e| fault(place, &e))?;
        Ok(Self { place: place.to_owned(), template })
    }

    /// Its stretches.
    pub fn parts(&self) -> &[Part] {
        self.template.parts()
    }

    /// The text for these inputs.
    pub fn eval_text(&self, inputs: &Inputs<'_>) -> Result<String, RenderError> {
        self.template.eval_text(inputs).map_err(|e| self.failed(&e))
    }

    /// The value for these inputs: what a lone interpolation yields, or text. Missing members are null.
    pub fn eval_or_null(&self, inputs: &Inputs<'_>) -> Result<Value, RenderError> {
        or_null(self.template.eval(inputs)).map_err(|e| self.failed(&e))
    }
}

impl Placed<JsonTemplate> {
    /// Compiles a JSON value with templates in its strings.
    pub fn json(place: &str, source: &Value, roots: &[&str]) -> Result<Self, Fault> {
        let template = JsonTemplate::compile(source, roots).map_err(|e| fault(place, &e))?;
        Ok(Self { place: place.to_owned(), template })
    }

    /// The value for these inputs.
    pub fn eval(&self, inputs: &Inputs<'_>) -> Result<Value, RenderError> {
        self.template.eval(inputs).map_err(|e| self.failed(&e))
    }

    /// The value for these inputs; null when a member is missing.
    pub fn eval_or_null(&self, inputs: &Inputs<'_>) -> Result<Value, RenderError> {
        or_null(self.template.eval(inputs)).map_err(|e| self.failed(&e))
    }
}

/// Compiles an expression at a place.
pub(crate) fn expression(place: &str, source: &str, roots: &[&str]) -> Result<Expression, Fault> {
    Expression::compile(source, roots).map_err(|e| fault(place, &e))
}

/// Takes a missing member for null.
pub(crate) fn or_null(evaluated: Result<Value, EvalError>) -> Result<Value, EvalError> {
    match evaluated {
        Err(e) if e.is_missing() => Ok(Value::Null),
        other => other,
    }
}

impl<T> Placed<T> {
    /// An error of this place.
    pub fn wrong(&self, message: impl Into<String>) -> RenderError {
        RenderError { place: self.place.clone(), message: message.into() }
    }

    /// An evaluation that failed; the pointer leads to the string inside a JSON template.
    pub fn failed(&self, error: &EvalError) -> RenderError {
        RenderError { place: format!("{}{}", self.place, error.pointer), message: error.message.clone() }
    }
}

/// An error of the grammar as a fault of a place.
pub(crate) fn fault(place: &str, error: &CompileError) -> Fault {
    let place = format!("{place}{}", error.pointer);
    Fault { place, line: error.line, column: error.column, message: error.message.clone() }
}
