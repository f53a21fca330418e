//! Row security: as each role, with every kind of tenant set, on every table of the catalog.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Client;

use crate::base::{attempt, connect, database, rows, yes};
use crate::catalog::{Table, tables};

const A: &str = "aaaaaaaa-0000-7000-8000-000000000001";
const B: &str = "bbbbbbbb-0000-7000-8000-000000000002";
const NOBODY: &str = "cccccccc-0000-7000-8000-000000000003";
/// Rows of each tenant and mode in each table that may have several.
const EACH: u64 = 2;

const DENIED: &str = "42501";

/// Tables that row security does not cover, and all that may stand in them.
const OPEN_TO_ALL: &[(&str, &[&str])] = &[
    ("meta", &["k", "v"]),
    ("scopes", &["reseller_id", "tenant_id", "mode", "log"]),
    ("sessions", &["id", "expires_at", "labels"]),
    ("label_sets", &["id", "labels"]),
];

/// Tables that are read across tenants, or whose rows only say who is next: no content, ever.
const DISPATCH: &[&str] = &[
    "ready",
    "held",
    "timers",
    "sessions",
    "lanes",
    "key_waiters",
    "blocked",
    "tellings",
    "unsequenced",
    "unpublished",
    "parked",
    "places",
    "openings",
    "limits",
    "label_sets",
];

/// What such a table may hold: ids, digests, order and fences.
const DISPATCH_COLUMNS: &[(&str, &str)] = &[
    ("reseller_id", "uuid"),
    ("tenant_id", "uuid"),
    ("mode", "smallint"),
    ("id", "uuid"),
    ("step", "uuid"),
    ("node", "bigint"),
    ("run_id", "uuid"),
    ("action", "uuid"),
    ("entry", "uuid"),
    ("event", "uuid"),
    ("session", "uuid"),
    ("kind", "smallint"),
    ("what", "smallint"),
    ("n", "bigint"),
    ("at", "bigint"),
    ("expires_at", "bigint"),
    ("ticket", "bigint"),
    ("fence", "bigint"),
    ("lane", "bytea"),
    ("key", "bytea"),
    ("leaf_hash", "bytea"),
    ("id", "bigint"),
    ("label", "bigint"),
    ("due", "bigint"),
    ("priority", "smallint"),
    ("until", "bigint"),
    ("limits", "bytea"),
    ("limit_id", "uuid"),
    ("class", "uuid"),
    ("max", "bigint"),
    // Names that operators of the installation give to workers.
    ("labels", "text"),
];

/// What is written once: nobody who serves may change or remove it.
const NEVER_CHANGED: &[&str] = &[
    "events",
    "entries",
    "positions",
    "tiles",
    "checkpoints",
    "journal",
    "event_positions",
    "outbox",
    "outbox_runs",
    "artifacts",
    "blobs",
    "deployments",
    "subject_keys",
];

/// All that a worker may write: execution state, and additions to the ledger.
const WORKER_WRITES: &[(&str, &str)] = &[
    ("actions", "INSERT UPDATE"),
    ("approval_queues", "INSERT"),
    ("approvals", "INSERT UPDATE"),
    ("blobs", "INSERT"),
    ("blocked", "INSERT DELETE"),
    ("denials", "INSERT UPDATE"),
    ("effect_keys", "INSERT UPDATE"),
    ("entries", "INSERT"),
    ("graphs", "UPDATE"),
    ("held", "INSERT UPDATE DELETE"),
    ("journal", "INSERT"),
    ("key_waiters", "INSERT DELETE"),
    ("lanes", "INSERT UPDATE DELETE"),
    ("openings", "INSERT"),
    ("parked", "INSERT DELETE"),
    ("outbox_queue", "INSERT"),
    ("ready", "INSERT DELETE"),
    ("runs", "UPDATE"),
    ("sessions", "INSERT UPDATE DELETE"),
    ("subject_keys", "INSERT"),
    ("tellings", "INSERT DELETE"),
    ("timers", "INSERT DELETE"),
    ("unsequenced", "INSERT"),
];

