//! This program started again, as a process of its own: its words in a file, its first line awaited. It never outlives the one that started it.
//! Knows nothing of what it does.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ExitStatus, Stdio};
use std::sync::OnceLock;

use parking_lot::Mutex;
use rustix::process::{Pid, Signal};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child as Process, ChildStdout, Command};

use crate::failure::Failure;

/// Lines of a log that are shown of a process that failed.
const LINES: usize = 20;
/// Variables of whoever started us that would change what a child does.
const FOREIGN: [&str; 13] = [
    "DATABASE_URL",
    "DATABASE_ADMIN_URL",
    "TOLLGATE_KEYS",
    "TOLLGATE_MASTER_KEY",
    "TOLLGATE_API_KEY",
    "TOLLGATE_URL",
    "WORKER_ID",
    "WORKER_CONCURRENCY",
    "WORKER_LEASE_SECONDS",
    "WORKER_POLL_INTERVAL",
    "WORKER_MAX_RETRIES",
    "WORKER_LABELS",
    "RUN_ID",
];

/// A shell that hears which processes live, and kills them when it hears no more: whatever ended us, it ended the pipe.
const GUARD: &str = r#"
all=' '
while read -r pid; do
  case $pid in
    -*) all="${all%% "${pid#-}" *} ${all#* "${pid#-}" }" ;;
    *) all="$all$pid " ;;
  esac
done
for pid in $all; do kill -KILL "$pid" 2>/dev/null; done
"#;
static GUARDING: OnceLock<Option<Mutex<ChildStdin>>> = OnceLock::new();

/// Tells the guard, which is started with the first child.
fn guard(line: &str) {
    let start = || {
        let mut command = std::process::Command::new("/bin/sh");
        command.args(["-c", GUARD]).process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().ok().and_then(|mut shell| shell.stdin.take()).map(Mutex::new)
    };
    if let Some(pipe) = GUARDING.get_or_init(start) {
        // Without a guard everything works but its purpose.
        let _ = writeln!(pipe.lock(), "{line}");
    }
}

/// How one is started.
#[derive(Clone, Debug)]
pub struct Start {
    /// What it is called; its log has this name.
    pub name: String,
    /// Where its log is.
    pub folder: PathBuf,
    /// Its command line.
    pub args: Vec<String>,
    /// Its variables, beside those that it inherits.
    pub env: Vec<(&'static str, String)>,
}

/// A process. It is killed when this is dropped.
pub struct Child {
    process: Process,
    id: Option<Pid>,
    name: String,
    log: PathBuf,
    // Kept open: whoever writes to a pipe that nobody reads is ended by it.
    _out: BufReader<ChildStdout>,
}

impl Start {
    /// Starts it, and waits for the line that says that it is ready.
    ///
    /// # Errors
    /// When it ends before: its last words are in the message.
    pub async fn start(&self) -> Result<(Child, Value), Failure> {
        let log = self.folder.join(format!("{}.log", self.name));
        let mut command = Command::new(std::env::current_exe()?);
        for name in FOREIGN {
            command.env_remove(name);
        }
        command.args(&self.args).envs(self.env.iter().map(|(name, value)| (name, value)));
        // Ctrl-C is for the command that started it, which then stops it.
        command.process_group(0).kill_on_drop(true);
        let words = File::options().create(true).append(true).open(&log)?;
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(words).spawn()?;
        let id = process.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(id) = id {
            guard(&id.as_raw_nonzero().to_string());
        }
        let out = process.stdout.take().ok_or_else(|| Failure::plain(format!("{} has no output", self.name)))?;
        let mut out = BufReader::new(out);
        let mut line = String::new();
        out.read_line(&mut line).await?;
        let mut child = Child { process, id, name: self.name.clone(), log, _out: out };
        if let Ok(ready) = serde_json::from_str(&line) {
            return Ok((child, ready));
        }
        child.process.start_kill()?;
        child.ended().await?;
        Err(Failure::plain(format!("{} did not start:\n{}", child.name, tail(&child.log))))
    }
}

impl Child {
    /// Sends it a signal.
    ///
    /// # Errors
    /// When it ended by itself.
    pub fn signal(&mut self, signal: Signal) -> Result<(), Failure> {
        if let Some(status) = self.process.try_wait()? {
            return Err(Failure::plain(format!("{} ended by itself with {status}:\n{}", self.name, tail(&self.log))));
        }
        self.id.map_or(Ok(()), |id| rustix::process::kill_process(id, signal).map_err(Failure::plain))
    }

    /// Ends it with SIGKILL: nothing of it runs any more when this returns.
    ///
    /// # Errors
    /// When it had ended by itself.
    pub async fn kill(mut self) -> Result<(), Failure> {
        self.signal(Signal::KILL)?;
        self.ended().await?;
        Ok(())
    }

    async fn ended(&mut self) -> Result<ExitStatus, Failure> {
        let status = self.process.wait().await?;
        if let Some(id) = self.id {
            guard(&format!("-{}", id.as_raw_nonzero()));
        }
        Ok(status)
    }

    /// Stops it as an operator does, with SIGTERM.
    ///
    /// # Errors
    /// When it ends otherwise than well.
    pub async fn stop(mut self) -> Result<(), Failure> {
        self.signal(Signal::TERM)?;
        let status = self.ended().await?;
        if status.success() { Ok(()) } else { Err(Failure::plain(format!("{} ended with {status}:\n{}", self.name, tail(&self.log)))) }
    }
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_else(|e| format!("{}: {e}", log.display()));
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default().join("\n")
}
