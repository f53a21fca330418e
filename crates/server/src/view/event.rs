//! Events as clients see them.

use serde::Serialize;
use serde_json::value::RawValue;
use tollgate_core::event::Event;
use tollgate_core::id::{EventId, ResellerId, TenantId};
use tollgate_core::time::Timestamp;
use utoipa::ToSchema;

/// A stored event.
#[derive(Serialize, ToSchema)]
#[schema(as = Event)]
pub(crate) struct EventView<'a> {
    /// Its id.
    #[schema(value_type = String, example = "ev_01hzy0000000000000000000000")]
    pub id: EventId,
    /// Always `event`.
    pub object: &'static str,
    /// Who owns the tenant.
    #[schema(value_type = String)]
    pub reseller_id: ResellerId,
    /// Whose it is.
    #[schema(value_type = String)]
    pub tenant_id: TenantId,
    /// `live` or `test`.
    pub mode: &'static str,
    /// Where it comes from.
    pub source: &'a str,
    /// Dotted type.
    pub event_type: &'a str,
    /// What it is about.
    pub subject: Option<&'a str>,
    /// When it happened.
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    /// When it came.
    #[schema(value_type = String, format = DateTime)]
    pub received_at: Timestamp,
    /// Ties together what belongs to one story.
    pub correlation_id: Option<&'a str>,
    /// The agent it concerns.
    pub agent_id: Option<&'a str>,
    /// The session it concerns.
    pub session_id: Option<&'a str>,
    /// W3C trace context.
    pub traceparent: Option<&'a str>,
    /// The payload as it came.
    #[schema(value_type = serde_json::Value)]
    pub payload: &'a RawValue,
}

impl<'a> From<&'a Event> for EventView<'a> {
    fn from(e: &'a Event) -> Self {
        Self {
            id: e.id,
            object: "event",
            reseller_id: e.scope.reseller_id,
            tenant_id: e.scope.tenant_id,
            mode: e.scope.mode.as_str(),
            source: &e.source,
            event_type: &e.event_type,
            subject: e.subject.as_deref(),
            time: e.time,
            received_at: e.received_at,
            correlation_id: e.correlation_id.as_deref(),
            agent_id: e.agent_id.as_deref(),
            session_id: e.session_id.as_deref(),
            traceparent: e.traceparent.as_deref(),
            payload: &e.payload,
        }
    }
}

/// An event as JSON.
pub(crate) fn event_json(event: &Event) -> Vec<u8> {
    let mut out = Vec::with_capacity(512 + event.payload.get().len());
    // Views hold text and raw JSON: writing them to memory cannot fail.
    let _ = serde_json::to_writer(&mut out, &EventView::from(event));
    out
}

/// An event that is owned, as clients see it.
pub(crate) struct OwnedEvent(pub Event);

impl Serialize for OwnedEvent {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        EventView::from(&self.0).serialize(s)
    }
}
