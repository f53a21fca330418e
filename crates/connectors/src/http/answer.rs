//! A remote's answer: read up to a cap, and turned into JSON for mappings.

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use reqwest::Response;
use serde_json::{Map, Value};

/// Why an answer could not be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Unreadable {
    /// It broke off: asking again may bring the rest.
    CutOff(String),
    /// It came and is not what was asked for.
    Unfit(String),
}

impl Unreadable {
    /// What was seen.
    pub fn message(&self) -> &str {
        match self {
            Self::CutOff(m) | Self::Unfit(m) => m,
        }
    }
}

/// The body as mappings see it.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum AnswerBody {
    /// No bytes.
    Empty,
    /// JSON.
    Json(Value),
    /// Text that is not JSON.
    Text(String),
    /// Neither; says what it is.
    Binary(String),
}

impl AnswerBody {
    /// The value that mappings read as `body`.
    pub fn value(&self) -> Value {
        match self {
            Self::Empty | Self::Binary(_) => Value::Null,
            Self::Json(v) => v.clone(),
            Self::Text(t) => Value::from(t.as_str()),
        }
    }

    /// Whether it is what a JSON interface answers with: then it was the remote that spoke, and not a proxy's page.
    pub const fn speaks_json(&self) -> bool {
        matches!(self, Self::Empty | Self::Json(_))
    }

    /// A note for messages, where the body is not JSON.
    pub fn note(&self) -> &str {
        match self {
            Self::Binary(note) => note,
            Self::Text(_) => "the answer is text, not JSON",
            Self::Empty => "the answer is empty",
            Self::Json(_) => "",
        }
    }
}

/// Reads the body, never more than `cap` bytes of it.
pub(crate) async fn read(response: &mut Response, cap: usize) -> Result<Vec<u8>, Unreadable> {
    let too_long = || Unreadable::Unfit(format!("the answer is longer than {cap} bytes; `request.max_response_bytes` sets the limit"));
    let announced = response.content_length().unwrap_or(0);
    if announced > cap as u64 {
        return Err(too_long());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(announced).unwrap_or(0));
    while let Some(chunk) = response.chunk().await.map_err(|e| Unreadable::CutOff(super::error::words(&e)))? {
        if bytes.len() + chunk.len() > cap {
            return Err(too_long());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Understands the bytes by their content type.
pub(crate) fn parse(headers: &HeaderMap, bytes: Vec<u8>) -> Result<AnswerBody, Unreadable> {
    if let Some(encoding) = headers.get(CONTENT_ENCODING).filter(|e| !e.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(Unreadable::Unfit(format!("the answer is compressed ({}), which was not asked for", encoding.to_str().unwrap_or("?"))));
    }
    if bytes.is_empty() {
        return Ok(AnswerBody::Empty);
    }
    let kind = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let says_json = essence == "application/json" || essence == "text/json" || essence.ends_with("+json");
    if says_json || essence.is_empty() || essence == "text/plain" {
        match serde_json::from_slice(&bytes) {
            // Plain text is JSON only where it cannot be meant as text.
            Ok(v @ (Value::Object(_) | Value::Array(_))) => return Ok(AnswerBody::Json(v)),
            Ok(v) if says_json => return Ok(AnswerBody::Json(v)),
            Err(e) if says_json => return Err(Unreadable::Unfit(format!("the answer is not JSON: {e}"))),
            _ => {}
        }
    }
    let length = bytes.len();
    Ok(match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => AnswerBody::Text(text),
        _ => AnswerBody::Binary(format!(
            "the answer is {length} bytes of {}, not text",
            if essence.is_empty() { "unnamed data" } else { &essence }
        )),
    })
}

/// The headers as mappings see them: lower-case names, several values joined. Cookies are kept out.
pub(crate) fn headers_value(headers: &HeaderMap) -> Value {
    let mut out = Map::new();
    for name in headers.keys().filter(|n| *n != http::header::SET_COOKIE) {
        let all: Vec<_> = headers.get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes())).collect();
        out.insert(name.as_str().to_owned(), Value::from(all.join(", ")));
    }
    Value::Object(out)
}

