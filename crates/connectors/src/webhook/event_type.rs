//! Event types from templates: dotted, where a segment that has no value is left out together with its dot.
//!
//! `${headers['x-github-event']}.${body.action}` is `issues.opened` for one delivery and `push` for another that has no
//! `action`. A segment is the text between two dots outside of interpolations. It is left out when one of its
//! interpolations is null, empty or a missing member; any other error refuses the webhook.

use serde_json::Value;
use tollgate_expr::{Expression, Inputs, Part, Template};

use crate::fault::Fault;
use crate::template::{Placed, or_null};

/// What templates of webhooks read.
pub(crate) const ROOTS: &[&str] = &["headers", "body"];

/// A compiled event type.
pub(crate) struct EventType(Placed<Template>);

impl EventType {
    /// Compiles the template.
    pub fn compile(place: &str, source: &str) -> Result<Self, Fault> {
        let template = Placed::text(place, source, ROOTS)?;
        let present = |_: &Expression| Ok(Some("x".to_owned()));
        let segments = segments(template.parts(), present).map_err(|m| Fault::new(place, m))?;
        if segments.iter().any(|s| s.as_deref() == Some("")) {
            let source = source.escape_debug();
            return Err(Fault::new(place, format!("`{source}` has an empty segment: write dotted words such as `issues.opened`")));
        }
        Ok(Self(template))
    }

    /// The headers that it can ask for.
    pub fn header_names(&self) -> Vec<String> {
        header_names(&self.0)
    }

    /// The event type of one delivery.
    pub fn eval(&self, inputs: &Inputs<'_>) -> Result<String, String> {
        let value = |e: &Expression| {
            let value = or_null(e.eval(inputs)).map_err(|failed| self.0.failed(&failed).to_string())?;
            match value {
                Value::Null => Ok(None),
                Value::String(text) => Ok(Some(text).filter(|t| !t.is_empty())),
                scalar @ (Value::Bool(_) | Value::Number(_)) => Ok(Some(scalar.to_string())),
                _ => Err(self.0.wrong("an event type is made of text, and this is a list or an object").to_string()),
            }
        };
        let segments: Vec<String> = segments(self.0.parts(), value)?.into_iter().flatten().collect();
        Ok(segments.join("."))
    }
}

/// The segments, with the values that a function gives to interpolations. One value that is none makes its segment none.
fn segments(parts: &[Part], value: impl Fn(&Expression) -> Result<Option<String>, String>) -> Result<Vec<Option<String>>, String> {
    let mut all = Vec::new();
    let mut last = Some(String::new());
    for part in parts {
        match part {
            Part::Expr(e) => {
                let value = value(e)?;
                last = last.zip(value).map(|(segment, value)| segment + &value);
            }
            Part::Text(text) => {
                for (i, piece) in text.split('.').enumerate() {
                    if i > 0 {
                        all.push(last.replace(String::new()));
                    }
                    if let Some(segment) = &mut last {
                        segment.push_str(piece);
                    }
                }
            }
        }
    }
    all.push(last);
    Ok(all)
}

/// The headers that a template can ask for: every quoted word in its interpolations, and names after `headers.`.
pub(crate) fn header_names(template: &Placed<Template>) -> Vec<String> {
    let mut names = Vec::new();
    for part in template.parts() {
        let Part::Expr(e) = part else { continue };
        let text = e.source();
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
        let names = |source: &str| header_names(&Placed::text("p", source, ROOTS).unwrap());
        assert_eq!(names(GITHUB), ["x-github-event"]);
        let all = r#"${headers["X-A"]}.${headers.kind}${'x-b' in headers ? headers['x-b'] : 'none'}"#;
        assert_eq!(names(all), ["kind", "none", "x-a", "x-b"]);
        assert!(names("headers.x").is_empty());
    }
}
