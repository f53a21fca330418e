//! What the description of the API says of every operation alike: security and error answers.

use std::collections::BTreeMap;

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Object, Ref, RefOr, Response, ResponseBuilder, Type};
use utoipa::{IntoResponses, Modify, OpenApi};

use crate::error::{ErrorBody, ErrorDetail, Problem};

/// The frame of the description.
#[derive(OpenApi)]
#[openapi(
    info(title = "Tollgate", description = "Lets agents and automations act on real systems, each action allowed, once, and provable."),
    components(schemas(ErrorBody, ErrorDetail, Problem)),
    modifiers(&Security)
)]
pub(crate) struct Frame;

struct Security;

impl Modify for Security {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let components = api.components.get_or_insert_default();
        components.add_security_scheme("api_key", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    }
}

fn error(status: u16) -> RefOr<Response> {
    let description = match status {
        400 => "The request is wrong: `invalid_parameter`, `invalid_json`, `invalid_cursor`",
        401 => "No usable API key or signature: `key_invalid`, `key_revoked`, `signature_invalid`",
        403 => "The API key may not do this: `insufficient_scope`",
        404 => "No such thing in this tenant and mode: `not_found`",
        408 => "The body did not arrive in time: `request_timeout`",
        409 => "It does not fit what is there: `idempotency_conflict`, `state_conflict`, `entity_locked`",
        410 => "What the cursor stands at is not kept any more: `cursor_expired`",
        413 => "The body is too long: `payload_too_large`",
        415 => "The content type is missing or not taken: `unsupported_media_type`",
        429 => "Too much at once: `rate_limited`",
        500 => "A fault of the service: `internal_error`",
        _ => "Not at the moment: `service_unavailable`, `secret_not_set`",
    };
    let content = |schema: &str| ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build();
    let mut response = ResponseBuilder::new()
        .description(description)
        .content("application/json", content("ErrorBody"))
        .content("application/problem+json", content("Problem"));
    if matches!(status, 409 | 429 | 503) {
        let seconds =
            HeaderBuilder::new().schema(Some(Object::with_type(Type::Integer))).description(Some("Seconds to wait before trying again"));
        response = response.header("Retry-After", seconds.build());
    }
    response.build().into()
}

macro_rules! errors {
    ($($(#[$doc:meta])* $name:ident: $($status:literal)*;)*) => {$(
        $(#[$doc])*
        pub(crate) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                [$($status),*].into_iter().map(|s: u16| (s.to_string(), error(s))).collect()
            }
        }
    )*};
}

errors! {
    /// Of reading lists.
    ListErrors: 400 401 403 500 503;
    /// Of reading one thing.
    ReadErrors: 400 401 403 404 500 503;
    /// Of a stream.
    StreamErrors: 400 401 403 410 500 503;
    /// Of the stream of one thing.
    OneStreamErrors: 400 401 403 404 410 500 503;
    /// Of a change that carries a body.
    WriteErrors: 400 401 403 404 408 409 413 415 500 503;
    /// Of a change without a body.
    ChangeErrors: 400 401 403 404 409 500 503;
    /// Of a webhook.
    HookErrors: 400 401 404 408 409 413 500 503;
    /// Of a page.
    PageErrors: 400 404 500;
    /// Of what only shows how the process is.
    ReadyErrors: 500 503;
    /// Of what only a fault of the service can keep from answering.
    AnyErrors: 500;
}
