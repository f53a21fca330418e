//! `private-postgres`: runs a command beside a server of its own, and ends as the command ended.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitCode, ExitStatus};

use rustix::process::{Pid, Signal, getpgrp, kill_process};
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal as Incoming, SignalKind, signal};
use tollgate_private_postgres::{Options, Programs, SHARED_SERVER, Server};

const USAGE: &str = "\
Usage: private-postgres run [OPTIONS] -- COMMAND [ARGS...]
       private-postgres find

run starts a Postgres server of its own, runs COMMAND with TOLLGATE_TEST_POSTGRES set to the superuser's
address of the database postgres, stops the server and ends with COMMAND's exit code (2 if there is no server).
find prints the folder and version of the Postgres that it would start.

  --fast-unsafe          without fsync: for functional tests, never for a figure
  --database NAME        make this database and set DATABASE_URL to its address
  --max-connections N    default 200
  --set NAME=VALUE       a setting as in postgresql.conf; may be repeated
  --within FOLDER        make the server's folder in this one instead of that for temporary files";

/// Any failure of ours, also a wrong command line.
const FAILED: u8 = 2;

struct Run {
    options: Options,
    database: Option<String>,
    command: Vec<OsString>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut args = env::args_os().skip(1);
    let result = match args.next().as_ref().and_then(|a| a.to_str()) {
        Some("run") => match parse(args) {
            Ok(run) => run.run().await,
            Err(why) => Err(format!("{why}\n\n{USAGE}")),
        },
        Some("find") => find(),
        Some("help" | "--help" | "-h") => {
            println!("{USAGE}");
            Ok(0)
        }
        _ => Err(format!("say `run` or `find`\n\n{USAGE}")),
    };
    result.map_or_else(
        |why| {
            eprintln!("private-postgres: {why}");
            ExitCode::from(FAILED)
        },
        ExitCode::from,
    )
}

fn find() -> Result<u8, String> {
    let programs = Programs::find().map_err(|e| e.to_string())?;
    let folder = programs.postgres.parent().unwrap_or(&programs.postgres);
    println!("{} {}", folder.display(), programs.version);
    Ok(0)
}

fn parse(mut args: impl Iterator<Item = OsString>) -> Result<Run, String> {
    let mut run = Run { options: Options::new(), database: None, command: Vec::new() };
    while let Some(arg) = args.next() {
        let name = arg.to_string_lossy().into_owned();
        let mut value = || args.next().ok_or_else(|| format!("`{name}` needs a value"));
        let text = |v: OsString| v.into_string().map_err(|v| format!("`{}` is not UTF-8", v.to_string_lossy()));
        match name.as_str() {
            "--" => {
                run.command = args.collect();
                break;
            }
            "--fast-unsafe" => run.options = run.options.fast_unsafe(),
            "--database" => run.database = Some(text(value()?)?),
            "--max-connections" => {
                let n = text(value()?)?.parse().map_err(|_| "`--max-connections` needs a number")?;
                run.options = run.options.max_connections(n);
            }
            "--set" => {
                let setting = text(value()?)?;
                let (name, value) = setting.split_once('=').ok_or("`--set` needs NAME=VALUE")?;
                run.options = run.options.setting(name, value);
            }
            "--within" => run.options = run.options.within(value()?),
            _ => return Err(format!("`{name}` is no option; the command comes after `--`")),
        }
    }
    if run.command.is_empty() { Err("there is no command after `--`".into()) } else { Ok(run) }
}

impl Run {
    async fn run(self) -> Result<u8, String> {
        // While the server starts, a signal ends us, and the server with us.
        let server = Server::start(&self.options).map_err(|e| e.to_string())?;
        let (program, args) = self.command.split_first().ok_or("there is no command")?;
        let mut command = Command::new(program);
        command.args(args).env(SHARED_SERVER, server.url("postgres"));
        if let Some(name) = &self.database {
            server.create_database(name).map_err(|e| e.to_string())?;
            command.env("DATABASE_URL", server.url(name));
        }
        let catch = |kind| signal(kind).map_err(|e| format!("catching signals: {e}"));
        let (mut interrupt, mut terminate) = (catch(SignalKind::interrupt())?, catch(SignalKind::terminate())?);
        let child = command.spawn().map_err(|e| format!("starting `{}`: {e}", program.to_string_lossy()))?;
        let status = wait(child, &mut interrupt, &mut terminate).await.map_err(|e| format!("waiting for the command: {e}"))?;
        drop(server);
        Ok(code(status))
    }
}

/// Waits for the command, passing on what is sent to us alone.
async fn wait(mut child: Child, interrupt: &mut Incoming, terminate: &mut Incoming) -> std::io::Result<ExitStatus> {
    loop {
        let signal = tokio::select! {
            status = child.wait() => return status,
            Some(()) = interrupt.recv() => Signal::INT,
            Some(()) = terminate.recv() => Signal::TERM,
        };
        // The terminal sends Ctrl-C to the whole group: the command has it already, and a second one may mean something else to it.
        let sent_to_all = signal == Signal::INT && in_foreground();
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid.filter(|_| !sent_to_all) {
            let _ = kill_process(pid, signal);
        }
    }
}

/// Whether we are what the terminal's keys are for.
fn in_foreground() -> bool {
    File::open("/dev/tty").is_ok_and(|tty| rustix::termios::tcgetpgrp(tty).is_ok_and(|group| group == getpgrp()))
}

/// As a shell would: 128 and the signal for a command that was killed.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|s| 128 + s));
    code.and_then(|c| u8::try_from(c).ok()).unwrap_or(u8::MAX)
}
