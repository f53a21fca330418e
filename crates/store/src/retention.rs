//! What retention does with each table of either engine: the one place that says it, for tests to hold against the catalogs.

/// What becomes of a table's rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// Taken away with what they belong to, or by their age.
    Retired(&'static str),
    /// Rows of what is under way: gone with its end, without retention.
    Passing(&'static str),
    /// Kept, and why.
    Kept(&'static str),
}

use Rule::{Kept, Passing, Retired};

/// Every table of either engine, by its name; partitions are named by what they are partitions of.
pub const RETENTION: &[(&str, Rule)] = &[
    ("actions", Retired("with their run")),
    ("api_keys", Kept("who could do what is asked long after; few rows")),
    ("approval_queues", Retired("with their request")),
    ("approvals", Retired("once answered and their action gone")),
    (
        "artifacts",
        Kept("verdicts of archived receipts are recomputed from them, and runs of graphs read them; content-addressed, one per deployment"),
    ),
    ("blobs", Retired("once no journal names them")),
    ("blocked", Passing("until the gate lets the compensation pass or a person gives it up")),
    ("checkpoints", Retired("but the last of each day and the newest")),
    ("denials", Kept("a person's no stands until a person lifts it")),
    ("deployments", Kept("what a run was pinned to; one per deployment")),
    ("effect_keys", Kept("an effect key never expires: what took effect once must not again")),
    ("entries", Retired("after they are archived")),
    ("epoch_logs", Kept("where a log lost its end; a row per log and restore")),
    ("epoch_steps", Kept("what people said of each step; only restores write it")),
    ("event_positions", Retired("with their event")),
    ("events", Retired("by age, unless an open run or replay needs them")),
    ("fronts", Kept("hints; at most one row a label and tenant, written again and again")),
    ("graphs", Retired("with their run")),
    ("held", Passing("until the step's commit or the end of its lease")),
    ("idempotency", Retired("when their time is over, retention or not")),
    ("journal", Retired("with its run")),
    ("key_waiters", Passing("until the key is settled")),
    ("label_sets", Kept("one row for each set of labels that any spec ever required")),
    ("lanes", Passing("until the step leaves its lane")),
    ("limits", Kept("one row for each limit of the active bundle")),
    ("logs", Kept("the head of each log")),
    ("meta", Kept("a handful of settings")),
    ("openings", Passing("until a claim lets in what waited for room")),
    ("outbox", Retired("by the age of events, but the newest of each tenant and mode: streams count on from it")),
    ("outbox_queue", Passing("until the publisher gives the changes a position")),
    ("outbox_runs", Retired("with their run")),
    ("parked", Passing("until there is room under the limit")),
    ("places", Passing("until the claim ends")),
    ("positions", Retired("with their entry; the tiles stay")),
    ("ready", Passing("until a worker claims the step")),
    ("replays", Retired("once over, but the newest: the next counts on from its number")),
    ("runs", Retired("by age, once they and all their actions are over")),
    ("scopes", Kept("one row per tenant and mode")),
    ("secrets", Kept("until a person removes them")),
    ("sessions", Passing("until their lease lapses")),
    ("statuses", Kept("what is paused stays paused")),
    ("subject_keys", Kept("archived values open with them; erased by erasure alone")),
    ("tellings", Passing("until the engine of steps was told")),
    ("tenant_keys", Kept("what everything of a tenant is sealed under")),
    ("tiles", Kept("roots of 256 entries and more: what is left of the log is proved by them; 1/255 of a row per entry")),
    ("timers", Passing("until their time")),
    ("unpublished", Passing("until the publisher gives the event a position")),
    ("unsequenced", Passing("until the sequencer gives the entry a position")),
];