/// Integers beyond 2^53 have no canonical form: in outputs they travel as text, like everywhere else.
pub(crate) fn tame_integers(value: &mut Value) {
    match value {
        Value::Number(n) => {
            let beyond = n.as_u64().or_else(|| n.as_i64().map(i64::unsigned_abs)).is_some_and(|u| u > tollgate_core::canon::INTEGER_MAX);
            if beyond {
                *value = Value::from(n.to_string());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(tame_integers),
        Value::Object(map) => map.values_mut().for_each(tame_integers),
        _ => {}
    }
}

/// What a remote said about its refusal: the message inside a JSON error, or the text itself, in one clipped line.
pub(crate) fn reason(body: &AnswerBody) -> String {
    const FIELDS: [&str; 6] = ["message", "detail", "error_description", "error", "title", "errors"];
    match body {
        AnswerBody::Json(value) => {
            let mut at = value;
            while let Some(inner) = FIELDS.iter().find_map(|f| at.get(*f)).filter(|v| !v.is_null()) {
                at = inner;
            }
            at.as_str().map_or_else(|| at.to_string(), str::to_owned)
        }
        AnswerBody::Text(text) => text.clone(),
        AnswerBody::Binary(note) => note.clone(),
        AnswerBody::Empty => String::new(),
    }
}

/// One line of at most `max` characters.
pub(crate) fn one_line(text: &str, max: usize) -> String {
    let mut out = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
        if out.chars().count() > max {
            let mut cut: String = out.chars().take(max).collect();
            cut.push('…');
            return cut;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(kind: &str, bytes: &[u8]) -> Result<AnswerBody, Unreadable> {
        let mut headers = HeaderMap::new();
        if !kind.is_empty() {
            headers.insert(CONTENT_TYPE, kind.parse().unwrap());
        }
        parse(&headers, bytes.to_vec())
    }

    #[test]
    fn bodies_are_understood_by_their_type() {
        assert_eq!(answer("application/json; charset=utf-8", b" 1 "), Ok(AnswerBody::Json(json!(1))));
        assert_eq!(answer("application/problem+json", b"{}"), Ok(AnswerBody::Json(json!({}))));
        assert_eq!(answer("", b"{\"a\":1}"), Ok(AnswerBody::Json(json!({"a": 1}))));
        assert_eq!(answer("text/plain", b"42"), Ok(AnswerBody::Text("42".into())));
        assert_eq!(answer("text/html", b"<p>"), Ok(AnswerBody::Text("<p>".into())));
        assert_eq!(answer("image/png", b"\x89PNG\xff"), Ok(AnswerBody::Binary("the answer is 5 bytes of image/png, not text".into())));
        assert_eq!(answer("application/json", b""), Ok(AnswerBody::Empty));
        assert!(matches!(answer("application/json", b"<html>"), Err(Unreadable::Unfit(m)) if m.contains("not JSON")));
    }

    #[test]
    fn json_bombs_are_refused() {
        let deep = [b"[".repeat(100_000), b"]".repeat(100_000)].concat();
        assert!(matches!(answer("application/json", &deep), Err(Unreadable::Unfit(m)) if m.contains("recursion")));
    }

    #[test]
    fn reasons_are_found_inside_errors() {
        for (body, said) in [
            (json!({"error": {"message": "no such card", "code": 7}}), "no such card"),
            (json!({"message": "bad label"}), "bad label"),
            (json!({"detail": {"x": 1}}), r#"{"x":1}"#),
            (json!(["odd"]), r#"["odd"]"#),
        ] {
            assert_eq!(reason(&AnswerBody::Json(body)), said);
        }
        assert_eq!(one_line("a\r\n\tb\u{7}c", 10), "a b c");
        assert_eq!(one_line(&"x".repeat(50), 10), format!("{}…", "x".repeat(10)));
    }

    #[test]
    fn large_integers_become_text() {
        let mut v = json!({"id": u64::MAX, "neg": i64::MIN, "ok": 1_u64 << 53, "f": 1.5});
        tame_integers(&mut v);
        assert_eq!(v, json!({"id": "18446744073709551615", "neg": "-9223372036854775808", "ok": 1_u64 << 53, "f": 1.5}));
        assert!(tollgate_core::canon::canonical(&v).is_ok());
    }
}
