//! Several processes over one Postgres: what they do together, how they end, and what keeps one from starting.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use rustix::process::Signal;
use serde_json::Value;
use tollgate_private_postgres::{Database, Server};

use super::support::{Process, Project, Ran, tollgate_env};

/// A database of one test, with a login for each role. Logins belong to the whole server and are the same for all tests.
pub struct Shared {
    pub database: Database,
    pub project: Project,
}

impl Shared {
    pub fn new() -> Self {
        let database = Server::shared().unwrap().fresh_database().unwrap();
        let it = Self { database, project: Project::new() };
        it.migrate().ok();
        // The server may be a new one, or one on which other tests made them.
        for role in ["serve", "worker"] {
            let make = format!(
                "DO $$ BEGIN CREATE ROLE program_{role} LOGIN PASSWORD 'program' IN ROLE tollgate_{role}; \
                 EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
            );
            it.database.psql(&make).unwrap();
        }
        it
    }

    /// The same project over another database.
    pub fn moved(self, database: Database) -> Self {
        Self { database, ..self }
    }

    pub fn migrate(&self) -> Ran {
        tollgate_env(&[("DATABASE_ADMIN_URL", &self.database.url())], &["--json", "db", "migrate"])
    }

    pub fn url(&self, role: &str) -> String {
        let url = self.database.url();
        let (scheme, rest) = url.split_once("://").unwrap();
        let (_, host) = rest.split_once('@').unwrap();
        format!("{scheme}://program_{role}:program@{host}")
    }

    pub fn keys(&self) -> String {
        self.project.root().join(".tollgate").display().to_string()
    }

    pub fn serve(&self) -> Process {
        let root = self.project.root();
        let args = ["--project", root.to_str().unwrap(), "--json", "serve", "--listen", "127.0.0.1:0", "--drain", "100ms"];
        Process::start(&[("DATABASE_URL", &self.url("serve"))], &args)
    }

    /// A second control plane, with a data folder of its own.
    pub fn serve_beside(&self) -> Process {
        let (root, data) = (self.project.root(), self.project.root().join("beside"));
        let args = ["--project", root.to_str().unwrap(), "--data", data.to_str().unwrap(), "--json", "serve", "--listen", "127.0.0.1:0"];
        Process::start(&[("DATABASE_URL", &self.url("serve")), ("TOLLGATE_KEYS", &self.keys())], &[&args[..], &["--drain", "0ms"]].concat())
    }

    /// A key for everything.
    pub fn key(&self) -> String {
        let keys: Value = serde_json::from_slice(&std::fs::read(self.project.root().join(".tollgate/keys.json")).unwrap()).unwrap();
        keys["live"].as_str().unwrap().to_owned()
    }

    pub fn worker_env<'a>(url: &'a str, keys: &'a str) -> [(&'a str, &'a str); 3] {
        [("DATABASE_URL", url), ("TOLLGATE_KEYS", keys), ("WORKER_ID", "program-1")]
    }

    pub fn worker(&self) -> Process {
        let root = self.project.root();
        let args = ["--project", root.to_str().unwrap(), "--json", "worker", "--metrics", "127.0.0.1:0"];
        Process::start(&Self::worker_env(&self.url("worker"), &self.keys()), &args)
    }
}

