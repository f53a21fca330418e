//! Hot statements go by their indexes, whatever the planner believes of tables that were empty a minute ago.

use tokio_postgres::Client;

use crate::base::{ask, connect, database, rows, sqlite};
use crate::catalog::tables;
use crate::source::{Found, On, parameters, statements, strings};

/// Tables that stay small: one row for the installation, a tenant, a process, or a name that a person gave.
const SMALL: &[&str] = &[
    "meta",
    "scopes",
    "sessions",
    "logs",
    "statuses",
    "secrets",
    "api_keys",
    "tenant_keys",
    "replays",
    "deployments",
    "blocked",
    "tellings",
    "label_sets",
    "limits",
    "openings",
    "sqlite_master",
];

/// What goes by the order of a list until it has enough, and so has no condition on its index.
const IN_ORDER: &[(&str, &str)] = &[
    ("SELECT n, entry, leaf_hash, reseller_id, tenant_id, mode FROM unsequenced ORDER BY n LIMIT", "the queue from its front"),
    ("SELECT n FROM unsequenced ORDER BY n LIMIT 1", "the queue from its front"),
    ("WITH found AS (SELECT n FROM unpublished ORDER BY n LIMIT", "the queue from its front"),
    ("WITH found AS (SELECT n FROM outbox_queue ORDER BY n LIMIT", "the queue from its front"),
    ("SELECT * FROM ready ORDER BY n LIMIT", "the queue from its front"),
    ("SELECT at FROM timers ORDER BY at LIMIT", "the first of the index"),
    ("SELECT 1 AS held, fence FROM held WHERE step =", "one step, of the form that is apart"),
    ("SELECT pos - changes AS before FROM outbox", "the first of the index; on SQLite, the first row of the tenant"),
    ("SELECT EXISTS (SELECT 1 FROM ready)", "whether there is any"),
    ("SELECT COALESCE(MAX(pos), 0) + 1", "the end of an index"),
    ("SELECT COALESCE(MAX(", "the end of an index"),
    ("SELECT due AS n, * FROM held WHERE session NOT IN", "what is held at a time, every few seconds"),
    ("SELECT due AS n, * FROM held WHERE session =", "what is held at a time, when a process ends"),
    ("DELETE FROM idempotency WHERE", "as many as its limit, every few minutes"),
    ("SELECT tenant_id, mode, route, key FROM idempotency WHERE expires_at", "the same on SQLite"),
    ("SELECT * FROM parked WHERE run_id", "a worker for one run; embedded, one process takes everything"),
    ("SELECT * FROM ready WHERE run_id", "the same"),
    ("SELECT state, reason, EXISTS (SELECT 1 FROM ready q", "the same"),
    ("SELECT * FROM ready WHERE label IN", "the queue from its front; embedded, one process takes everything"),
    ("INSERT INTO openings (label, tenant_id, limit_id, reseller_id, mode)\n         SELECT DISTINCT", "once for a deployment"),
    ("WITH sets(id, labels) AS", "as far as its bound, once in some seconds when somebody asks"),
    ("DELETE FROM parked WHERE step = ?1", "a step that is disposed while it waits; an index would cost every step that is not"),
    ("SELECT count(*) FROM (SELECT 1 FROM places WHERE limit_id", "no more rows than the limit"),
    ("DELETE FROM ready WHERE step = ?1", "a step that is disposed while it waits; an index would cost every step that is not"),
    ("DELETE FROM timers WHERE step = ?1", "the same"),
    ("UPDATE timers SET at = 0 WHERE step = $1", "the same, of a graph that is cancelled"),
    (
        "SELECT reseller_id, tenant_id, mode, run_id, step, node, kind, fence, session FROM held",
        "as many as workers hold; asked after a run's steps were handed on",
    ),
];

/// The files whose statements nobody waits for: what people ask for now and then, retention and removal, which go through everything in slices.
const UPKEEP: &[&str] = &["command/epoch.rs", "sqlite/backup.rs", "sqlite/keep.rs", "sqlite/remove.rs", "sqlite/stats.rs"];

/// The files whose statements a worker waits for.
const HOT: &[&str] = &[
    "postgres/fetch.rs",
    "postgres/flush.rs",
    "postgres/flush/keys.rs",
    "postgres/group.rs",
    "postgres/ledger.rs",
    "postgres/publish.rs",
    "postgres/single.rs",
];

