//! The fields that say how steps wait for a worker.

use super::shape::{Field, Record, Shape};

/// How steps wait for a worker.
pub(super) static CONCURRENCY: Record = Record {
    what: "`concurrency`",
    doc: "How many may be under way at once, over all workers.",
    fields: &[
        Field::required(
            "limit",
            Shape::Whole { min: 1, max: 100_000 },
            "The most at once. A deployment changes it at once for all that waits.",
        ),
        Field::optional(
            "key",
            Shape::Filled,
            "CEL that gives what is counted apart: over `args` for a tool, over `event` for an operator. All together when left out.",
        ),
    ],
};
pub(super) const REQUIRES: Field =
    Field::default("requires", Shape::Set(&Shape::Filled), "[]", "Labels: only workers that have all of them take its steps.");
pub(super) const PRIORITY: Field = Field::optional(
    "priority",
    Shape::Whole { min: 0, max: 9 },
    "0 to 9, 0 when left out. Each point counts as half a minute of waiting, so that nothing starves. An action's own goes before its operator's, and that before its tool's.",
);
pub(super) const LIMITED: Field = Field::optional("concurrency", Shape::Record(&CONCURRENCY), "How many at once.");
