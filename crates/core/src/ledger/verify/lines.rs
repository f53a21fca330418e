//! The lines of an export: one canonical JSON object each, ended by one line feed, the last one included.

use std::io::{BufRead, Read as _};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::failure::{FailureKind, VerifyFailure};
use crate::canon::canonical;
use crate::ledger::export::LINE_MAX;

pub(super) struct Lines<R> {
    reader: R,
    number: u64,
    pub bytes: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    pub(super) const fn new(reader: R) -> Self {
        Self { reader, number: 0, bytes: Vec::new() }
    }

    /// The line read last, from 1.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// Reads the next line into `bytes`, its line feed included. False at the end of the file.
    pub(super) fn read(&mut self) -> Result<bool, VerifyFailure> {
        self.bytes.clear();
        self.number += 1;
        let fail = |kind, message: String| Err(VerifyFailure::new(kind, message).line(self.number));
        if let Err(e) = (&mut self.reader).take(LINE_MAX as u64).read_until(b'\n', &mut self.bytes) {
            return fail(FailureKind::Io, format!("the file cannot be read: {e}"));
        }
        match self.bytes.last() {
            None => Ok(false),
            Some(b'\n') => Ok(true),
            Some(_) if self.bytes.len() >= LINE_MAX => fail(FailureKind::Format, format!("the line is longer than {LINE_MAX} bytes")),
            Some(_) => fail(FailureKind::Format, "the file is cut off in the middle of this line".into()),
        }
    }

    /// The line's `type` and its other fields.
    pub(super) fn parse(&self) -> Result<(String, Value), VerifyFailure> {
        let text = self.bytes.strip_suffix(b"\n").unwrap_or(&self.bytes);
        let mut value: Value = serde_json::from_slice(text)
            .map_err(|e| VerifyFailure::new(FailureKind::Format, format!("the line is not a JSON object: {}", reason(&e))))?;
        match canonical(&value) {
            Err(e) => return Err(VerifyFailure::new(FailureKind::NotCanonical, e.to_string())),
            Ok(form) if form != text => {
                let at = form.iter().zip(text).take_while(|(a, b)| a == b).count() + 1;
                return Err(VerifyFailure::new(
                    FailureKind::NotCanonical,
                    format!("the line is not in canonical form (RFC 8785), from byte {at} on: it was edited or reformatted"),
                ));
            }
            Ok(_) => {}
        }
        match value.as_object_mut().and_then(|o| o.remove("type")) {
            Some(Value::String(kind)) => Ok((kind, value)),
            _ => Err(VerifyFailure::new(FailureKind::Format, "the line is not an object with a `type`")),
        }
    }
}

/// The fields of a line as what its type says.
pub(super) fn fields<T: DeserializeOwned>(kind: &str, value: Value) -> Result<T, VerifyFailure> {
    serde_json::from_value(value)
        .map_err(|e| VerifyFailure::new(FailureKind::Format, format!("not a {kind} line of this format: {}", reason(&e))))
}

/// The parser's words, without the `at line 1`: the line is named by us.
fn reason(e: &serde_json::Error) -> String {
    e.to_string().replace(" at line 1 column", " at byte")
}
