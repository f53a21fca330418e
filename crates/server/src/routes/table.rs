//! The table of routes: what answers where, and the description of it all.

use axum::Router;
use axum::middleware::from_fn_with_state;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::deps::{App, Deps, Options, State};
use crate::docs::Frame;
use crate::layers::outermost;

use super::unknown::{no_method, no_route};
use super::{actions, approvals, config, events, events_read, hooks, keys, meta, queue, receipts, replays, runs, secrets, stream};

fn table() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Frame::openapi())
        .routes(routes!(events::post_event, events_read::list_events))
        .routes(routes!(stream::stream))
        .routes(routes!(stream::changes))
        .routes(routes!(stream::of_run))
        .routes(routes!(events_read::get_event))
        .routes(routes!(hooks::post_hook))
        .routes(routes!(runs::list_runs))
        .routes(routes!(runs::get_run))
        .routes(routes!(runs::cancel_run))
        .routes(routes!(queue::get_queue))
        .routes(routes!(runs::list_plans))
        .routes(routes!(runs::get_plan))
        .routes(routes!(actions::list_actions, actions::post_action))
        .routes(routes!(actions::get_action))
        .routes(routes!(actions::resolve_action))
        .routes(routes!(actions::lift_denial))
        .routes(routes!(approvals::list_approvals))
        .routes(routes!(approvals::get_approval))
        .routes(routes!(approvals::approve))
        .routes(routes!(approvals::deny))
        .routes(routes!(receipts::list_receipts))
        .routes(routes!(receipts::export))
        .routes(routes!(receipts::get_receipt))
        .routes(routes!(receipts::checkpoint))
        .routes(routes!(replays::list_replays, replays::post_replay))
        .routes(routes!(replays::get_replay))
        .routes(routes!(config::list_operators))
        .routes(routes!(config::get_operator))
        .routes(routes!(config::pause_operator))
        .routes(routes!(config::activate_operator))
        .routes(routes!(config::list_connectors))
        .routes(routes!(config::get_connector))
        .routes(routes!(config::get_policies))
        .routes(routes!(secrets::list_secrets))
        .routes(routes!(secrets::get_secret, secrets::put_secret, secrets::delete_secret))
        .routes(routes!(keys::list_keys, keys::post_key))
        .routes(routes!(keys::get_key, keys::delete_key))
        .routes(routes!(meta::healthz))
        .routes(routes!(meta::readyz))
        .routes(routes!(meta::description))
        .routes(routes!(meta::metrics))
        .routes(routes!(meta::error_index))
        .routes(routes!(meta::error_page))
}

/// The whole API as one router, to be served or called in-process.
pub fn router(deps: Deps, options: Options) -> Router {
    let app = State::new(deps, options);
    let (router, _) = table().split_for_parts();
    let router = router.fallback(no_route).method_not_allowed_fallback(no_method);
    router.layer(from_fn_with_state(app.clone(), outermost)).with_state(app)
}

/// The description of the API: OpenAPI 3.1.
pub fn openapi() -> serde_json::Value {
    serde_json::to_value(table().into_openapi()).unwrap_or_default()
}