const ROWS: u64 = 60_000;
const TENANT: &str = "aaaaaaaa-0000-7000-8000-000000000001";

fn known(text: &str) -> bool {
    IN_ORDER.iter().any(|(start, _)| text.starts_with(start))
}

/// How the committers' connections are set, as the source has it.
fn settings() -> String {
    strings("postgres/connection.rs").into_iter().find(|s| s.contains("force_generic_plan")).unwrap()
}

/// The lines of a plan that read a table in a way that grows with it.
async fn faults(client: &Client, text: &str) -> Vec<String> {
    client.batch_execute(&format!("PREPARE hot AS {text}")).await.unwrap();
    let n = parameters(text);
    let values = if n == 0 { String::new() } else { format!("({})", vec!["NULL"; n].join(", ")) };
    let plan: Vec<String> =
        rows(client, &format!("EXPLAIN (COSTS OFF) EXECUTE hot{values}")).await.into_iter().map(|r| r[0].clone()).collect();
    client.batch_execute("DEALLOCATE hot").await.unwrap();
    let mut out = Vec::new();
    for (i, line) in plan.iter().enumerate() {
        let Some((how, table)) = line.trim_start().trim_start_matches("->").trim_start().split_once(" on ") else { continue };
        let name = table.split_whitespace().next().unwrap().trim_start_matches("tollgate.");
        // A month is empty here; the default partition stands for all of them.
        let is_month = name.rsplit_once('_').is_some_and(|(_, month)| month.len() == 6 && month.bytes().all(|b| b.is_ascii_digit()));
        if SMALL.contains(&name) || is_month {
            continue;
        }
        let depth = |l: &str| l.len() - l.trim_start().len();
        let under = plan[i + 1..].iter().take_while(|l| !l.contains("->") && depth(l) > depth(line));
        let by_condition = under.clone().any(|l| l.contains("Index Cond:"));
        if how.contains("Seq Scan") || (how.contains("Index") && how.contains("Scan") && !by_condition) {
            out.push(format!("{}\n    of {}", line.trim(), plan.join("\n       ")));
        }
    }
    out
}

async fn hot(client: &Client, when: &str) {
    client.batch_execute(&settings()).await.unwrap();
    let set = format!("SELECT set_config('tollgate.live', '{{{TENANT}}}', false)");
    client.batch_execute(&set).await.unwrap();
    let mut wrong = Vec::new();
    let all: Vec<Found> = statements().into_iter().filter(|s| HOT.contains(&s.file.as_str()) && !known(&s.text)).collect();
    assert!(all.len() > 40, "the source was not read: {}", all.len());
    for s in all {
        // An insert reads nothing, but in the form that has something to read.
        wrong.extend(faults(client, &s.text).await.into_iter().map(|f| format!("{}:{}: {f}", s.file, s.line)));
    }
    assert!(wrong.is_empty(), "{when}:\n{}", wrong.join("\n"));
}

/// How many rows the functions of a transaction read of big tables without an index, and how many by one.
async fn reads(client: &Client, call: &str) -> (u64, u64) {
    client.batch_execute("BEGIN").await.unwrap();
    let counted = "SELECT COALESCE(sum(seq_tup_read), 0), COALESCE(sum(idx_tup_fetch), 0) FROM pg_stat_xact_user_tables
         WHERE schemaname = 'tollgate' AND relname IN ('ready', 'held', 'timers', 'parked', 'places')";
    let number = |r: Vec<Vec<String>>, i: usize| r[0][i].parse::<u64>().unwrap();
    let before = rows(client, counted).await;
    let out = ask(client, call).await;
    assert!(out.is_ok(), "{call}: {out:?}");
    let after = rows(client, counted).await;
    client.batch_execute("ROLLBACK").await.unwrap();
    (number(after.clone(), 0) - number(before.clone(), 0), number(after, 1) - number(before, 1))
}

