//! Batches as JSON lines: every line is judged before anything is stored.

use crate::error::{ApiError, Code};

use super::{Draft, RawEnvelope, draft, json_fault};

/// A good line.
pub(crate) struct Line {
    /// Its number, from 1, blank lines counted.
    pub number: usize,
    pub draft: Draft,
}

/// Reads a batch. `max_event` is the longest line, in bytes.
///
/// # Errors
/// The fault of the first bad line, with its number.
pub(crate) fn read_lines(body: &[u8], max_event: usize, max_events: usize) -> Result<Vec<Line>, ApiError> {
    let mut out = Vec::new();
    for (i, bytes) in body.split(|b| *b == b'\n').enumerate() {
        let number = i + 1;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        if bytes.len() > max_event {
            return Err(ApiError::new(
                Code::PayloadTooLarge,
                format!("line {number} has {} bytes: one event has at most {max_event}", bytes.len()),
            ));
        }
        if out.len() == max_events {
            return Err(ApiError::new(Code::PayloadTooLarge, format!("the batch has more than {max_events} events: split it")));
        }
        let raw: RawEnvelope = serde_json::from_slice(bytes).map_err(|e| json_fault(&e, Some(number)))?;
        out.push(Line { number, draft: draft(raw, Some(number))? });
    }
    if out.is_empty() {
        return Err(ApiError::invalid("the batch holds no events: send one JSON object per line"));
    }
    Ok(out)
}
