//! Rendering: from arguments to the exact request. Pure.

use http::header::{HeaderName, HeaderValue};
use serde_json::Value;
use tollgate_core::ports::{RenderError, Rendered};
use tollgate_core::scope::Mode;
use tollgate_expr::Inputs;

use super::HttpTool;

/// Longest body, in bytes.
const MAX_BODY: usize = 4 * 1024 * 1024;

impl HttpTool {
    /// The request for these arguments.
    pub fn render(&self, mode: Mode, args: &Value) -> Result<Rendered, RenderError> {
        let Some(target) = self.target(mode) else { return Ok(Rendered::Stub { tool: self.name.clone() }) };
        let inputs = Inputs::new().with("args", args).with("config", &target.config);
        let url = self.url.render(&inputs, &target.fixed)?;
        let mut headers = Vec::with_capacity(self.headers.len() + 2);
        for (name, template) in &self.headers {
            match template.eval_or_null(&inputs)? {
                Value::Null => {}
                Value::String(text) => headers.push((name.as_str().to_owned(), header_value(text).map_err(|m| template.wrong(m))?)),
                scalar @ (Value::Bool(_) | Value::Number(_)) => headers.push((name.as_str().to_owned(), scalar.to_string())),
                _ => return Err(template.wrong("is a list or an object, which has no place in a header")),
            }
        }
        let body = match &self.json {
            None => None,
            Some(json) => {
                let text = tollgate_core::canon::stable_text(&json.eval(&inputs)?);
                if text.len() > MAX_BODY {
                    return Err(json.wrong(format!("the body is longer than {MAX_BODY} bytes")));
                }
                Some(text)
            }
        };
        if body.is_some() {
            default_header(&mut headers, "content-type", "application/json");
        }
        default_header(&mut headers, "accept", "application/json");
        Ok(Rendered::Http { method: self.method.as_str().to_owned(), url, headers, body })
    }
}

/// No value may end its header, and none begins or ends in white space, which the remote would drop.
fn header_value(text: String) -> Result<String, String> {
    if text.contains(char::is_control) {
        return Err(format!("the value `{}` holds a line break or another control character", clip(&text)));
    }
    if HeaderValue::from_bytes(text.as_bytes()).is_err() || text.trim() != text {
        return Err(format!("`{}` cannot be a header's value", clip(&text)));
    }
    Ok(text)
}

fn clip(text: &str) -> String {
    text.chars().take(40).collect::<String>().escape_debug().to_string()
}

fn default_header(headers: &mut Vec<(String, String)>, name: &str, value: &str) {
    if !headers.iter().any(|(n, _)| n == name) {
        headers.push((name.to_owned(), value.to_owned()));
    }
}

/// Headers that templates may not write: authentication, framing, and what the client says for itself.
pub(crate) fn is_reserved(name: &HeaderName) -> bool {
    const RESERVED: [&str; 15] = [
        "authorization",
        "proxy-authorization",
        "cookie",
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "accept-encoding",
        "content-encoding",
    ];
    RESERVED.contains(&name.as_str())
}
