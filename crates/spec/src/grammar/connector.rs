//! The fields of a Connector, but for its tools.

use super::shape::{Field, Keys, Record, Shape, Tagged, Variant};
use super::tool::TOOL;

/// `kind: Connector`.
pub(crate) static CONNECTOR: Record = Record {
    what: "a Connector",
    doc: "A described outside system: where it is, how calls authenticate, what it sends, and its tools.",
    fields: &[
        Field::required("kind", Shape::Words(&["Connector"]), "Says what this document describes."),
        Field::required("name", Shape::Name, "Its name: the first half of its tools' full names."),
        Field::default("description", Shape::Text, "\"\"", "For people."),
        Field::default(
            "transport",
            Shape::WordOr(&["http"], &TRANSPORT),
            "\"http\"",
            "What carries its tools: `http`, or `{ files: { root: FOLDER } }` for local files.",
        ),
        Field::default(
            "auth",
            Shape::Tagged(&AUTH),
            "{\"kind\":\"none\"}",
            "How calls authenticate. Secrets are named here, never written.",
        ),
        Field::default(
            "config",
            Shape::JsonMap,
            "{}",
            "Values that request templates read as `config`. `tollgate.toml` may override them.",
        ),
        Field::optional(
            "test",
            Shape::Record(&TEST),
            "Where calls lead in `test` mode. Without it test mode answers from a stub that says so.",
        ),
        Field::default("egress", Shape::Record(&EGRESS), "{}", "Exceptions to the egress guard."),
        Field::optional("events", Shape::Record(&EVENTS), "What the system sends."),
        Field::default(
            "tools",
            Shape::Map { keys: Keys::Names, of: &Shape::Record(&TOOL) },
            "{}",
            "What can be done in the system, by name.",
        ),
    ],
};

static TRANSPORT: Record = Record {
    what: "`transport`",
    doc: "What carries the tools of a connector that is not HTTP.",
    fields: &[Field::required("files", Shape::Record(&FILES), "Local files below one folder.")],
};

static FILES: Record = Record {
    what: "`files`",
    doc: "Local files below one folder.",
    fields: &[Field::required(
        "root",
        Shape::Filled,
        "The folder. A relative path starts at the project. In test mode it is `test.config.root`.",
    )],
};

static TEST: Record = Record {
    what: "`test`",
    doc: "The test transport of a connector.",
    fields: &[Field::required("config", Shape::JsonMap, "Values of `config` in test mode, in place of the live ones.")],
};

static EGRESS: Record = Record {
    what: "`egress`",
    doc: "Exceptions to the egress guard, which refuses loopback, private and link-local addresses.",
    fields: &[Field::default(
        "allow_private",
        Shape::Set(&Shape::Filled),
        "[]",
        "`host` or `host:port` whose private addresses may be reached.",
    )],
};

static EVENTS: Record = Record {
    what: "`events`",
    doc: "What the system sends.",
    fields: &[Field::required(
        "webhook",
        Shape::Tagged(&WEBHOOK),
        "Incoming webhooks: verified over the raw body, then mapped to an event.",
    )],
};

static AUTH: Tagged = Tagged {
    what: "`auth`",
    doc: "How calls authenticate. The named secret is leased from the vault for one call.",
    tag: "kind",
    tag_doc: "The way of authentication.",
    common: &[],
    variants: &[
        Variant { word: "none", doc: "No authentication.", fields: &[] },
        Variant {
            word: "bearer",
            doc: "`Authorization: Bearer SECRET`.",
            fields: &[Field::required("secret", Shape::Filled, "Name of the secret.")],
        },
        Variant {
            word: "api_key",
            doc: "A key in a header.",
            fields: &[
                Field::required("secret", Shape::Filled, "Name of the secret."),
                Field::default("header", Shape::Filled, "\"X-API-Key\"", "The header."),
            ],
        },
        Variant {
            word: "basic",
            doc: "HTTP Basic.",
            fields: &[
                Field::required("username", Shape::Filled, "The user name, which is no secret."),
                Field::required("secret", Shape::Filled, "Name of the secret that is the password."),
            ],
        },
    ],
};

const TOLERANCE: Field = Field::default("tolerance", Shape::Span, "\"5m\"", "How far the timestamp may lie from now.");

static WEBHOOK: Tagged = Tagged {
    what: "`webhook`",
    doc: "How deliveries are verified, and which event they become.",
    tag: "scheme",
    tag_doc: "How deliveries are signed.",
    common: &[
        Field::required("secret", Shape::Filled, "Name of the secret that verifies. An unsigned webhook is refused, never skipped."),
        Field::required(
            "event_type",
            Shape::Filled,
            "Template of the event type over `headers` (lower-case names) and `body`. A segment whose value is missing is left out.",
        ),
        Field::optional("subject", Shape::Filled, "Template of the event's subject over `headers` and `body`."),
    ],
    variants: &[
        Variant {
            word: "github",
            doc: "`X-Hub-Signature-256`. Deduplicated on the body's digest: GitHub signs no delivery id.",
            fields: &[],
        },
        Variant {
            word: "standard_webhooks",
            doc: "Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature`.",
            fields: &[TOLERANCE],
        },
        Variant {
            word: "hmac",
            doc: "HMAC-SHA256 in a header, over the body, or over timestamp, dot and body.",
            fields: &[
                Field::required("signature_header", Shape::Filled, "The header with the signature."),
                Field::default("prefix", Shape::Text, "\"\"", "Text before the signature in the header, such as `sha256=`."),
                Field::default("encoding", Shape::Words(&["hex", "base64"]), "\"hex\"", "How the signature is written."),
                Field::optional(
                    "timestamp_header",
                    Shape::Filled,
                    "The header with the time in Unix seconds; signed as `TIMESTAMP.BODY` when given.",
                ),
                TOLERANCE,
                Field::optional(
                    "delivery_id",
                    Shape::Filled,
                    "JSON pointer to the field of the body that identifies the delivery; the body's digest when left out.",
                ),
            ],
        },
    ],
};
