//! Event types from templates: dotted, where a segment that has no value is left out together with its dot.
//!
//! `${headers['x-github-event']}.${body.action}` is `issues.opened` for one delivery and `push` for another that has no
//! `action`. A segment is the text between two dots outside of interpolations. It is left out when one of its
//! interpolations is null, empty or a missing member; any other error refuses the webhook.

use serde_json::Value;
use tollgate_expr::{Inputs, Template};

use crate::fault::Fault;
use crate::template::{Placed, Stretch, cut};

/// What templates of webhooks read.
pub(crate) const ROOTS: &[&str] = &["headers", "body"];

/// A compiled event type: segments of pieces.
pub(crate) struct EventType(Vec<Vec<Placed<Template>>>);

impl EventType {
    /// Compiles the template.
    pub fn compile(place: &str, source: &str) -> Result<Self, Fault> {
        // Compiled whole first: positions in faults are those of the whole text.
        Placed::text(place, source, ROOTS)?;
        let mut segments = vec![Vec::new()];
        for stretch in cut(source) {
            match stretch {
                Stretch::Interpolation(text) => push(&mut segments, Placed::text(place, text, ROOTS)?),
                Stretch::Text(text) => {
                    for (i, part) in text.split('.').enumerate() {
                        if i > 0 {
                            segments.push(Vec::new());
                        }
                        if !part.is_empty() {
                            push(&mut segments, Placed::text(place, part, ROOTS)?);
                        }
                    }
                }
            }
        }
        if segments.iter().any(Vec::is_empty) {
            return Err(Fault::new(
                place,
                format!("`{}` has an empty segment: write dotted words such as `issues.opened`", source.escape_debug()),
            ));
        }
        Ok(Self(segments))
    }

    /// The event type of one delivery.
    pub fn eval(&self, inputs: &Inputs<'_>) -> Result<String, String> {
        let mut out = String::new();
        for segment in &self.0 {
            if let Some(text) = segment_text(segment, inputs)? {
                if !out.is_empty() {
                    out.push('.');
                }
                out.push_str(&text);
            }
        }
        Ok(out)
    }
}

fn push(segments: &mut [Vec<Placed<Template>>], piece: Placed<Template>) {
    if let Some(last) = segments.last_mut() {
        last.push(piece);
    }
}

fn segment_text(pieces: &[Placed<Template>], inputs: &Inputs<'_>) -> Result<Option<String>, String> {
    let mut out = String::new();
    for piece in pieces {
        match piece.eval_or_null(inputs).map_err(|e| e.to_string())? {
            Value::Null => return Ok(None),
            Value::String(text) if text.is_empty() => return Ok(None),
            Value::String(text) => out.push_str(&text),
            scalar @ (Value::Bool(_) | Value::Number(_)) => out.push_str(&scalar.to_string()),
            _ => return Err(piece.wrong("an event type is made of text, and this is a list or an object").to_string()),
        }
    }
    Ok(Some(out))
}

/// The headers that a template can ask for: every quoted word in its interpolations, and names after `headers.`.
pub(crate) fn header_names(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    for stretch in cut(source) {
        let Stretch::Interpolation(text) = stretch else { continue };
        let mut rest = text;
        while let Some(at) = rest.find(['\'', '"']) {
            let quote = &rest[at..=at];
            let inside = &rest[at + 1..];
            let Some(end) = inside.find(quote) else { break };
            names.push(inside[..end].to_ascii_lowercase());
            rest = &inside[end + 1..];
        }
        for after in text.split("headers").skip(1) {
            let after = after.trim_start_matches([' ', '.', '?']);
            let end = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(after.len());
            names.push(after[..end].to_ascii_lowercase());
        }
    }
    names.retain(|n| !n.is_empty() && n.len() <= 100 && n.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const GITHUB: &str = "${headers['x-github-event']}.${body.action}";

    fn eval(source: &str, headers: &Value, body: &Value) -> Result<String, String> {
        EventType::compile("webhook.event_type", source).unwrap().eval(&Inputs::new().with("headers", headers).with("body", body))
    }

    #[test]
    fn segments_without_a_value_are_left_out() {
        let issues = json!({"x-github-event": "issues"});
        assert_eq!(eval(GITHUB, &issues, &json!({"action": "opened"})).unwrap(), "issues.opened");
        assert_eq!(eval(GITHUB, &issues, &json!({"action": null})).unwrap(), "issues");
        assert_eq!(eval(GITHUB, &json!({"x-github-event": "push"}), &json!({"ref": "main"})).unwrap(), "push");
        assert_eq!(eval(GITHUB, &json!({}), &json!({"action": "opened"})).unwrap(), "opened");
        assert_eq!(eval("shop.v${body.version}.${body.kind}", &json!({}), &json!({"kind": "order"})).unwrap(), "shop.order");
        assert_eq!(eval("shop.v${body.version}", &json!({}), &json!({"version": 2})).unwrap(), "shop.v2");
        assert_eq!(eval(GITHUB, &json!({}), &json!({})).unwrap(), "");
    }

    #[test]
    fn what_is_not_text_is_refused() {
        assert!(eval("${body.action}", &json!({}), &json!({"action": ["x"]})).is_err());
        assert!(EventType::compile("p", "a..b").is_err());
        assert!(EventType::compile("p", "${args.x}").is_err());
    }

    #[test]
    fn headers_are_found_where_templates_name_them() {
        assert_eq!(header_names(GITHUB), ["x-github-event"]);
        assert_eq!(
            header_names(r#"${headers["X-A"]}.${headers.kind}${'x-b' in headers ? headers['x-b'] : 'none'}"#),
            ["kind", "none", "x-a", "x-b"]
        );
        assert!(header_names("headers.x").is_empty());
    }
}
