//! Who may log in as what, and what the dispatch role's functions may be used for.

use tokio_postgres::Client;
use tollgate_store::testing::Database;
use tollgate_store::{Login, PgOptions, PgStore, Role, SetupError};

use crate::base::{ask, attempt, connect, database, rows, yes};
use crate::catalog::tables;

async fn open(url: &str, role: Role) -> Result<PgStore, SetupError> {
    let login = Login::parse(url).unwrap();
    PgStore::open(PgOptions { login, role, readers: 1, clock: None, inline: None, on_commit: Box::new(|_| {}) }).await
}

/// The address of a login made for one test, whose name is its database's with a word behind it.
async fn login(admin: &Client, db: &Database, word: &str, with: &str, member_of: &str) -> (String, String) {
    let url = db.serve();
    let base = url.rsplit('/').next().unwrap().split('?').next().unwrap().to_owned();
    let name = format!("{base}_{word}");
    admin.batch_execute(&format!("CREATE ROLE {name} LOGIN PASSWORD '{name}' {with}")).await.unwrap();
    for role in member_of.split_whitespace() {
        admin.batch_execute(&format!("GRANT {role} TO {name}")).await.unwrap();
    }
    (url.replace("test_serve:test_serve", &format!("{name}:{name}")), name)
}

#[tokio::test]
async fn a_login_that_row_security_does_not_bind_is_refused() {
    let db = database().await;
    let admin = connect(&db.admin()).await;
    let base = rows(&admin, "SELECT current_database()").await[0][0].clone();
    admin.batch_execute(&format!("CREATE ROLE {base}_above BYPASSRLS; CREATE ROLE {base}_owner")).await.unwrap();
    admin.batch_execute(&format!("ALTER TABLE events OWNER TO {base}_owner")).await.unwrap();
    let (above, owner) = (format!("{base}_above"), format!("{base}_owner"));
    let cases = [
        ("super", "SUPERUSER", "tollgate_serve".to_owned(), "is a superuser"),
        ("bypass", "BYPASSRLS", "tollgate_serve".to_owned(), "has BYPASSRLS"),
        ("maker", "CREATEROLE", "tollgate_serve".to_owned(), "has CREATEROLE"),
        ("copier", "REPLICATION", "tollgate_serve".to_owned(), "has REPLICATION"),
        ("member", "", format!("tollgate_serve {above}"), "is a member of a role that may bypass it"),
        ("silent", "NOINHERIT", format!("tollgate_serve {above}"), "is a member of a role that may bypass it"),
        ("owning", "", format!("tollgate_serve {owner}"), "owns Tollgate's tables"),
        ("mover", "", "tollgate_serve tollgate_dispatch".to_owned(), "is a member of the dispatch role"),
    ];
    let mut names = vec![above.clone(), owner.clone()];
    for (word, with, member_of, why) in cases {
        let (url, name) = login(&admin, &db, word, with, &member_of).await;
        let said = open(&url, Role::Serve).await.err().map(|e| e.to_string());
        let wanted = format!(
            "the login `{name}` {why}, so that row security would not bind it: use a login that is a member of `tollgate_serve` and nothing more"
        );
        assert_eq!(said, Some(wanted));
        names.push(name);
    }
    assert!(matches!(open(&db.admin(), Role::Serve).await, Err(SetupError::Unbound { .. })), "the administrator itself");
    for (url, role, refused) in [
        (db.serve(), Role::Serve, false),
        (db.worker(), Role::Worker, false),
        (db.serve(), Role::Worker, true),
        (db.worker(), Role::Serve, true),
    ] {
        let out = open(&url, role).await;
        assert_eq!(out.as_ref().err().map(|e| matches!(e, SetupError::NotAMember { .. })), refused.then_some(true), "{role:?}");
        if let Err(e) = out {
            assert!(e.to_string().contains(&format!("is not a member of `{}`: run `GRANT", role.as_str())), "{e}");
        }
    }
    db.remove().await.unwrap();
    let server = connect(&crate::base::admin_url("postgres")).await;
    for name in names.iter().rev() {
        server.batch_execute(&format!("DROP ROLE {name}")).await.unwrap();
    }
}