/// Tenants of a transaction, live and test.
#[derive(Clone, Copy, Debug)]
struct Set {
    live: &'static [&'static str],
    test: &'static [&'static str],
}

const SETS: &[Set] = &[
    Set { live: &[], test: &[] },
    Set { live: &[A], test: &[] },
    Set { live: &[], test: &[A] },
    Set { live: &[A], test: &[B] },
    Set { live: &[A, B], test: &[A, B] },
    Set { live: &[NOBODY], test: &[NOBODY] },
];

impl Set {
    fn holds(self, tenant: &str, mode: Option<u8>) -> bool {
        (mode != Some(1) && self.live.contains(&tenant)) || (mode != Some(0) && self.test.contains(&tenant))
    }

    async fn put(self, client: &Client) {
        let array = |ids: &[&str]| if ids.is_empty() { String::new() } else { format!("{{{}}}", ids.join(",")) };
        let sql = format!(
            "SELECT set_config('tollgate.live', '{}', false), set_config('tollgate.test', '{}', false)",
            array(self.live),
            array(self.test)
        );
        client.batch_execute(&sql).await.unwrap();
    }
}

/// Whose rows a table may have: tenant, and mode where it has one.
fn scopes_of(t: &Table) -> Vec<(&'static str, Option<u8>)> {
    match (t.has("tenant_id"), t.has("mode")) {
        (true, true) => vec![(A, Some(0)), (A, Some(1)), (B, Some(0)), (B, Some(1))],
        (true, false) => vec![(A, None), (B, None)],
        _ => vec![],
    }
}

/// Rows of both tenants and modes in every table.
async fn fill(admin: &Client, all: &[Table]) -> BTreeMap<String, BTreeMap<(String, Option<u8>), u64>> {
    let mut there = BTreeMap::new();
    for t in all.iter().filter(|t| t.part_of.is_none()) {
        for (seed, (tenant, mode)) in (1..).zip(scopes_of(t)) {
            // Some have one row of each at most.
            let fill = |n| t.fill(tenant, mode.unwrap_or(0), seed, n);
            if admin.batch_execute(&fill(EACH)).await.is_err() {
                admin.batch_execute(&fill(1)).await.unwrap_or_else(|e| panic!("a row for `{}`: {e:?}", t.name));
            }
        }
        if scopes_of(t).is_empty() {
            admin.batch_execute(&t.fill(NOBODY, 0, 9, EACH)).await.unwrap();
        }
    }
    for t in all {
        there.insert(t.name.clone(), counts(admin, t).await.unwrap());
    }
    there
}

/// What can be seen of a table, by tenant and mode.
async fn counts(client: &Client, t: &Table) -> Result<BTreeMap<(String, Option<u8>), u64>, String> {
    let (tenant, mode) = (if t.has("tenant_id") { "tenant_id" } else { "''" }, if t.has("mode") { "mode" } else { "NULL" });
    let (rows, _) = attempt(client, &format!("SELECT {tenant}, {mode}, count(*) FROM {} GROUP BY 1, 2", t.name)).await?;
    Ok(rows
        .into_iter()
        .map(|r| ((r[0].clone().unwrap(), r[1].as_ref().map(|m| m.parse().unwrap())), r[2].as_ref().unwrap().parse().unwrap()))
        .collect())
}