#[tokio::test]
async fn hot_statements_of_postgres_go_by_their_indexes() {
    let db = database().await;
    let admin = connect(&db.admin()).await;
    let serve = connect(&db.serve()).await;
    hot(&serve, "with empty tables").await;
    let big = [
        "ready",
        "held",
        "timers",
        "parked",
        "places",
        "actions",
        "runs",
        "effect_keys",
        "key_waiters",
        "denials",
        "lanes",
        "idempotency",
        "entries",
        "positions",
    ];
    for t in tables(&admin).await.iter().filter(|t| big.contains(&t.name.as_str())) {
        admin.batch_execute(&t.fill(TENANT, 0, 1, ROWS)).await.unwrap();
    }
    hot(&connect(&db.serve()).await, "with full tables that nobody analysed").await;
    // Not those that are empty: nor do migrations.
    admin.batch_execute(&format!("ANALYZE {}", big.join(", "))).await.unwrap();
    hot(&connect(&db.serve()).await, "with full tables").await;

    // Functions: by what they read. Five sessions that stand hold everything, and one that claims and leaves nothing.
    let session = "dddddddd-0000-7000-8000-000000000009";
    let sessions = format!(
        "UPDATE held SET session = md5((fence % 5)::text)::uuid;
         INSERT INTO sessions SELECT DISTINCT session, 9000000000000000 FROM held; INSERT INTO sessions VALUES ('{session}', 9000000000000000);
         VACUUM ANALYZE held"
    );
    for sql in sessions.split(';') {
        admin.batch_execute(sql).await.unwrap();
    }
    let worker = connect(&db.worker()).await;
    worker.batch_execute(&settings()).await.unwrap();
    // One run with a step in each: what it may take, what is parked, what requires labels.
    let (run, step) = ("md5('one run')::uuid", |table: &str, n: u32| format!("md5('{table}.step.0.' || {n})::uuid"));
    let steps = format!("ARRAY[{}, {}, {}]", step("ready", 7), step("parked", 7), step("ready", 8));
    for (table, n, label) in [("ready", 7, 0), ("parked", 7, 0), ("ready", 8, 5)] {
        let of = step(table, n);
        admin.batch_execute(&format!("UPDATE {table} SET run_id = {run}, label = {label} WHERE step = {of}")).await.unwrap();
    }
    let now = 10_000_500;
    for (call, limit) in [
        (format!("SELECT * FROM claim('{session}', 64, {now}, gen_random_uuid())"), 1_000),
        (format!("SELECT * FROM claim_of('{session}', {run}, {steps}, 64, {now})"), 100),
        (format!("SELECT * FROM fire_timers(64, {now})"), 1_000),
        ("SELECT pending()".to_owned(), 10),
        (format!("SELECT hand_back('{session}', {now})"), 100),
        (format!("SELECT hand_back(NULL, {now})"), 100),
    ] {
        let (walked, by_index) = reads(&worker, &call).await;
        // Whether there is any is asked of the first row.
        assert!(walked <= 1 && by_index <= limit, "{call} read {walked} rows without an index and {by_index} by one, of {ROWS}");
    }
    drop((admin, serve, worker));
    db.remove().await.unwrap();
}

#[test]
fn statements_of_sqlite_walk_no_big_table() {
    let conn = sqlite();
    let mut wrong = Vec::new();
    let upkeep = |s: &Found| UPKEEP.contains(&s.file.as_str());
    for s in statements().into_iter().filter(|s| s.on != On::Postgres && !known(&s.text) && !upkeep(s)) {
        let mut sql = conn.prepare(&format!("EXPLAIN QUERY PLAN {}", s.text)).unwrap();
        let plan: Vec<String> = sql.raw_query_plan();
        for line in plan {
            let Some(table) = line.strip_prefix("SCAN ").map(|l| l.split_whitespace().next().unwrap().to_owned()) else { continue };
            // By its alias, or its name.
            let of = s.text.split_whitespace().collect::<Vec<_>>().windows(2).find(|w| w[1] == table).map(|w| w[0].to_owned());
            let name = of.filter(|w| !["FROM", "JOIN", "INTO", "UPDATE"].contains(&w.as_str())).unwrap_or(table);
            if !SMALL.contains(&name.as_str()) && line != "SCAN CONSTANT ROW" {
                wrong.push(format!("{}:{}: {line}: {}", s.file, s.line, s.text));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

trait RawPlan {
    fn raw_query_plan(&mut self) -> Vec<String>;
}

impl RawPlan for rusqlite::Statement<'_> {
    /// The plan's lines; what is not bound is NULL.
    fn raw_query_plan(&mut self) -> Vec<String> {
        let mut rows = self.raw_query();
        let mut out = Vec::new();
        while let Some(r) = rows.next().unwrap() {
            out.push(r.get(3).unwrap());
        }
        out
    }
}
