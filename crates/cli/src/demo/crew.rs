//! The demo's processes when the store is shared: a private Postgres, one control plane, two workers. Quiet unless they fail.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tollgate_core::scope::Mode;

use crate::bench::Ground;
use crate::failure::Failure;
use crate::keys::Keys;
use crate::node::{Assembled, Node, Part, Private, Setup};

/// Workers of a demo.
const WORKERS: usize = 2;
/// Lines of a log that are shown of a process that failed.
const LINES: usize = 20;

/// A process of the crew.
struct Member {
    child: Child,
    log: PathBuf,
    // Kept open: whoever writes to a pipe that nobody reads is ended by it.
    _out: BufReader<ChildStdout>,
}

/// The crew.
pub struct Crew {
    private: Private,
    serve: Member,
    workers: Vec<Member>,
    /// Where the control plane listens.
    pub url: String,
    /// A key for everything.
    pub key: String,
    /// The key that receipts are verified with.
    pub public_key: String,
}

impl Crew {
    /// Lays the database, makes the bundle active, and starts every process.
    ///
    /// # Errors
    /// When one does not start: its last words are in the message.
    pub async fn start(ground: &Ground, folder: &Path, project: &Path, assembled: &Assembled) -> Result<Option<Self>, Failure> {
        let Some(private) = ground.lay(folder).await? else { return Ok(None) };
        let data = folder.join("data");
        let mut setup = Setup::embedded(&data, project, tollgate_worker::Options::default());
        (setup.place, setup.part) = (private.place(), Part::Control);
        let node = Node::open(&setup).await?;
        node.deploy(assembled).await?;
        let key = Keys::ensure(&node).await?.of(Mode::Live).to_owned();
        let public_key = node.signer.public().to_hex();
        // The control plane takes over the data folder.
        drop(node);
        let serve = ["serve", "--no-deploy", "--listen", "127.0.0.1:0", "--drain", "0s"];
        let (serve, ready) = member(folder, project, "serve", &private.serve, &serve).await?;
        let mut workers = Vec::new();
        for n in 1..=WORKERS {
            workers.push(member(folder, project, &format!("worker-{n}"), &private.worker, &["worker"]).await?.0);
        }
        let url = ready["url"].as_str().unwrap_or_default().to_owned();
        Ok(Some(Self { private, serve, workers, url, key, public_key }))
    }

    /// Stops every process as an operator does, workers first, and takes the database away.
    ///
    /// # Errors
    /// When one ended otherwise than it should.
    pub async fn stop(self) -> Result<(), Failure> {
        for member in self.workers.into_iter().chain([self.serve]) {
            member.stop().await?;
        }
        self.private.remove().await
    }
}

/// Starts this program again, and waits for the line that says that it is ready.
async fn member(folder: &Path, project: &Path, name: &str, url: &str, args: &[&str]) -> Result<(Member, Value), Failure> {
    let log = folder.join(format!("{name}.log"));
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--json").arg("--project").arg(project).arg("--data").arg(folder.join("data")).args(args);
    command.env("DATABASE_URL", url).env("WORKER_ID", name).env_remove("DATABASE_ADMIN_URL").env_remove("TOLLGATE_KEYS");
    // Ctrl-C is for the demo, which then stops them.
    command.process_group(0).kill_on_drop(true);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&log)?).spawn()?;
    let out = child.stdout.take().ok_or_else(|| Failure::plain(format!("{name} has no output")))?;
    let mut out = BufReader::new(out);
    let mut line = String::new();
    out.read_line(&mut line).await?;
    let ready = serde_json::from_str(&line).map_err(|_| Failure::plain(format!("{name} did not start:\n{}", tail(&log))))?;
    Ok((Member { child, log, _out: out }, ready))
}

impl Member {
    async fn stop(mut self) -> Result<(), Failure> {
        if let Some(id) = self.child.id().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?)) {
            rustix::process::kill_process(id, rustix::process::Signal::TERM).map_err(Failure::plain)?;
        }
        let status = self.child.wait().await?;
        if status.success() { Ok(()) } else { Err(Failure::plain(format!("a process ended with {status}:\n{}", tail(&self.log)))) }
    }
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_else(|e| format!("{}: {e}", log.display()));
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default().join("\n")
}
