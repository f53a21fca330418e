//! JSON views of records: what clients see. Views borrow; they decide nothing.

mod event;

pub(crate) use event::{EventView, event_json};