/// One role with one set: reads and writes of one table do what grants and set allow, and no more.
async fn check(client: &Client, role: &str, set: Set, t: &Table, there: &BTreeMap<(String, Option<u8>), u64>) {
    let place = format!("{role} with {set:?} on `{}`", t.name);
    let may = async |verb: &str| yes(client, &format!("SELECT has_any_column_privilege('{}', '{verb}')", t.name)).await;
    let dispatch = role == "tollgate_dispatch";
    // The dispatch role sees all of its few tables.
    let in_reach = |tenant: &str, mode| !t.secured || dispatch || set.holds(tenant, mode);
    let mut seen = there.clone();
    seen.retain(|(tenant, mode), _| in_reach(tenant, *mode));
    let visible: u64 = seen.values().sum();

    let wanted = if may("SELECT").await { Ok(seen) } else { Err(DENIED.to_owned()) };
    assert_eq!(counts(client, t).await, wanted, "{place}: SELECT");

    let column = if t.has("reseller_id") { "reseller_id" } else { &t.columns[0].name };
    let new = if t.has("reseller_id") { format!("'{NOBODY}'") } else { column.to_owned() };
    let updated = attempt(client, &format!("UPDATE {} SET {column} = {new}", t.name)).await.map(|(_, n)| n);
    assert_eq!(updated, if may("UPDATE").await { Ok(visible) } else { Err(DENIED.to_owned()) }, "{place}: UPDATE");

    let deleted = yes(client, &format!("SELECT has_table_privilege('{}', 'DELETE')", t.name)).await;
    let out = attempt(client, &format!("DELETE FROM {}", t.name)).await.map(|(_, n)| n);
    assert_eq!(out, if deleted { Ok(visible) } else { Err(DENIED.to_owned()) }, "{place}: DELETE");

    assert_eq!(attempt(client, &format!("TRUNCATE {}", t.name)).await.map(|_| ()), Err(DENIED.to_owned()), "{place}: TRUNCATE");

    let inserts = may("INSERT").await;
    for (tenant, mode) in scopes_of(t).into_iter().chain(t.has("tenant_id").then_some((NOBODY, Some(0)))) {
        let once = there.values().all(|n| *n == 1);
        // Where there may be one row each, another is refused for that: it says nothing of row security, but refused it is.
        let out = attempt(client, &t.fill(tenant, mode.unwrap_or(0), 77, 1)).await.map(|(_, n)| n);
        if !inserts || !in_reach(tenant, mode) {
            assert_eq!(out, Err(DENIED.to_owned()), "{place}: INSERT for {tenant} {mode:?}");
        } else if !(once && out == Err("23505".to_owned())) && t.part_of.is_none() {
            assert_eq!(out, Ok(1), "{place}: INSERT for {tenant} {mode:?}");
        }
    }

    // What is one's own cannot be given away either.
    if t.secured && !dispatch && visible > 0 && may("UPDATE").await {
        let out = attempt(client, &format!("UPDATE {} SET tenant_id = '{NOBODY}'", t.name)).await.map(|(_, n)| n);
        let foreign = set.holds(NOBODY, None);
        assert!(foreign || out == Err(DENIED.to_owned()), "{place}: rows were given away: {out:?}");
    }
}

#[tokio::test]
async fn nobody_sees_or_changes_more_than_grants_and_tenant_set_allow() {
    let db = database().await;
    let admin = connect(&db.admin()).await;
    let all = tables(&admin).await;
    let there = fill(&admin, &all).await;
    for (role, url) in
        [("tollgate_serve", db.serve()), ("tollgate_worker", db.worker()), ("tollgate_dispatch", db.admin()), ("pg_monitor", db.admin())]
    {
        let client = connect(&url).await;
        if url == db.admin() {
            client.batch_execute(&format!("SET ROLE {role}")).await.unwrap();
        }
        if role == "pg_monitor" {
            let out = attempt(&client, "SELECT FROM tollgate.events").await.map(|_| ());
            assert_eq!(out, Err(DENIED.to_owned()), "whoever has no role of ours sees nothing");
            continue;
        }
        // Before any set is put, and then with each.
        for t in &all {
            check(&client, role, Set { live: &[], test: &[] }, t, &there[&t.name]).await;
        }
        for set in SETS {
            set.put(&client).await;
            for t in &all {
                check(&client, role, *set, t, &there[&t.name]).await;
            }
        }
    }
    drop(admin);
    db.remove().await.unwrap();
}

