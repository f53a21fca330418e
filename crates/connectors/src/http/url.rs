//! URLs from templates. Arguments can fill path segments and query values, and nothing else.
//!
//! Scheme, host and port are fixed when the connector is compiled: the text before the first argument must already
//! hold all of them and the slash that ends them. Values of `config` are the operator's and are inserted as they are.

use std::collections::BTreeMap;

use serde_json::Value;
use tollgate_core::ports::RenderError;
use tollgate_expr::{Inputs, JsonTemplate, Part, Template};
use url::Url;

use super::encode::{component, is_dot_segment};
use crate::fault::Fault;
use crate::template::{Placed, REQUEST_ROOTS, or_null};

const PLACE: &str = "request.url";
/// Longest URL, in bytes: what common servers take.
const MAX_BYTES: usize = 8192;

/// A compiled URL with its query.
pub(crate) struct UrlTemplate {
    template: Placed<Template>,
    query: Vec<(String, Placed<JsonTemplate>)>,
}

impl UrlTemplate {
    /// Compiles the URL and its query parameters.
    pub fn compile(source: &str, query: &BTreeMap<String, Value>) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let template = Placed::text(PLACE, source, REQUEST_ROOTS).map_err(|f| faults.push(f)).ok();
        let mut compiled = Vec::new();
        for (name, value) in query {
            match Placed::json(&format!("request.query.{name}"), value, REQUEST_ROOTS) {
                Ok(template) => compiled.push((component(name), template)),
                Err(fault) => faults.push(fault),
            }
        }
        match template {
            Some(template) if faults.is_empty() => Ok(Self { template, query: compiled }),
            _ => Err(faults),
        }
    }

    /// Scheme, host and port, which no argument can change. Says what is wrong with them.
    pub fn fixed_part(&self, config: &Value) -> Result<Url, Fault> {
        let inputs = Inputs::new().with("config", config);
        let mut text = String::new();
        let mut fixed = true;
        for part in self.template.parts() {
            fixed &= !from_args(part);
            // What stands behind an argument is no part of the host, but a missing value is better found now.
            if !from_args(part) {
                let value = self.plain(part, &inputs).map_err(|e| Fault::new(PLACE, e.message))?;
                text.push_str(if fixed { &value } else { "" });
            }
        }
        check_fixed(&text, fixed).map_err(|message| Fault::new(PLACE, message))
    }

    /// The URL for these arguments.
    pub fn render(&self, inputs: &Inputs<'_>, fixed: &Url) -> Result<String, RenderError> {
        let mut text = String::new();
        for part in self.template.parts() {
            let value = self.plain(part, inputs)?;
            match part {
                Part::Expr(e) if from_args(part) => {
                    if value.is_empty() && !text.contains('?') {
                        return Err(wrong(format!("`${{{}}}` is empty, and would change the path", e.source())));
                    }
                    text.push_str(&component(&value));
                }
                _ => text.push_str(&value),
            }
        }
        self.add_query(&mut text, inputs)?;
        self.finish(&text, fixed)
    }

    /// The text of a part, before any encoding.
    fn plain(&self, part: &Part, inputs: &Inputs<'_>) -> Result<String, RenderError> {
        match part {
            Part::Text(text) => Ok(text.clone()),
            Part::Expr(e) => {
                let value = or_null(e.eval(inputs)).map_err(|failed| self.template.failed(&failed))?;
                scalar(&value).map_err(|what| wrong(format!("`${{{}}}` is {what}, which has no place in a URL", e.source())))
            }
        }
    }

    fn add_query(&self, text: &mut String, inputs: &Inputs<'_>) -> Result<(), RenderError> {
        let mut separator = if text.contains('?') { '&' } else { '?' };
        for (name, template) in &self.query {
            let value = template.eval_or_null(inputs)?;
            let values = match &value {
                Value::Null => continue,
                Value::Array(items) => items.as_slice(),
                one => std::slice::from_ref(one),
            };
            for value in values {
                let value = scalar(value).map_err(|what| template.wrong(format!("is {what}, which has no place in a query")))?;
                text.push(separator);
                text.push_str(name);
                text.push('=');
                text.push_str(&component(&value));
                separator = '&';
            }
        }
        Ok(())
    }

    /// Parses the result and makes sure that it leads where the connector leads and nowhere else.
    fn finish(&self, text: &str, fixed: &Url) -> Result<String, RenderError> {
        if text.len() > MAX_BYTES {
            return Err(wrong(format!("the URL is longer than {MAX_BYTES} bytes")));
        }
        // Percent-encoding does not help against these: URL parsers decode dots before they resolve them.
        let path = text.split('?').next().unwrap_or_default();
        if path.split('/').skip(3).any(is_dot_segment) {
            return Err(wrong("a path segment would be `.` or `..`"));
        }
        let url = Url::parse(text).map_err(|e| wrong(format!("the URL cannot be read: {e}")))?;
        if url.origin() != fixed.origin() || !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(wrong("the URL would lead to another host than the connector's"));
        }
        Ok(url.into())
    }
}

/// Whether a part may hold what a caller says. An evaluation is given nothing but what the expression refers to.
fn from_args(part: &Part) -> bool {
    match part {
        Part::Text(_) => false,
        Part::Expr(e) => e.references().iter().any(|path| path.split('.').next() != Some("config")),
    }
}

fn wrong(message: impl Into<String>) -> RenderError {
    RenderError { place: PLACE.to_owned(), message: message.into() }
}

/// Text, numbers and booleans as text; says what anything else is.
fn scalar(value: &Value) -> Result<String, &'static str> {
    match value {
        Value::String(s) => Ok(s.clone()),
        Value::Number(n) => Ok(n.to_string()),
        Value::Bool(b) => Ok(b.to_string()),
        Value::Null => Err("missing or null"),
        Value::Array(_) => Err("a list"),
        Value::Object(_) => Err("an object"),
    }
}

fn check_fixed(text: &str, whole: bool) -> Result<Url, String> {
    let shown = text.escape_debug();
    if text.contains(|c: char| c.is_control() || c.is_whitespace() || c == '\\') {
        return Err(format!("`{shown}` holds a space, a backslash or a control character"));
    }
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let Some(rest) = rest else {
        return Err(format!("the URL begins with `{shown}`: begin it with `https://` or `http://` and a host that no argument supplies"));
    };
    // Without the slash, an argument could continue the host: `https://good` + `.evil.example`.
    if !whole && !rest.contains('/') {
        return Err(format!("`{shown}` is followed by an argument: end the host with `/` first, so that arguments only fill the path"));
    }
    let url = Url::parse(text).map_err(|e| format!("`{shown}` is not a URL: {e}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the URL holds a user name or password: put them under `auth` and the secret into the vault".into());
    }
    if url.fragment().is_some() {
        return Err("the URL holds `#`, which is never sent: write `%23` if it belongs to a value".into());
    }
    Ok(url)
}
