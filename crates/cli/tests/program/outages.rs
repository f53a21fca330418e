//! What processes over one Postgres do when the database turns them away, and what one of them hears of another.

use rustix::process::Signal;
use serde_json::Value;

use super::processes::Shared;
use super::support::{Ran, http, http_with};

/// Asks until the answer fits: news take their time, and no test says how much.
fn until(ask: impl Fn() -> Option<String>, fits: impl Fn(&str) -> bool) -> String {
    for _ in 0..20_000 {
        if let Some(answer) = ask()
            && fits(&answer)
        {
            return answer;
        }
    }
    panic!("it never fitted: {:?}", ask());
}

#[test]
fn a_key_revoked_at_one_control_plane_stops_working_at_the_other() {
    let it = Shared::new();
    let (here, there) = (it.serve(), it.serve_beside());
    let made = http_with(&here.ready["url"], "POST", "/v1/api_keys", &it.key(), r#"{"name": "guest", "scopes": ["runs:read"]}"#).unwrap();
    assert!(made.starts_with("HTTP/1.1 201"), "{made}");
    let made: Value = serde_json::from_str(made.split_once("\r\n\r\n").unwrap().1).unwrap();
    let guest = made["key"].as_str().unwrap().to_owned();
    let ask = || http(&there.ready["url"], "/v1/runs", &guest);
    // Used there, and so known there.
    until(ask, |answer| answer.starts_with("HTTP/1.1 200"));
    let path = format!("/v1/api_keys/{}", made["id"].as_str().unwrap());
    assert!(http_with(&here.ready["url"], "DELETE", &path, &it.key(), "").unwrap().starts_with("HTTP/1.1 204"));
    let refused = until(ask, |answer| !answer.starts_with("HTTP/1.1 200"));
    assert!(refused.starts_with("HTTP/1.1 401") && refused.contains("key_revoked"), "{refused}");
}

#[test]
fn without_a_connection_to_the_database_requests_are_told_to_come_again() {
    let it = Shared::new();
    let mut serve = it.serve();
    let key = it.key();
    let ask = || http(&serve.ready["url"], "/v1/runs", &key);
    assert!(ask().unwrap().starts_with("HTTP/1.1 200"));
    let limit = |n: i32| it.database.psql(&format!("ALTER DATABASE {} CONNECTION LIMIT {n}", it.database.name())).unwrap();
    limit(0);
    let terminate =
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    it.database.psql(terminate).unwrap();
    let turned_away = until(ask, |answer| !answer.starts_with("HTTP/1.1 200"));
    let lower = turned_away.to_ascii_lowercase();
    assert!(lower.starts_with("http/1.1 503") && lower.contains("retry-after: ") && lower.contains("service_unavailable"), "{turned_away}");
    assert!(!turned_away.contains("program_serve"), "the login is nobody's business: {turned_away}");
    limit(-1);
    until(ask, |answer| answer.starts_with("HTTP/1.1 200"));
    let ended = serve.signal(Signal::TERM);
    assert_eq!(ended.code, 0, "{}", ended.err);
}

#[test]
fn a_full_disk_of_the_database_turns_writes_away_and_loses_nothing() {
    let it = Shared::new();
    let (mut serve, mut worker) = (it.serve(), it.worker());
    // As the server says it of a file that cannot grow.
    let fill = |table: &str| {
        let text = format!("CREATE TRIGGER full_disk BEFORE INSERT ON tollgate.{table} EXECUTE FUNCTION public.full_disk()");
        it.database.psql(&text).unwrap();
    };
    let free = |table: &str| it.database.psql(&format!("DROP TRIGGER full_disk ON tollgate.{table}")).unwrap();
    let raise = "CREATE SEQUENCE public.met; CREATE FUNCTION public.full_disk() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS \
         $$ BEGIN PERFORM nextval('public.met'); RAISE EXCEPTION 'could not extend file \"base/1/2\"' USING ERRCODE = 'disk_full'; END $$";
    it.database.psql(raise).unwrap();

    fill("events");
    let key = format!("{}\r\nidempotency-key: ada", it.key());
    let send = || {
        http_with(
            &serve.ready["url"],
            "POST",
            "/v1/events",
            &key,
            r#"{"source": "cli", "event_type": "demo.hello", "payload": {"name": "Ada"}}"#,
        )
    };
    let refused = send().unwrap().to_ascii_lowercase();
    assert!(refused.starts_with("http/1.1 503") && refused.contains("retry-after: "), "{refused}");
    assert!(http(&serve.ready["url"], "/v1/events", &it.key()).unwrap().starts_with("HTTP/1.1 200"), "reads go on");
    // Now what tells of effects finds no space: the event is stored, and the worker tries until there is some.
    free("events");
    fill("entries");
    let stored = until(send, |answer| answer.starts_with("HTTP/1.1 2"));
    assert_eq!(it.database.psql("SELECT count(*) FROM tollgate.events").unwrap(), "1", "{stored}");
    until(|| it.database.psql("SELECT last_value > 3 FROM public.met").ok(), |met| met == "t");
    free("entries");
    let receipts = it.project.until(&["--json", "receipts", "list"], |l| !l["data"].as_array().unwrap().is_empty());
    assert_eq!(receipts["data"][0]["leaf"]["body"]["disposition"], "applied", "{receipts}");
    assert!(send().unwrap().starts_with("HTTP/1.1 2"), "under its key it is the same event");
    assert_eq!(it.database.psql("SELECT count(*) FROM tollgate.events").unwrap(), "1");
    let ended = [worker.signal(Signal::TERM), serve.signal(Signal::TERM)];
    for Ran { code, err, .. } in ended {
        let said: Vec<_> = err.lines().filter(|l| !l.contains("\"TRACE\"") && !l.contains("\"DEBUG\"")).collect();
        assert!(code == 0 && said.iter().any(|l| l.contains("the database's disk is full")), "who looks after it reads why: {said:#?}");
    }
}
