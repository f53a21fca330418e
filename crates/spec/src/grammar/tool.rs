//! The fields of a tool and of its request.

use super::dispatch::{LIMITED, PRIORITY, REQUIRES};
use super::shape::{Field, Keys, Record, Shape, Tagged, Variant};

pub(super) static TOOL: Record = Record {
    what: "a tool",
    doc: "What can be done in a system, and how it is done.",
    fields: &[
        Field::default("description", Shape::Text, "\"\"", "For people and agents."),
        Field::optional(
            "effect",
            Shape::Words(&["read", "write"]),
            "Whether it changes the outside world. Left out: `read` for GET and HEAD and for the files operations `read` and `check`, else `write`.",
        ),
        Field::optional(
            "grade",
            Shape::Words(&["keyed", "verifiable", "at_most_once"]),
            "What may be done when the outcome of a write is not known. Left out: `verifiable` for a files `write`, else `at_most_once`.",
        ),
        Field::optional("key_ttl", Shape::Span, "How long the remote honours an idempotency key. Required by `keyed`, and only there."),
        Field::optional(
            "verify",
            Shape::Record(&VERIFY),
            "How to ask whether it happened. Required by `verifiable`; a files `write` brings its own.",
        ),
        Field::optional(
            "undo",
            Shape::Record(&UNDO),
            "The write that takes its effect back, when its run is cancelled while it is under way. Only writes have one.",
        ),
        Field::default("identity", Shape::Set(&Shape::Filled), "[]", "The arguments that make it the same operation."),
        Field::default(
            "classes",
            Shape::Set(&Shape::Name),
            "[]",
            "`destructive`, `financial`, `customer_facing`, or words of your own; policies read them as `Action::\"class:WORD\"`.",
        ),
        Field::optional(
            "input",
            Shape::Schema,
            "JSON Schema of the arguments, an object. Left out: no arguments. Objects are closed unless they say otherwise.",
        ),
        Field::optional("output", Shape::Schema, "JSON Schema of the output."),
        Field::default("on_unknown", Shape::Words(&["hold", "release"]), "\"hold\"", "What an unknown outcome does to the entity's lane."),
        Field::default("retry", Shape::Record(&RETRY), "{}", "Attempts that did not happen are made again."),
        REQUIRES,
        PRIORITY,
        LIMITED,
        Field::required("request", Shape::Marked(&[("op", &Shape::Tagged(&FILES)), ("", &Shape::Record(&HTTP))]), "How it is performed."),
    ],
};

static VERIFY: Record = Record {
    what: "`verify`",
    doc: "How a verifiable tool is asked whether its effect happened.",
    fields: &[
        Field::required("tool", Shape::Filled, "The read tool, by its name in this connector or by full name."),
        Field::optional("args", Shape::JsonMap, "Arguments of the read tool; templates over `args`. The write's own when left out."),
        Field::required("settle", Shape::Span, "How long after a call's deadline the remote may still apply it."),
        Field::default("happened", Shape::Filled, "\"output == true\"", "CEL over `output` and `args`: true when the effect happened."),
    ],
};

static UNDO: Record = Record {
    what: "`undo`",
    doc: "The write that takes a write's effect back: an action of the same run, under the key `undo:<action>`, through the whole gate.",
    fields: &[
        Field::required("tool", Shape::Filled, "The write tool, by its name in this connector or by full name. It has no `undo` itself."),
        Field::optional(
            "args",
            Shape::JsonMap,
            "Its arguments; templates over `args` and `output` of the write. The write's own arguments when left out.",
        ),
    ],
};

static RETRY: Record = Record {
    what: "`retry`",
    doc: "When and how often an attempt that did not happen is made again.",
    fields: &[
        Field::default("max_attempts", Shape::Whole { min: 1, max: 1000 }, "5", "Attempts in all before the action is `failed`."),
        Field::default("base", Shape::Span, "\"200ms\"", "Wait before the second attempt; it doubles each time."),
        Field::default("cap", Shape::Span, "\"1m\"", "The longest wait."),
    ],
};

static STATUS: Shape = Shape::Whole { min: 100, max: 599 };

static HTTP: Record = Record {
    what: "an HTTP request",
    doc: "An HTTP call, as templates over `args` and `config`.",
    fields: &[
        Field::required("method", Shape::Words(&["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]), "The method."),
        Field::required("url", Shape::Filled, "Template of the URL. Arguments are percent-encoded as one path segment or query value."),
        Field::default(
            "headers",
            Shape::Map { keys: Keys::Any, of: &Shape::Text },
            "{}",
            "Extra headers, as templates. Authentication does not belong here.",
        ),
        Field::default(
            "query",
            Shape::Map { keys: Keys::Any, of: &Shape::Json },
            "{}",
            "Query parameters, as templates; null and missing values are left out.",
        ),
        Field::optional("json", Shape::Json, "JSON body with templates in its strings."),
        Field::default("timeout", Shape::Span, "\"10s\"", "The deadline of one attempt."),
        Field::optional("idempotency_header", Shape::Filled, "The header that carries the remote key of a `keyed` tool."),
        Field::optional("applied", Shape::Set(&STATUS), "Statuses that mean the effect is applied. Any 2xx when left out."),
        Field::optional(
            "rejected",
            Shape::Set(&STATUS),
            "Statuses by which the remote declares that nothing happened. 4xx but 408, 409 and 425 when left out.",
        ),
        Field::optional(
            "retryable",
            Shape::Set(&STATUS),
            "Of the rejected ones, those that may be tried again. 401, 429 and 503 when left out.",
        ),
        Field::optional(
            "output",
            Shape::Json,
            "Mapping of the answer to the output: a template over `body`, `status` and `headers`. The JSON body when left out.",
        ),
        Field::default("max_response_bytes", Shape::Whole { min: 1, max: 16_777_216 }, "262144", "The longest answer read, in bytes."),
    ],
};

const PATH: Field = Field::required("path", Shape::Filled, "Template of the path below the root.");
const CONTENT: Field =
    Field::required("content", Shape::Json, "The whole content: text with templates, or any other value, which is written as JSON.");

static FILES: Tagged = Tagged {
    what: "a files request",
    doc: "What is done with a file, as templates over `args` and `config`.",
    tag: "op",
    tag_doc: "The operation.",
    common: &[PATH],
    variants: &[
        Variant { word: "write", doc: "Replaces a whole file, atomically and durably.", fields: &[CONTENT] },
        Variant { word: "read", doc: "Reads a file: `{path, content, sha256}`.", fields: &[] },
        Variant { word: "check", doc: "Tells whether a file has exactly this content: `{exists, sha256, matches}`.", fields: &[CONTENT] },
    ],
};
