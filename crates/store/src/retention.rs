//! What retention and the removal of a tenant do with each table of either engine: the one place that says it, for tests to hold against the
//! catalogs, and for removal to go by.

use tollgate_core::ports::StoreError;

/// What becomes of a table's rows in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// Taken away with what they belong to, or by their age.
    Retired(&'static str),
    /// Rows of what is under way: gone with its end, without retention.
    Passing(&'static str),
    /// Kept, and why.
    Kept(&'static str),
}

/// What becomes of a table's rows when their tenant is removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Removal {
    /// Gone first: who may ask, and what is in force.
    Asking,
    /// Gone next: what opens its secrets and sealed values.
    Keys,
    /// Gone.
    Gone,
    /// Gone; but where the table has positions the tenant's newest row stays, since they count on from it, without its content: what is
    /// assigned to its columns. (One byte of a body: SQLite makes NULL of none.)
    Emptied(Option<&'static str>),
    /// Part of the tenant's logs, which go on proving themselves. What is sealed in them has lost its key.
    Log,
    /// Of no tenant.
    Nobodys,
}

use Removal::{Asking, Emptied, Gone, Keys, Log, Nobodys};
use Rule::{Kept, Passing, Retired};

/// Every table of either engine, by its name; partitions are named by what they are partitions of.
pub const RETENTION: &[(&str, Rule, Removal)] = &[
    ("actions", Retired("with their run"), Gone),
    ("api_keys", Kept("who could do what is asked long after; few rows"), Asking),
    ("approval_queues", Retired("with their request"), Gone),
    ("approvals", Retired("once answered and their action gone"), Gone),
    (
        "artifacts",
        Kept("verdicts of archived receipts are recomputed from them, and runs of graphs read them; content-addressed, one per deployment"),
        Gone,
    ),
    ("blobs", Retired("once no journal names them"), Gone),
    ("blocked", Passing("until the gate lets the compensation pass or a person gives it up"), Gone),
    ("checkpoints", Retired("but the last of each day and the newest"), Log),
    ("denials", Kept("a person's no stands until a person lifts it"), Gone),
    ("deployments", Kept("what a run was pinned to; one per deployment"), Asking),
    ("effect_keys", Kept("an effect key never expires: what took effect once must not again"), Gone),
    ("entries", Retired("after they are archived"), Log),
    ("epoch_logs", Kept("where a log lost its end; a row per log and restore"), Log),
    ("epoch_steps", Kept("what people said of each step; only restores write it"), Gone),
    ("event_positions", Retired("with their event"), Emptied(None)),
    (
        "events",
        Retired("by age, unless an open run or replay needs them"),
        Emptied(Some(
            "payload = 'null', source = '', event_type = '', subject = NULL, correlation_id = NULL, agent_id = NULL, session_id = NULL, traceparent = NULL",
        )),
    ),
    ("graphs", Retired("with their run"), Gone),
    ("held", Passing("until the step's commit or the end of its lease"), Gone),
    ("idempotency", Retired("when their time is over, retention or not"), Gone),
    ("journal", Retired("with its run"), Gone),
    ("key_waiters", Passing("until the key is settled"), Gone),
    ("label_sets", Kept("one row for each set of labels that any spec ever required"), Nobodys),
    ("lanes", Passing("until the step leaves its lane"), Gone),
    ("limits", Kept("one row for each limit of the active bundle"), Gone),
    ("logs", Kept("the head of each log"), Log),
    ("meta", Kept("a handful of settings"), Nobodys),
    ("openings", Passing("until a claim lets in what waited for room"), Gone),
    (
        "outbox",
        Retired("by the age of events, but the newest of each tenant and mode: streams count on from it"),
        Emptied(Some("body = substr(body, 1, 1), changes = 0")),
    ),
    ("outbox_queue", Passing("until the publisher gives the changes a position"), Gone),
    ("outbox_runs", Retired("with their run"), Gone),
    ("parked", Passing("until there is room under the limit"), Gone),
    ("places", Passing("until the claim ends"), Gone),
    ("positions", Retired("with their entry; the tiles stay"), Log),
    ("ready", Passing("until a worker claims the step"), Gone),
    ("replays", Retired("once over, but the newest: the next counts on from its number"), Gone),
    ("runs", Retired("by age, once they and all their actions are over"), Gone),
    ("scopes", Kept("one row per tenant and mode"), Log),
    ("secrets", Kept("until a person removes them"), Keys),
    ("sessions", Passing("until their lease lapses"), Nobodys),
    ("statuses", Kept("what is paused stays paused, and a tenant that is removed stays removed"), Log),
    ("subject_keys", Kept("archived values open with them; erased by erasure alone"), Gone),
    ("tellings", Passing("until the engine of steps was told"), Gone),
    ("tenant_keys", Kept("what everything of a tenant is sealed under"), Keys),
    ("tiles", Kept("roots of 256 entries and more: what is left of the log is proved by them; 1/255 of a row per entry"), Log),
    ("timers", Passing("until their time"), Gone),
    ("unpublished", Passing("until the publisher gives the event a position"), Gone),
    ("unsequenced", Passing("until the sequencer gives the entry a position"), Log),
];

/// The tables that lose a tenant's rows, in the order in which they do. Runs come last: rows of other tables may only say whose run they are of.
pub(crate) fn removed() -> impl Iterator<Item = (&'static str, Removal)> {
    let turn = |table: &str, removal: Removal| match removal {
        Asking => Some(0),
        Keys => Some(1),
        Gone | Emptied(_) => Some(if table == "runs" { 3 } else { 2 }),
        Log | Nobodys => None,
    };
    (0..=3).flat_map(move |now| RETENTION.iter().map(|(t, _, r)| (*t, *r)).filter(move |(t, r)| turn(t, *r) == Some(now)))
}

/// Said when a tenant cannot be removed yet.
pub(crate) fn not_over(open: u64) -> StoreError {
    StoreError::Conflict(format!(
        "{open} of the tenant's runs, actions, replays and untold changes are not over: suspend it, and let them end or cancel them"
    ))
}

/// The same of its logs.
pub(crate) fn not_signed(entries: u64) -> StoreError {
    StoreError::Conflict(format!("{entries} of the tenant's ledger entries are under no signed checkpoint: its logs are signed first"))
}