#[tokio::test]
async fn a_tenant_set_that_is_no_set_shows_nothing() {
    let db = database().await;
    let admin = connect(&db.admin()).await;
    let all = tables(&admin).await;
    fill(&admin, &all).await;
    let client = connect(&db.serve()).await;
    let tricks = [
        "{'} OR true --}",
        "{}",
        "{NULL}",
        "{*}",
        "%",
        "null",
        "{aaaaaaaa-0000-7000-8000-000000000001'::uuid[]) OR true OR tenant_id = ANY ('{}",
        "(SELECT array_agg(tenant_id) FROM tollgate.scopes)",
        "{{}}",
        " ",
    ];
    for trick in tricks {
        for name in ["tollgate.live", "tollgate.test"] {
            client.execute("SELECT set_config($1, $2, false)", &[&name, &trick]).await.unwrap();
            let seen = attempt(&client, "SELECT FROM events").await;
            // Either it reads as a set of nobody, or the statement fails.
            assert!(matches!(&seen, Ok((rows, _)) if rows.is_empty()) || matches!(&seen, Err(code) if code.starts_with("22")), "{trick}");
            client.execute("SELECT set_config($1, '', false)", &[&name]).await.unwrap();
        }
    }
    drop((admin, client));
    db.remove().await.unwrap();
}

#[tokio::test]
async fn a_table_without_row_security_is_allowed_by_name_and_column() {
    let db = database().await;
    let all = tables(&connect(&db.admin()).await).await;
    let open: BTreeMap<&str, BTreeSet<&str>> =
        all.iter().filter(|t| !t.secured).map(|t| (t.name.as_str(), t.columns.iter().map(|c| c.name.as_str()).collect())).collect();
    let allowed: BTreeMap<&str, BTreeSet<&str>> = OPEN_TO_ALL.iter().map(|(t, c)| (*t, c.iter().copied().collect())).collect();
    assert_eq!(open, allowed, "every process reads these for all tenants: no content, no names of people or things");
    db.remove().await.unwrap();
}

#[tokio::test]
async fn dispatch_tables_hold_no_content() {
    let db = database().await;
    let admin = connect(&db.admin()).await;
    let all = tables(&admin).await;
    let own =
        rows(&admin, "SELECT DISTINCT tablename FROM pg_policies WHERE schemaname = 'tollgate' AND 'tollgate_dispatch' = ANY (roles)")
            .await;
    let names: BTreeSet<&str> = own.iter().map(|r| r[0].as_str()).chain(DISPATCH.iter().copied()).collect();
    for name in names {
        let t = all.iter().find(|t| t.name == name).unwrap_or_else(|| panic!("`{name}` is no table"));
        for c in &t.columns {
            let allowed = DISPATCH_COLUMNS.contains(&(c.name.as_str(), c.kind.as_str()));
            assert!(allowed, "`{name}.{} {}`: dispatch tables hold ids, order and fences", c.name, c.kind);
        }
    }
    drop(admin);
    db.remove().await.unwrap();
}

#[tokio::test]
async fn what_is_written_once_stays_and_a_worker_writes_what_it_executes() {
    let db = database().await;
    let admin = connect(&db.admin()).await;
    let mut worker: BTreeMap<String, String> = BTreeMap::new();
    for t in tables(&admin).await {
        for role in ["tollgate_serve", "tollgate_worker", "tollgate_dispatch", "public"] {
            let mut verbs = Vec::new();
            for verb in ["INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"] {
                let any = if ["INSERT", "UPDATE", "REFERENCES"].contains(&verb) { "any_column" } else { "table" };
                if yes(&admin, &format!("SELECT has_{any}_privilege('{role}', '{}', '{verb}')", t.name)).await {
                    verbs.push(verb);
                }
            }
            let never = NEVER_CHANGED.contains(&t.whole());
            assert!(!never || verbs.iter().all(|v| *v == "INSERT"), "{role} may {verbs:?} `{}`, which is written once", t.name);
            assert!(!verbs.iter().any(|v| ["TRUNCATE", "REFERENCES", "TRIGGER"].contains(v)), "{role} may {verbs:?} `{}`", t.name);
            assert!(role != "public" || verbs.is_empty(), "everybody may {verbs:?} `{}`", t.name);
            if role == "tollgate_worker" && !verbs.is_empty() {
                worker.insert(t.name.clone(), verbs.join(" "));
            }
        }
    }
    let wanted: BTreeMap<String, String> = WORKER_WRITES.iter().map(|(t, v)| ((*t).to_owned(), (*v).to_owned())).collect();
    assert_eq!(worker, wanted, "a worker changes execution state and appends to the ledger, and no more");
    drop(admin);
    db.remove().await.unwrap();
}
