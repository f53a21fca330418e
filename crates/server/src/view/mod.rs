//! JSON views of records: what clients see. They decide nothing.

mod action;
mod change;
mod config;
mod entry;
mod event;
mod event_in;
mod queue;
mod run;

use bytes::Bytes;
use serde_json::value::RawValue;

pub(crate) use action::{ActionView, ApprovalView, LiftedView};
pub(crate) use change::ChangeView;
pub(crate) use config::{ConnectorView, KeyView, NewKeyView, OperatorView, PoliciesView, SecretView};
pub(crate) use entry::{CheckpointView, EntryView, HopView};
pub(crate) use event::{EventView, OwnedEvent, event_json};
pub(crate) use event_in::{CloudEventIn, EventIn};
pub(crate) use queue::QueueView;
pub(crate) use run::{PlanView, ReplayView, RunActionView, RunDetailView, RunView};

/// Stored JSON as it is; none when it is not JSON.
pub(crate) fn raw_json(bytes: &[u8]) -> Option<Box<RawValue>> {
    serde_json::from_slice(bytes).ok()
}

/// An answer's bytes.
pub(crate) fn to_bytes(view: &impl serde::Serialize) -> Bytes {
    // Views hold text, numbers and raw JSON: writing them to memory cannot fail.
    serde_json::to_vec(view).unwrap_or_default().into()
}
