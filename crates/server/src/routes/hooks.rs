//! `POST /v1/hooks/{connector}`: webhooks, verified over the raw body before anything is parsed.

use std::time::Duration;

use axum::extract::{Request, State as AxumState};
use axum::response::Response;
use tollgate_core::event::{Event, check_event_type};
use tollgate_core::hash::Digest;
use tollgate_core::id::EventId;
use tollgate_core::ports::Dedupe;

use crate::body::read_body;
use crate::deps::App;
use crate::docs::HookErrors;
use crate::error::ApiError;
use crate::extract::Segment;
use crate::intake::{Keyed, Outcome, check_payload, store_all};
use crate::view::EventView;

/// How long a delivery is known again.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Take a webhook. It needs no API key: the connector's signature stands for it.
#[utoipa::path(post, path = "/v1/hooks/{connector}", tag = "events",
    params(("connector" = String, Path, description = "The connector's name")),
    request_body(description = "Whatever the sender signs", content((serde_json::Value = "application/json"))),
    responses((status = 201, description = "Stored", body = EventView), (status = 200, description = "Seen before", body = EventView), HookErrors))]
pub(crate) async fn post_hook(AxumState(app): AxumState<App>, Segment(connector): Segment, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let none = || ApiError::not_found(format!("no connector `{}` takes webhooks", connector.escape_debug()));
    let scope = app.options.hooks.ok_or_else(none)?;
    let active = app.deps.bundles.active(scope).ok_or_else(none)?;
    let webhooks = &active.bundle.webhooks;
    let secret = webhooks.webhook_secret_of(&connector).ok_or_else(none)?;
    let raw = read_body(&parts.headers, body, app.options.max_body, app.options.body_timeout).await?;
    let header = |name: &str| parts.headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let now = app.deps.ids.now();
    let verified = {
        let lease = app.deps.sealer.lease(scope, secret).await?;
        webhooks.verify_webhook(&connector, &header, &raw, &lease, now)?
    };
    check_event_type(&verified.event_type)
        .map_err(|m| ApiError::invalid(format!("the connector's template made an event type that cannot be: {m}")))?;
    check_payload(&verified.payload, "body", None)?;
    let dedupe = Dedupe {
        route: format!("hook:{connector}"),
        key: short(verified.dedupe_key),
        fingerprint: Digest::of(&raw),
        expires_at: now.plus(KEPT),
    };
    let event = Event {
        id: EventId::from_bytes(app.deps.ids.uuid()),
        scope,
        source: connector,
        event_type: verified.event_type,
        subject: verified.subject,
        time: now,
        received_at: now,
        correlation_id: None,
        agent_id: None,
        session_id: None,
        traceparent: None,
        payload: verified.payload,
    };
    let keyed = [Keyed { event, dedupe: Some(dedupe) }];
    let outcome = store_all(&app, scope, &keyed).await?.first().copied().unwrap_or(Outcome::Stored);
    let [Keyed { event, .. }] = &keyed;
    super::events::answer(&app, scope, outcome, event).await
}

/// Delivery ids come from outside and may be of any length.
fn short(key: String) -> String {
    if (1..=255).contains(&key.len()) { key } else { Digest::of(key.as_bytes()).to_hex() }
}
