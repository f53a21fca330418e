//! From what was seen to an outcome.
//!
//! | seen | a write | a read |
//! |---|---|---|
//! | nothing handed to a connection (refused, DNS, TLS, no connection in time) | not sent, may be tried again | the same |
//! | refused before (egress guard, missing secret, other host) | not sent, for good | the same |
//! | no answer in time, connection lost, after a connection took the request | ambiguous | rejected, may be tried again |
//! | a status that says neither applied nor rejected | ambiguous | 2xx, 408, 409, 425, 5xx: rejected, may be tried again; others: for good |
//! | rejected | rejected, even when the rest of its answer is lost | the same |
//! | applied, but the answer broke off, is too long, compressed, or claims to be JSON and is not | ambiguous | rejected |
//! | applied, answer empty or JSON, but the mapping or the output schema refuses it | applied; the output says `unusable_output` | rejected, for good |
//! | applied, answer not JSON, and the mapping or the output schema refuses it | ambiguous: a proxy's page is no declaration | rejected, for good |
//!
//! A read changes nothing, so that nothing can be in doubt: what did not answer did not happen. For a write, a status
//! that the tool declares to mean "applied" stays true when its output is of no use: calling that ambiguous would ask
//! again, or ask a person, about something that is known.

use std::time::Duration;

use reqwest::Response;
use serde_json::{Value, json};
use tollgate_core::attempt::AttemptOutcome;
use tollgate_core::canon;
use tollgate_core::spec::Effect;
use tollgate_core::time::Timestamp;
use tollgate_expr::Inputs;

use super::answer::{self, AnswerBody, Unreadable};
use super::status::StatusClass;
use super::{HttpTool, call};
use crate::scrub::Scrubber;

/// Longest message, in characters.
const MESSAGE_MAX: usize = 400;

/// What outcomes of one call depend on.
pub(crate) struct Outcomes<'a> {
    pub tool: &'a HttpTool,
    pub scrub: &'a Scrubber,
    pub keyed: bool,
    pub now: Timestamp,
}

impl Outcomes<'_> {
    /// Whether an answer of this status becomes the tool's output.
    pub fn is_output(&self, status: u16) -> bool {
        self.tool.rules.class(status, self.keyed) == StatusClass::Applied
    }

    /// Nobody can say whether it happened.
    pub fn in_doubt(&self, message: impl Into<String>, status: Option<u16>) -> AttemptOutcome {
        let message = self.say(&message.into());
        if self.tool.effect == Effect::Read {
            let retryable = status.is_none_or(|s| matches!(s, 200..300 | 408 | 409 | 425 | 500..600));
            return AttemptOutcome::Rejected { status, message, retryable, retry_after: None, settles_doubt: false };
        }
        AttemptOutcome::Ambiguous { message, status }
    }

    /// The outcome of an answer whose head came.
    pub fn of_answer(&self, response: &Response, read: Result<Vec<u8>, Unreadable>) -> AttemptOutcome {
        let status = response.status().as_u16();
        let read = read.and_then(|bytes| answer::parse(response.headers(), bytes));
        match self.tool.rules.class(status, self.keyed) {
            StatusClass::Applied => match read {
                Ok(body) => self.applied(response, status, &body),
                Err(unreadable) => self.unreadable(status, &unreadable),
            },
            StatusClass::Rejected { retryable, settles_doubt } => AttemptOutcome::Rejected {
                status: Some(status),
                message: self.said(status, read),
                retryable,
                retry_after: call::retry_after(response, self.now),
                settles_doubt,
            },
            StatusClass::Unknown => {
                let redirect = (300..400).contains(&status);
                let said = self.said(status, read);
                let message = if redirect { format!("{said}; redirects are not followed") } else { said };
                self.in_doubt(message, Some(status))
            }
        }
    }

    fn applied(&self, response: &Response, status: u16, body: &AnswerBody) -> AttemptOutcome {
        match self.output(response, status, body) {
            Ok(output) => AttemptOutcome::Applied { output, status: Some(status) },
            Err(why) => self.unusable(status, body, &why),
        }
    }

    fn output(&self, response: &Response, status: u16, body: &AnswerBody) -> Result<Value, String> {
        let mut output = match &self.tool.output {
            None => body.value(),
            Some(mapping) => {
                let (body, status, headers) = (body.value(), Value::from(status), answer::headers_value(response.headers()));
                let inputs = Inputs::new().with("body", &body).with("status", &status).with("headers", &headers);
                mapping.eval(&inputs).map_err(|e| format!("the output mapping does not fit the answer: {e}"))?
            }
        };
        if canon::too_deep(&output) {
            return Err(format!("its lists and objects stand more than {} deep in each other", canon::DEPTH_MAX));
        }
        self.scrub.value(&mut output);
        if let Some(schema) = &self.tool.output_schema {
            schema.check(&output).map_err(|faults| format!("the output does not fit the tool's schema: {}", faults.join("; ")))?;
        }
        answer::tame_integers(&mut output);
        Ok(output)
    }

    /// The status says "applied", and the answer is of no use.
    fn unusable(&self, status: u16, body: &AnswerBody, why: &str) -> AttemptOutcome {
        let note = body.note();
        let why = self.say(&if note.is_empty() { why.to_owned() } else { format!("{note}: {why}") });
        if self.tool.effect == Effect::Read {
            return AttemptOutcome::Rejected {
                status: Some(status),
                message: why,
                retryable: false,
                retry_after: None,
                settles_doubt: false,
            };
        }
        if body.speaks_json() {
            return AttemptOutcome::Applied { output: json!({ "unusable_output": why }), status: Some(status) };
        }
        AttemptOutcome::Ambiguous { message: format!("the remote answered {status}, but {why}"), status: Some(status) }
    }

    fn unreadable(&self, status: u16, unreadable: &Unreadable) -> AttemptOutcome {
        let message = self.say(&format!("the remote answered {status}, but {}", unreadable.message()));
        if self.tool.effect == Effect::Read {
            let retryable = matches!(unreadable, Unreadable::CutOff(_));
            return AttemptOutcome::Rejected { status: Some(status), message, retryable, retry_after: None, settles_doubt: false };
        }
        AttemptOutcome::Ambiguous { message, status: Some(status) }
    }

    fn said(&self, status: u16, read: Result<AnswerBody, Unreadable>) -> String {
        let reason = read.map(|body| answer::reason(&body)).unwrap_or_default();
        let reason = self.say(&reason);
        if reason.is_empty() { format!("the remote answered {status}") } else { format!("the remote answered {status}: {reason}") }
    }

    /// Scrubbed first and clipped after, so that the cut cannot leave half a secret behind.
    fn say(&self, text: &str) -> String {
        answer::one_line(&self.scrub.text(text), MESSAGE_MAX)
    }
}

/// A span in messages, such as `2.5 s`.
pub(crate) fn span(span: Duration) -> String {
    if span < Duration::from_secs(1) { format!("{} ms", span.as_millis()) } else { format!("{} s", span.as_millis() as f64 / 1000.0) }
}
