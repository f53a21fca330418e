//! The fields of an Operator and of a Policy.

use super::dispatch::{LIMITED, PRIORITY, REQUIRES};
use super::shape::{Field, Record, Shape};

/// `kind: Operator`.
pub(crate) static OPERATOR: Record = Record {
    what: "an Operator",
    doc: "A subscriber of events that proposes plans.",
    fields: &[
        Field::required("kind", Shape::Words(&["Operator"]), "Says what this document describes."),
        Field::required("name", Shape::Name, "Its name; policies read it as `Operator::\"NAME\"`."),
        Field::default("description", Shape::Text, "\"\"", "For people."),
        Field::required(
            "on",
            Shape::List { of: &Shape::Filled, min: 1 },
            "Globs over event types: `*` is exactly one segment between dots, `**` any number.",
        ),
        Field::optional("when", Shape::Filled, "CEL over `event`: propose only when true."),
        Field::required("propose", Shape::List { of: &Shape::Record(&ACTION), min: 1 }, "The actions it proposes, in order."),
        Field::default(
            "ordering",
            Shape::Words(&["relaxed", "strict"]),
            "\"relaxed\"",
            "`relaxed`: an action queues for its entity when it may be called; `strict`: in event order, so that a waiting approval blocks its entity.",
        ),
        Field::default("draft", Shape::Bool, "false", "It proposes, and nothing is admitted until it is activated."),
        REQUIRES,
        PRIORITY,
        LIMITED,
    ],
};

static ACTION: Record = Record {
    what: "an action",
    doc: "One action, as templates over `event`.",
    fields: &[
        Field::required("tool", Shape::Filled, "`connector.tool`, or a capability that `tollgate.toml` binds to a tool."),
        Field::optional("entity_key", Shape::Filled, "Template of the entity that it changes. Required for writes."),
        Field::optional(
            "idempotency_key",
            Shape::Filled,
            "Template of the operation's key. Required for writes. It must not use what differs per delivery.",
        ),
        Field::default("args", Shape::JsonMap, "{}", "Arguments, with templates in their strings. A lone `${…}` keeps its type."),
        Field::optional("value", Shape::Record(&VALUE), "The value at stake."),
        Field::optional("when", Shape::Filled, "CEL over `event`: propose this action only when true."),
        Field::default("independent", Shape::Bool, "false", "Runs beside the others, not after them."),
        Field::default("continue", Shape::Bool, "false", "A non-success of this action does not skip the rest."),
        PRIORITY,
    ],
};

static VALUE: Record = Record {
    what: "`value`",
    doc: "The value at stake.",
    fields: &[
        Field::required("amount_minor", Shape::Amount, "A whole number of the smallest unit, or a template that gives one."),
        Field::required("unit", Shape::Filled, "Template of the unit, such as `EUR`."),
    ],
};

/// `kind: Policy`.
pub(crate) static POLICY: Record = Record {
    what: "a Policy",
    doc: "What stands beside the Cedar policies.",
    fields: &[
        Field::required("kind", Shape::Words(&["Policy"]), "Says what this document describes."),
        Field::required("name", Shape::Name, "Its name."),
        Field::default("description", Shape::Text, "\"\"", "For people."),
        Field::optional(
            "approval_expires",
            Shape::Span,
            "How long an approval request waits for a person; 72h when no Policy says otherwise.",
        ),
        Field::default("queues", Shape::Set(&Shape::Filled), "[]", "The approval queues that this is for; all when empty."),
    ],
};
