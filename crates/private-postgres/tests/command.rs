//! The command `private-postgres`: what its command gets, how it ends, and that the server never outlives it, killed or not.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods, reason = "test code")]

use std::env;
use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tollgate_private_postgres::Programs;

fn private_postgres(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_private-postgres"));
    // The commands below say `psql`, which not every system has in PATH.
    let psql = Programs::find().unwrap().psql.unwrap();
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = psql.parent().map(PathBuf::from).into_iter().chain(env::split_paths(&path));
    command.args(args).env("PATH", env::join_paths(folders).unwrap());
    command
}

fn output(args: &[&str]) -> Output {
    private_postgres(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Polls until something holds, and fails when it never does.
fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "not in a minute: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn answers(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// A running `private-postgres run` whose command said where the server is, did `first`, and now waits for the end of its input.
struct Running {
    process: Child,
    /// Kept open, or the command would end before its time.
    _input: ChildStdin,
    _output: BufReader<ChildStdout>,
    port: u16,
    folder: PathBuf,
}

impl Running {
    fn start(first: &str) -> Self {
        let script = format!(
            r#"echo "$TOLLGATE_TEST_POSTGRES" && psql -XAt -d "$TOLLGATE_TEST_POSTGRES" -c 'SHOW data_directory'; {first}; echo ready; while read -r line; do :; done"#
        );
        let mut process = private_postgres(&["run", "--fast-unsafe", "--", "sh", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let [url, data, ready] = [(); 3].map(|()| {
            let mut line = String::new();
            output.read_line(&mut line).unwrap();
            line.trim_end().to_owned()
        });
        assert_eq!(ready, "ready");
        let port = url.rsplit_once(':').unwrap().1.split_once('/').unwrap().0.parse().unwrap();
        let folder = PathBuf::from(data).parent().unwrap().to_owned();
        Self { _input: process.stdin.take().unwrap(), process, _output: output, port, folder }
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, signal).unwrap();
    }
}

#[test]
fn a_server_does_not_outlive_a_starter_that_was_killed() {
    let mut running = Running::start(":");
    assert!(answers(running.port) && running.folder.exists());
    running.process.kill().unwrap();
    until("the server is gone", || !answers(running.port));
    until("its folder is gone", || !running.folder.exists());
    running.process.wait().unwrap();
}

#[test]
fn signals_reach_the_command_which_may_end_in_its_own_way() {
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::INT] {
        let mut running = Running::start("trap 'exit 7' TERM INT");
        running.signal(signal);
        assert_eq!(running.process.wait().unwrap().code(), Some(7), "{signal:?}");
        assert!(!answers(running.port) && !running.folder.exists(), "the server outlived its command");
    }
}

#[test]
fn the_exit_code_is_the_commands() {
    assert_eq!(output(&["run", "--fast-unsafe", "--", "sh", "-c", "exit 3"]).status.code(), Some(3));
    assert_eq!(output(&["run", "--fast-unsafe", "--", "sh", "-c", "kill -KILL $$"]).status.code(), Some(128 + 9));
    assert_eq!(output(&["run", "--fast-unsafe", "--", "true"]).status.code(), Some(0));
}

#[test]
fn the_command_gets_a_database_when_it_asks_for_one() {
    let args = ["run", "--fast-unsafe", "--database", "app", "--max-connections", "23", "--set", "work_mem=6MB", "--", "sh", "-c"];
    let script =
        r#"psql -XAt -d "$DATABASE_URL" -c 'SELECT current_database()' -c 'SHOW max_connections' -c 'SHOW work_mem' -c 'SHOW fsync'"#;
    let out = output(&[args.as_slice(), &[script]].concat());
    assert_eq!(text(&out.stdout), "app\n23\n6MB\noff\n", "{}", text(&out.stderr));
}

#[test]
fn what_is_wrong_is_said_with_exit_code_two() {
    for (args, said) in [
        (&["run", "--", "/no/such/program"][..], "/no/such/program"),
        (&["run", "--set", "no_such_setting=1", "--", "true"], "no_such_setting"),
        (&["run", "--nonsense", "--", "true"], "--nonsense"),
        (&["run", "true"], "`true` is no option"),
        (&["run"], "no command"),
        (&["run", "--max-connections", "many", "--", "true"], "--max-connections"),
        (&[], "say `run` or `find`"),
    ] {
        let out = output(args);
        assert_eq!(out.status.code(), Some(2), "{args:?}");
        assert!(text(&out.stderr).starts_with("private-postgres: ") && text(&out.stderr).contains(said), "{args:?}: {}", text(&out.stderr));
    }
}

#[test]
fn a_postgres_that_is_not_there_is_missed_in_one_line() {
    let empty = tempfile::tempdir().unwrap();
    let out = private_postgres(&["run", "--", "true"]).env("TOLLGATE_POSTGRES_BIN", empty.path()).output().unwrap();
    assert_eq!(out.status.code(), Some(2));
    let said = text(&out.stderr);
    assert!(said.lines().count() == 1 && said.contains("TOLLGATE_POSTGRES_BIN") && said.contains("apt-get install"), "{said}");

    let found = output(&["find"]);
    assert!(found.status.success() && text(&found.stdout).contains("PostgreSQL"), "{}", text(&found.stdout));
}

#[test]
fn the_callers_own_postgres_settings_change_nothing() {
    let args = ["run", "--fast-unsafe", "--database", "app", "--", "true"];
    let out =
        private_postgres(&args).env("PGHOST", "/nowhere").env("PGOPTIONS", "-c nonsense=1").env("PGDATA", "/nowhere").output().unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
}
