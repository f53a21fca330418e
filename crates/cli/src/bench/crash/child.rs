//! The node's process as its parent sees it: started, ready, killed.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child as Process, ChildStdin, ChildStdout, Command};

use super::node::Ready;
use crate::failure::Failure;

/// A node that is not ready by then never will be.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// What every process of a run is started with.
pub struct Setup {
    /// The run's folder.
    pub dir: PathBuf,
    /// Where the upstream listens.
    pub upstream: SocketAddr,
    /// The lossy layer ignores syncs, too.
    pub lying: bool,
}

/// A process.
pub struct Child {
    process: Process,
    lines: Lines<BufReader<ChildStdout>>,
    _until: Option<ChildStdin>,
}

impl Setup {
    /// Starts a process. It dies with this one.
    ///
    /// # Errors
    /// When the system does not start it.
    pub fn start(&self, issue_key: bool, lossy_seed: Option<u64>) -> Result<Child, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bench", "crash-node", "--upstream", &self.upstream.to_string(), "--dir"]).arg(&self.dir);
        if issue_key {
            command.arg("--issue-key");
        }
        if let Some(seed) = lossy_seed {
            command.args(["--lossy-seed", &seed.to_string()]);
            if self.lying {
                command.arg("--lying");
            }
        }
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let stdout = process.stdout.take().ok_or_else(|| Failure::plain("the node's process has no output"))?;
        Ok(Child { _until: process.stdin.take(), process, lines: BufReader::new(stdout).lines() })
    }
}

impl Child {
    /// Waits until it serves.
    ///
    /// # Errors
    /// When it ended by itself, which no crash may bring about, or hangs.
    pub async fn ready(&mut self) -> Result<Ready, Failure> {
        let line = tokio::time::timeout(READY_WITHIN, self.lines.next_line()).await;
        let line = line.map_err(|_| Failure::plain(format!("the node is not ready after {} s", READY_WITHIN.as_secs())))??;
        match line {
            Some(line) => serde_json::from_str(&line).map_err(|e| Failure::plain(format!("the node said `{line}`: {e}"))),
            None => {
                let status = self.process.wait().await?;
                Err(Failure::plain(format!("the node did not start again after a crash: it ended with {status}; its message is above")))
            }
        }
    }

    /// Ends it with SIGKILL: nothing of it runs any more when this returns.
    ///
    /// # Errors
    /// When it had ended by itself.
    pub async fn kill(mut self) -> Result<(), Failure> {
        if let Some(status) = self.process.try_wait()? {
            return Err(Failure::plain(format!("the node ended by itself with {status}; its message is above")));
        }
        self.process.kill().await?;
        Ok(())
    }
}
