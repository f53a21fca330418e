//! How this crate uses templates: errors as faults of a place, and texts cut where an interpolation begins and ends.
//! The grammar of expressions belongs to `expr`.

use serde_json::Value;
use tollgate_core::ports::RenderError;
use tollgate_expr::{Inputs, JsonTemplate, Template};

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

    /// The text for these inputs.
    pub fn eval_text(&self, inputs: &Inputs<'_>) -> Result<String, RenderError> {
        self.template.eval_text(inputs).map_err(|e| self.wrong(e.to_string()))
    }

    /// The value for these inputs: what a lone interpolation yields, or text. Missing members are null.
    pub fn eval_or_null(&self, inputs: &Inputs<'_>) -> Result<Value, RenderError> {
        match self.template.eval(inputs) {
            Err(e) if e.is_missing() => Ok(Value::Null),
            evaluated => evaluated.map_err(|e| self.wrong(e.to_string())),
        }
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
        self.template.eval(inputs).map_err(|e| self.wrong(e.to_string()))
    }

    /// The value for these inputs; null when a member is missing.
    pub fn eval_or_null(&self, inputs: &Inputs<'_>) -> Result<Value, RenderError> {
        match self.template.eval(inputs) {
            Err(e) if e.is_missing() => Ok(Value::Null),
            evaluated => evaluated.map_err(|e| self.wrong(e.to_string())),
        }
    }
}

impl<T> Placed<T> {
    /// An error of this place.
    pub fn wrong(&self, message: impl Into<String>) -> RenderError {
        RenderError { place: self.place.clone(), message: message.into() }
    }
}

/// An error of the grammar as a fault of a place.
pub(crate) fn fault(place: &str, error: &tollgate_expr::CompileError) -> Fault {
    Fault { place: place.to_owned(), line: error.line, column: error.column, message: error.message.clone() }
}

/// A stretch of a template's source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stretch<'s> {
    /// Text, escapes included.
    Text(&'s str),
    /// One whole `${…}`.
    Interpolation(&'s str),
}

/// Cuts a template's source at its interpolations. Quotes and braces inside them are respected; `$${` stays text.
/// What is not closed is left to the compiler to complain about.
pub(crate) fn cut(source: &str) -> Vec<Stretch<'_>> {
    let mut out = Vec::new();
    let mut rest = source;
    let mut text = 0;
    while let Some(found) = rest.get(text..).and_then(|r| r.find("${")) {
        let at = text + found;
        if rest[..at].ends_with('$') {
            text = at + 2;
            continue;
        }
        if at > 0 {
            out.push(Stretch::Text(&rest[..at]));
        }
        let end = close(&rest[at..]).map_or(rest.len(), |n| at + n);
        out.push(Stretch::Interpolation(&rest[at..end]));
        rest = &rest[end..];
        text = 0;
    }
    if !rest.is_empty() {
        out.push(Stretch::Text(rest));
    }
    out
}

/// Length of the interpolation that the text begins with.
fn close(text: &str) -> Option<usize> {
    let (mut depth, mut quote, mut escaped) = (0_usize, None, false);
    for (i, c) in text.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None => match c {
                '"' | '\'' => quote = Some(c),
                '{' => depth += 1,
                '}' if depth == 1 => return Some(i + 1),
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            },
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_cut_at_their_interpolations() {
        use Stretch::{Interpolation as I, Text as T};
        for (source, stretches) in [
            ("", vec![]),
            ("plain $ {x}", vec![T("plain $ {x}")]),
            ("${a}/${b}", vec![I("${a}"), T("/"), I("${b}")]),
            ("x${headers['a}b']}.y", vec![T("x"), I("${headers['a}b']}"), T(".y")]),
            ("${ {'a': '\\'}'}.a }z", vec![I("${ {'a': '\\'}'}.a }"), T("z")]),
            ("$${a}${b}", vec![T("$${a}"), I("${b}")]),
            ("é${open", vec![T("é"), I("${open")]),
        ] {
            assert_eq!(cut(source), stretches, "{source}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_lost_by_cutting(source in "[a${}'\\\\.é]{0,30}") {
            let joined: String = cut(&source).into_iter().map(|s| match s { Stretch::Text(t) | Stretch::Interpolation(t) => t }).collect();
            proptest::prop_assert_eq!(joined, source);
        }
    }
}
