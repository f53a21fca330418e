//! The stable error codes: their words, statuses and pages. Nothing else may invent one.

use http::StatusCode;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident, $word:literal, $status:ident, $kind:literal, $means:literal, $do:literal;)*) => {
        /// What went wrong, in one stable word.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The stable word.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$name => $word),* } }

            /// The HTTP status that always comes with it.
            pub const fn status(self) -> StatusCode { match self { $(Self::$name => StatusCode::$status),* } }

            /// The class of error.
            pub const fn kind(self) -> &'static str { match self { $(Self::$name => $kind),* } }

            /// What it means, for its page.
            pub const fn means(self) -> &'static str { match self { $(Self::$name => $means),* } }

            /// What to do about it, for its page.
            pub const fn to_do(self) -> &'static str { match self { $(Self::$name => $do),* } }
        }
    };
}

codes! {
    /// A parameter, header or field is wrong.
    InvalidParameter, "invalid_parameter", BAD_REQUEST, "invalid_request",
        "A query parameter, path segment, header or body field has a value that cannot be used, is missing, or looks misspelt. Nothing was done.",
        "The message names the parameter and says what was expected. Correct the request; sending it again unchanged gives the same answer.";
    /// The body is not JSON.
    InvalidJson, "invalid_json", BAD_REQUEST, "invalid_request",
        "The body is not well-formed JSON. In a batch of JSON lines one bad line refuses the whole batch, and nothing of it is stored.",
        "The message gives line and column. Numbers beyond 2^53 travel as strings, and text is UTF-8.";
    /// A cursor cannot be used.
    InvalidCursor, "invalid_cursor", BAD_REQUEST, "invalid_request",
        "The cursor was not made by this list, or the filters changed since it was made. A cursor is bound to its query.",
        "Start again without a cursor, or repeat exactly the query whose `next_cursor` it was. Only `limit` may change between pages.";
    /// A stream's cursor is older than what is kept.
    CursorExpired, "cursor_expired", GONE, "invalid_request",
        "The cursor of this stream stands at something that is not kept any more: retention has taken it away, and what followed it may be gone too.",
        "Leave the cursor out to start with the oldest that is kept, and read what lies before that from lists and receipts.";
    /// No usable API key.
    KeyInvalid, "key_invalid", UNAUTHORIZED, "authentication",
        "The request carries no API key, or one that this service does not know.",
        "Send `Authorization: Bearer sk_live_...` or `sk_test_...`. Keys are shown once, when they are made; make a new one if yours is lost.";
    /// The API key was revoked.
    KeyRevoked, "key_revoked", UNAUTHORIZED, "authentication",
        "The API key was valid once and has been revoked. It does not come back.",
        "Use another key, or have a new one made with `POST /v1/api_keys`.";
    /// A webhook's signature does not hold.
    SignatureInvalid, "signature_invalid", UNAUTHORIZED, "authentication",
        "The webhook carries no signature, one that does not match its body, or a timestamp too far from now. It was not parsed or stored.",
        "Check that the sender and the connector's secret agree, that nothing between them rewrites the body, and that both clocks are right.";
    /// The API key may not do this.
    InsufficientScope, "insufficient_scope", FORBIDDEN, "permission",
        "The API key is valid, but what it may do does not include this.",
        "The message names the scope that is needed. Use a key that has it, or `*`.";
    /// No such thing.
    NotFound, "not_found", NOT_FOUND, "not_found",
        "There is no such thing in this tenant and mode, or no such route. What belongs to the other mode (`live`, `test`) is not found either.",
        "Check the id and that the key is of the mode in which the thing was made. For a route, the message names the nearest one.";
    /// The route does not take this method.
    MethodNotAllowed, "method_not_allowed", METHOD_NOT_ALLOWED, "invalid_request",
        "The route exists, but not with this HTTP method.",
        "The `Allow` header lists the methods that it takes.";
    /// The body did not arrive in time.
    RequestTimeout, "request_timeout", REQUEST_TIMEOUT, "invalid_request",
        "The body did not arrive completely in the time allowed. Nothing was done.",
        "Send it again. Large batches go better in several parts.";
    /// The idempotency key came with another body.
    IdempotencyConflict, "idempotency_conflict", CONFLICT, "conflict",
        "The idempotency key was used before, with another body. Bodies are compared by value, not by spelling. Nothing was done.",
        "Send the first body to get its answer again, or choose a new key for a new request.";
    /// It is in another state than this needs.
    StateConflict, "state_conflict", CONFLICT, "conflict",
        "What you asked for does not fit the state that the thing is in, often because someone else was first.",
        "Read it again and decide on what you see.";
    /// Another action holds the entity or key.
    EntityLocked, "entity_locked", CONFLICT, "conflict",
        "Another action holds the lane of this entity or this effect key. Yours is stored and waits; it was neither done nor repeated.",
        "Wait for as long as `Retry-After` says, then repeat the request with the same `Idempotency-Key`, or read the action.";
    /// The body is too long.
    PayloadTooLarge, "payload_too_large", PAYLOAD_TOO_LARGE, "invalid_request",
        "The body, or one event of a batch, is longer than this service takes. Nothing was stored.",
        "The message gives the limit. Send less, or split a batch. Keep large data elsewhere and send a reference to it.";
    /// The content type is missing or not known here.
    UnsupportedMediaType, "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "invalid_request",
        "The request has a body without a `Content-Type`, or with one that this route does not take.",
        "Send `Content-Type: application/json`. The route of events also takes `application/cloudevents+json` and `application/x-ndjson`.";
    /// Too many at once.
    RateLimited, "rate_limited", TOO_MANY_REQUESTS, "rate_limit",
        "Too much is asked for at once. Nothing was done.",
        "Wait for as long as `Retry-After` says, and ask less often.";
    /// A webhook's secret is not set.
    SecretNotSet, "secret_not_set", SERVICE_UNAVAILABLE, "unavailable",
        "The connector takes webhooks, but the secret that verifies them is not set. An unverified webhook is refused, never let through.",
        "Set the secret with `PUT /v1/secrets/{name}` or `tollgate secrets set`. The sender's next delivery will then pass.";
    /// Try later.
    ServiceUnavailable, "service_unavailable", SERVICE_UNAVAILABLE, "unavailable",
        "The service cannot do this at the moment: its store does not answer or cannot write, or it is stopping.",
        "Wait for as long as `Retry-After` says, then repeat the request with the same `Idempotency-Key`: it takes effect once.";
    /// Our fault.
    InternalError, "internal_error", INTERNAL_SERVER_ERROR, "internal",
        "Something failed that should not have. This is a fault of the service, not of the request.",
        "Tell the operator of the service the `request_id`. Repeating the request with the same `Idempotency-Key` is safe.";
}

impl Code {
    /// Reads the stable word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|c| c.as_str() == text)
    }
}
