//! A server's life as a caller sees it: what survives which end, what goes, what is said when it does not start.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::fs;
use std::net::TcpStream;
use std::process::Command;
use std::sync::mpsc;
use std::thread;

use tollgate_private_postgres::{Mode, Options, Server, SqlError, StartError};

fn start(options: &Options) -> Server {
    Server::start(options).unwrap_or_else(|e| panic!("{e}"))
}

fn rows(server: &Server) -> String {
    server.psql("app", "SELECT string_agg(x::text, ',' ORDER BY x) FROM t").unwrap()
}

#[test]
fn what_was_committed_survives_every_end_and_everything_goes_with_the_server() {
    let mut server = start(&Options::new());
    let (port, data) = (server.port(), server.data_dir());
    server.create_database("app").unwrap();
    server.psql("app", "CREATE TABLE t (x int)").unwrap();
    for (x, mode) in [(1, Mode::Immediate), (2, Mode::Fast)] {
        server.psql("app", &format!("INSERT INTO t VALUES ({x})")).unwrap();
        server.restart(mode).unwrap();
    }
    server.psql("app", "INSERT INTO t VALUES (3)").unwrap();
    server.kill9().unwrap();
    assert!(TcpStream::connect((server.host(), port)).is_err(), "killed, and it answers");
    server.restart(Mode::Fast).unwrap();
    assert_eq!((rows(&server).as_str(), server.port()), ("1,2,3", port));

    server.stop(Mode::Fast).unwrap();
    server.stop(Mode::Immediate).unwrap();
    assert!(TcpStream::connect((server.host(), port)).is_err(), "stopped, and it answers");
    assert!(server.log_tail(1).contains("database system is shut down"), "{}", server.log_tail(3));
    server.restart(Mode::Immediate).unwrap();
    assert_eq!(rows(&server), "1,2,3");
    let folder = data.parent().unwrap().to_owned();
    drop(server);
    assert!(!folder.exists(), "the folder outlived the server");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "dropped, and it answers");
}

#[test]
fn a_kill_ends_what_was_under_way_and_the_server_starts_at_once() {
    let mut server = start(&Options::new());
    server.create_database("app").unwrap();
    server.psql("app", "CREATE TABLE t (x int)").unwrap();
    let url = server.url("app");
    let psql = server.programs().psql.clone().unwrap();
    let (busy, is_busy) = mpsc::channel();
    thread::scope(|scope| {
        let session = scope.spawn(move || {
            // Says its word on stdout before it sleeps, holding a row that is not committed.
            let mut child = Command::new(psql)
                .args([
                    "-X",
                    "-A",
                    "-t",
                    "-d",
                    &url,
                    "-c",
                    "BEGIN; INSERT INTO t VALUES (1)",
                    "-c",
                    "SELECT 'busy'",
                    "-c",
                    "SELECT pg_sleep(600)",
                ])
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::null())
                .spawn()
                .unwrap();
            let lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
            lines.map_while(Result::ok).filter(|l| l == "busy").for_each(|_| busy.send(()).unwrap());
            child.wait().unwrap()
        });
        is_busy.recv().unwrap();
        server.kill9().unwrap();
        assert!(!session.join().unwrap().success(), "the session outlived its server");
    });
    server.restart(Mode::Immediate).unwrap();
    assert_eq!(server.psql("app", "SELECT count(*) FROM t").unwrap(), "0");
}

#[test]
fn durable_unless_asked_and_settings_arrive() {
    let show = |server: &Server, name: &str| server.psql("postgres", &format!("SHOW {name}")).unwrap();
    let server = start(&Options::new().max_connections(17).setting("work_mem", "5MB").setting("app.motto", r"it's \ fine"));
    for (name, value) in [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("max_connections", "17"),
        ("work_mem", "5MB"),
        ("app.motto", r"it's \ fine"),
        ("listen_addresses", "127.0.0.1"),
        ("server_encoding", "UTF8"),
        ("lc_collate", "C"),
    ] {
        assert_eq!(show(&server, name), value, "{name}");
    }
    assert!(server.disk_usage().unwrap() > 1 << 20);
    let unsafe_server = start(&Options::new().fast_unsafe());
    assert_eq!((show(&unsafe_server, "fsync").as_str(), show(&unsafe_server, "synchronous_commit").as_str()), ("off", "off"));
    assert_ne!(server.port(), unsafe_server.port());
    assert_ne!(server.data_dir(), unsafe_server.data_dir());
}

