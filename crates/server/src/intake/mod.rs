//! Events on their way in: bodies to envelopes, idempotency, storing. Everything the routes of events and webhooks share.

mod batch;
mod cloud;
mod envelope;
mod numbers;
mod raw;
mod store;

pub(crate) use batch::{Line, read_lines};
pub(crate) use envelope::{Draft, check_key, draft};
pub(crate) use numbers::{check_payload, check_value};
pub(crate) use raw::{RawEnvelope, json_fault};
pub(crate) use store::{KEY_KEPT, Keyed, Outcome, store_all};