#[test]
fn an_action_is_governed_end_to_end_over_two_processes() {
    let it = Shared::new();
    it.project
        .write("policies/by_hand.cedar", "@id(\"by-hand\") permit (principal, action == Action::\"notes.write_greeting\", resource);\n");
    let mut serve = it.serve();
    it.project.run(&["events", "send", "demo.hello", "--payload", r#"{"name": "Ada"}"#]).ok();
    // Nobody takes it yet: what an autoscaler looks at says so.
    let queue = super::support::http(&serve.ready["url"], "/v1/queue", &it.key()).unwrap();
    let queue: Value = serde_json::from_str(queue.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(queue["ready"], 1, "{queue}");
    assert!(queue["oldest_seconds"].as_f64().is_some(), "{queue}");
    let metrics = super::support::http(&serve.ready["url"], "/metrics", &it.key()).unwrap();
    assert!(metrics.contains("tollgate_queue_depth{state=\"ready\",labels=\"\"} 1\n"), "{metrics}");
    assert!(metrics.contains("tollgate_queue_oldest_seconds{labels=\"\"} "), "{metrics}");
    let mut worker = it.worker();
    let receipts = it.project.until(&["--json", "receipts", "list"], |l| !l["data"].as_array().unwrap().is_empty());
    assert_eq!(receipts["data"][0]["leaf"]["body"]["disposition"], "applied", "{receipts}");
    // The control plane hears of what the worker makes of an action that somebody waits for.
    let what = r#"{"name": "Bob", "text": "Hello"}"#;
    let keys = ["--entity-key", "person:Bob", "--idempotency-key", "by-hand:Bob"];
    let args: Vec<&str> = ["--json", "actions", "submit", "notes.write_greeting", "--args", what].into_iter().chain(keys).collect();
    let waited = it.project.run(&args).json();
    assert_eq!(waited["disposition"], "applied", "{waited}");
    let [worker, serve] = [&mut worker, &mut serve].map(|p| p.signal(Signal::TERM));
    assert_eq!((worker.code, serve.code), (0, 0), "{}\n{}", worker.err, serve.err);
    let positions = it.database.psql("SELECT count(*) FROM tollgate.unsequenced").unwrap();
    assert_eq!(positions, "0", "the last checkpoint covers everything");
}

#[test]
fn the_schema_is_migrated_once_however_often_and_by_however_many() {
    let it = Shared::new();
    let again = it.migrate().json();
    assert_eq!(again["from"], again["to"]);
    let other = Server::shared().unwrap().fresh_database().unwrap();
    let url = other.url();
    let both: Vec<Ran> = std::thread::scope(|s| {
        let one = || tollgate_env(&[("DATABASE_ADMIN_URL", &url)], &["--json", "db", "migrate"]);
        [s.spawn(one), s.spawn(one)].map(|t| t.join().unwrap()).into()
    });
    let mut from: Vec<i64> = both.into_iter().map(|r| r.json()["from"].as_i64().unwrap()).collect();
    from.sort_unstable();
    assert_eq!(from, [0, again["to"].as_i64().unwrap()], "one made it, the other found it made");
    let another = Server::shared().unwrap().fresh_database().unwrap();
    let (root, url) = (it.project.root(), another.url());
    let env = [("DATABASE_URL", it.url("serve").replace(it.database.name(), another.name())), ("DATABASE_ADMIN_URL", url)];
    let env = env.each_ref().map(|(name, value)| (*name, value.as_str()));
    let left = tollgate_env(&env, &["--project", root.to_str().unwrap(), "serve", "--listen", "127.0.0.1:0", "--no-migrate"]);
    assert!(left.code != 0 && left.err.contains("run `tollgate db migrate`"), "{}", left.err);
    assert_eq!(another.psql("SELECT to_regclass('tollgate.meta') IS NULL").unwrap(), "t", "it was left alone");
    let none = tollgate_env(&[], &["db", "migrate"]);
    assert_eq!(none.code, 2);
    assert!(none.err.contains("set DATABASE_ADMIN_URL"), "{}", none.err);
}

#[test]
fn what_keeps_a_process_from_starting_is_said() {
    let it = Shared::new();
    let root = it.project.root();
    let project = ["--project", root.to_str().unwrap()];
    let serve = |url: &str| {
        let args: Vec<&str> = project.iter().copied().chain(["serve", "--listen", "127.0.0.1:0"]).collect();
        tollgate_env(&[("DATABASE_URL", url)], &args)
    };
    let says = |ran: Ran, code: i32, part: &str| {
        assert_eq!(ran.code, code, "{}", ran.err);
        assert!(ran.err.contains(part), "{}", ran.err);
        assert!(!ran.err.contains("secret"), "a password got out: {}", ran.err);
    };
    says(serve("mysql://root:secret@db/x"), 2, "the database URL cannot be used");
    says(serve("postgres://root:secret@127.0.0.1:1/x"), 6, "cannot be reached");
    says(serve("postgres://root:secret@db.invalid/x?sslmode=prefer"), 2, "sslmode=prefer protects against nobody");
    says(serve("postgres://root:secret@db.invalid/x?sslrootcert=/no/ca.pem"), 2, "in /no/ca.pem cannot be used: No such file");
    says(serve(""), 2, "there is no database URL: set DATABASE_URL");
    says(serve(&it.database.url()), 1, "is a superuser, so that row security would not bind it");
    says(serve(&it.url("worker")), 1, "is not a member of `tollgate_serve`");
    let worker = |more: &[(&str, &str)]| {
        let (url, keys) = (it.url("worker"), it.keys());
        let env: Vec<(&str, &str)> = Shared::worker_env(&url, &keys).into_iter().chain(more.iter().copied()).collect();
        let args: Vec<&str> = project.iter().copied().chain(["worker"]).collect();
        tollgate_env(&env, &args)
    };
    says(worker(&[]), 1, "this database has no keys yet");
    drop(it.serve());
    says(worker(&[("TOLLGATE_KEYS", "/no/such/folder")]), 1, "the master key is missing");
    says(worker(&[("WORKER_CONCURRENCY", "0")]), 2, "WORKER_CONCURRENCY is 0");
    says(worker(&[("WORKER_LEASE_SECONDS", "x")]), 2, "WORKER_LEASE_SECONDS is `x`");
    says(worker(&[("WORKER_MAX_RETRIES", "-1")]), 2, "WORKER_MAX_RETRIES is `-1`");
    says(worker(&[("WORKER_POLL_INTERVAL", "1")]), 2, "WORKER_POLL_INTERVAL");
    says(worker(&[("WORKER_ID", "a b")]), 2, "WORKER_ID is `a b`");
    it.database.psql("UPDATE tollgate.meta SET v = 999 WHERE k = 'schema_version'").unwrap();
    says(serve(&it.url("serve")), 1, "schema version 999");
    says(it.migrate(), 1, "use the newer program");
}

#[test]
fn a_ledger_is_signed_with_one_key() {
    let it = Shared::new();
    let mut serve = it.serve();
    serve.signal(Signal::TERM);
    let ledger_key = it.project.root().join(".tollgate/ledger.key");
    std::fs::remove_file(&ledger_key).unwrap();
    let root = it.project.root();
    let args = ["--project", root.to_str().unwrap(), "serve", "--listen", "127.0.0.1:0"];
    let missing = tollgate_env(&[("DATABASE_URL", &it.url("serve"))], &args);
    assert_eq!(missing.code, 1);
    assert!(missing.err.contains("the ledger's signing key is missing"), "{}", missing.err);
}

#[test]
fn a_stopping_control_plane_turns_latecomers_away() {
    let it = Shared::new();
    let mut serve = it.serve();
    let key = it.key();
    let ask = || super::support::http(&serve.ready["url"], "/v1/runs", &key);
    assert!(ask().unwrap().starts_with("HTTP/1.1 200"));
    // A connection that is kept is told to close, and closes.
    let host = serve.ready["url"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned();
    let mut kept = BufReader::new(TcpStream::connect(&host).unwrap());
    let mut again = || -> Option<String> {
        let request = format!("GET /healthz HTTP/1.1\r\nhost: {host}\r\n\r\n");
        kept.get_mut().write_all(request.as_bytes()).ok()?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            (kept.read_line(&mut head).ok()? > 0).then_some(())?;
        }
        let length = head.to_ascii_lowercase().split_once("content-length: ")?.1.split_once("\r\n")?.0.parse().ok()?;
        kept.read_exact(&mut vec![0; length]).ok()?;
        Some(head.to_ascii_lowercase())
    };
    assert!(!again().unwrap().contains("connection: close"));
    assert!(!again().unwrap().contains("connection: close"), "the same connection");
    serve.send(Signal::TERM);
    while let Some(head) = again() {
        if head.contains("connection: close") {
            assert_eq!(again(), None, "it was closed");
            break;
        }
    }
    // From ready to gone, each answer is a whole one: served and told to close, or sent away.
    let mut sent_away = 0;
    while let Some(answer) = ask() {
        let lower = answer.to_ascii_lowercase();
        if answer.starts_with("HTTP/1.1 503") {
            assert!(lower.contains("retry-after: ") && lower.contains("service_unavailable"), "{answer}");
            sent_away += 1;
        } else {
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
    }
    assert!(sent_away > 0, "nobody heard that it stops");
    let ended = serve.signal(Signal::TERM);
    assert!(ended.code == 0 || ended.code == 130, "{}", ended.code);
}