#[test]
fn a_role_enters_with_its_password_and_not_with_another() {
    let server = start(&Options::new().fast_unsafe());
    server.psql("postgres", "CREATE ROLE clerk LOGIN PASSWORD 'right'").unwrap();
    let who = |password: &str| {
        let url = format!("postgres://clerk:{password}@{}:{}/postgres", server.host(), server.port());
        Command::new(server.programs().psql.as_ref().unwrap())
            .args(["-X", "-w", "-A", "-t", "-d", &url, "-c", "SELECT current_user"])
            .output()
            .unwrap()
    };
    assert_eq!(String::from_utf8(who("right").stdout).unwrap().trim(), "clerk");
    let refused = who("wrong");
    assert!(!refused.status.success() && String::from_utf8(refused.stderr).unwrap().contains("password authentication failed"));

    let by_socket = Command::new(server.programs().psql.as_ref().unwrap())
        .args(["-X", "-w", "-A", "-t", "-U", "postgres", "-p", &server.port().to_string(), "-d", "postgres", "-c", "SELECT 'in'", "-h"])
        .arg(server.socket_folder())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(by_socket.stdout).unwrap().trim(), "in");
}

#[test]
fn what_the_server_refuses_is_said_with_the_end_of_its_log() {
    let refused = Server::start(&Options::new().setting("no_such_setting", "1")).unwrap_err();
    assert!(matches!(refused, StartError::Ended { .. }), "{refused}");
    assert!(refused.to_string().contains(r#"unrecognized configuration parameter "no_such_setting""#), "{refused}");

    let refused = Server::start(&Options::new().setting("port", "5432")).unwrap_err();
    assert!(matches!(refused, StartError::Setting { .. }), "{refused}");

    let refused = Server::start(&Options::new().within("/no/such/folder")).unwrap_err();
    assert!(matches!(refused, StartError::Folder { .. }), "{refused}");
}

#[test]
fn statements_that_fail_say_why() {
    let server = start(&Options::new().fast_unsafe());
    server.create_database("odd \" name/?").unwrap();
    assert_eq!(server.psql("odd \" name/?", "SELECT current_database()").unwrap(), "odd \" name/?");
    let twice = server.create_database("odd \" name/?").unwrap_err();
    assert!(twice.to_string().contains("already exists"), "{twice}");
    assert!(matches!(server.create_database(&"x".repeat(64)), Err(SqlError::Name(_))));
    let refused = server.psql("postgres", "SELECT 1; SELECT nonsense; SELECT 2").unwrap_err();
    assert!(refused.to_string().contains("nonsense"), "{refused}");
}

#[test]
fn a_server_lives_in_the_folder_that_was_asked_for() {
    // A folder that the account which the server runs as can enter.
    let probe = start(&Options::new().fast_unsafe());
    let base = probe.data_dir().parent().unwrap().parent().unwrap().to_owned();
    let within =
        tempfile::Builder::new().prefix("pg").permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755)).tempdir_in(base).unwrap();
    let server = start(&Options::new().fast_unsafe().within(within.path()));
    assert!(server.data_dir().starts_with(fs::canonicalize(within.path()).unwrap()));
    assert_eq!(server.psql("postgres", "SHOW data_directory").unwrap(), server.data_dir().to_str().unwrap());
}

#[test]
fn there_is_always_a_server_to_share() {
    let database = Server::shared().unwrap().fresh_database().unwrap();
    assert_eq!(database.psql("SELECT current_database()").unwrap(), database.name());
}