#[tokio::test]
async fn the_dispatch_role_logs_in_nowhere_and_owns_only_functions_with_a_fixed_path() {
    let db = database().await;
    let admin = connect(&db.admin()).await;
    let is = rows(
        &admin,
        "SELECT rolcanlogin, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication FROM pg_roles
         WHERE rolname IN ('tollgate_dispatch', 'tollgate_serve', 'tollgate_worker')",
    )
    .await;
    assert_eq!(is, vec![vec!["f"; 6]; 3]);
    let owned = "SELECT classid::regclass, objid FROM pg_shdepend WHERE deptype = 'o' AND refobjid = 'tollgate_dispatch'::regrole
         AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND classid <> 'pg_proc'::regclass";
    assert_eq!(rows(&admin, owned).await, Vec::<Vec<String>>::new());
    for role in ["tollgate_serve", "tollgate_worker", "test_serve", "test_worker"] {
        assert!(!yes(&admin, &format!("SELECT pg_has_role('{role}', 'tollgate_dispatch', 'MEMBER')")).await, "{role} is the dispatch role");
        assert!(!yes(&admin, &format!("SELECT has_schema_privilege('{role}', 'tollgate', 'CREATE')")).await, "{role} makes functions");
    }
    assert!(!yes(&admin, "SELECT has_schema_privilege('tollgate_dispatch', 'tollgate', 'CREATE')").await);
    let functions = rows(
        &admin,
        "SELECT p.proname, p.prosecdef, p.proowner::regrole::text, COALESCE(array_to_string(p.proconfig, ';'), ''), p.prosrc,
           has_function_privilege('public', p.oid, 'EXECUTE'), pg_get_function_result(p.oid), pg_get_function_arguments(p.oid)
         FROM pg_proc p WHERE p.pronamespace = 'tollgate'::regnamespace",
    )
    .await;
    assert!(["claim", "claim_of"].iter().all(|name| functions.iter().any(|f| f[0] == *name)));
    for f in functions {
        let name = &f[0];
        assert_eq!(f[5], "f", "everybody may run `{name}`");
        assert!(f[3].split(';').any(|s| s == "search_path=tollgate, pg_temp"), "`{name}` has no fixed search_path: {}", f[3]);
        if f[1] == "f" {
            continue;
        }
        assert_eq!(f[2], "tollgate_dispatch", "`{name}` runs as somebody who may do more than it needs");
        assert!(!f[4].to_uppercase().contains("EXECUTE"), "`{name}` runs text as SQL");
        for word in ["text", "bytea", "json", "char"] {
            let passes = format!("{} -> {}", f[7], f[6]).to_lowercase();
            assert!(!passes.contains(word), "`{name}` takes or answers content: {passes}");
        }
    }
    drop(admin);
    db.remove().await.unwrap();
}

/// A worker claims for every tenant, and that is all it learns of them.
#[tokio::test]
async fn no_function_shows_a_worker_what_another_tenant_wrote() {
    let db = database().await;
    let admin = connect(&db.admin()).await;
    let other = "bbbbbbbb-0000-7000-8000-000000000002";
    for t in tables(&admin).await.iter().filter(|t| t.part_of.is_none() && t.has("tenant_id")) {
        admin.batch_execute(&t.fill(other, 0, 1, 1)).await.unwrap();
    }
    // Of no label.
    admin.batch_execute("UPDATE ready SET label = 0").await.unwrap();
    let worker = connect(&db.worker()).await;
    let (session, now) = ("dddddddd-0000-7000-8000-000000000004", 1_000_000);
    ask(&worker, &format!("INSERT INTO sessions VALUES ('{session}', {})", now + 10)).await.unwrap();
    let claimed = rows(&worker, &format!("SELECT * FROM claim('{session}', 9, {now}, gen_random_uuid())")).await;
    assert_eq!(claimed.len(), 1, "it works for whoever comes");
    let seen = |sql: &'static str| rows(&worker, sql);
    assert_eq!(seen("SELECT FROM actions").await.len() + seen("SELECT FROM held").await.len() + seen("SELECT FROM secrets").await.len(), 0);
    // Names of its own in the way of the functions' change nothing.
    let decoys = "CREATE TEMP TABLE ready (LIKE tollgate.ready); CREATE TEMP TABLE held (LIKE tollgate.held);
         CREATE TEMP TABLE sessions (id uuid, expires_at bigint); INSERT INTO sessions VALUES (gen_random_uuid(), 9000000000)";
    worker.batch_execute(decoys).await.unwrap();
    worker.batch_execute("SET search_path = pg_temp, tollgate").await.unwrap();
    for rest in [
        "claim((SELECT id FROM pg_temp.sessions), 9, 1, gen_random_uuid())",
        "claim_of((SELECT id FROM pg_temp.sessions), gen_random_uuid(), '{}', 9, 1)",
    ] {
        let forged = attempt(&worker, &format!("SELECT tollgate.{rest}")).await;
        assert_eq!(forged.map(|_| ()), Err("TG001".to_owned()), "a session of a table of its own let it claim");
    }
    // Nor do functions and operators that it would like to be found first, since it may make none.
    for sql in [
        "CREATE FUNCTION tollgate.md5(x text) RETURNS text LANGUAGE sql AS 'SELECT 1'",
        "CREATE OR REPLACE FUNCTION tollgate.pending() RETURNS boolean LANGUAGE sql AS 'SELECT false'",
        "ALTER FUNCTION tollgate.pending() SET search_path = pg_temp",
        "DROP FUNCTION tollgate.pending()",
        "CREATE POLICY mine ON tollgate.events USING (true)",
        "ALTER TABLE tollgate.events DISABLE ROW LEVEL SECURITY",
        "SET ROLE tollgate_dispatch",
        "SET SESSION AUTHORIZATION tollgate_serve",
        "GRANT tollgate_dispatch TO test_worker",
        "CREATE TABLE tollgate.mine (x int)",
        "COPY tollgate.events TO PROGRAM 'cat'",
    ] {
        assert_eq!(attempt(&worker, sql).await.map(|_| ()), Err("42501".to_owned()), "{sql}");
    }
    assert_eq!(attempt(&worker, "SET row_security = off; SELECT FROM tollgate.events").await.map(|_| ()), Err("42501".to_owned()));
    drop((admin, worker));
    db.remove().await.unwrap();
}
