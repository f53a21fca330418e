//! The process that is killed: a whole node over a data folder that outlives it. Says when it is ready; ends when its parent does.

use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tollgate_core::ports::Desk;
use tollgate_core::scope::Mode;
use tollgate_worker::Options;

use super::spec::bundle;
use crate::failure::Failure;
use crate::node::{Meter, Node, Setup, actor, assemble};
use crate::output::Output;

/// How the node is started.
#[derive(Debug, Args)]
pub struct CrashNode {
    /// The run's folder
    #[arg(long)]
    dir: PathBuf,
    /// Where the upstream listens
    #[arg(long)]
    upstream: SocketAddr,
    /// Make an API key and tell it
    #[arg(long)]
    issue_key: bool,
    /// Go through the file layer that loses unsynced writes, with this seed
    #[arg(long)]
    lossy_seed: Option<u64>,
    /// That layer ignores syncs, too
    #[arg(long, requires = "lossy_seed")]
    lying: bool,
}

/// What it tells its parent, as one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ready {
    /// Where it listens.
    pub addr: SocketAddr,
    /// The key, when one was asked for.
    pub key: Option<String>,
    /// Writes that the lossy layer held back while it started; none without it.
    pub held_back: Option<u64>,
}

/// A node's data folder inside a run's.
pub fn data(dir: &Path) -> PathBuf {
    dir.join("data")
}

/// Knobs of the worker: nothing that a crash leaves behind waits for a poll or for the lease of the dead.
pub fn options() -> Options {
    Options { poll: Duration::from_millis(500), lease: Duration::from_secs(5), grace: Duration::from_secs(2), ..Options::default() }
}

/// Serves until its input ends, that is, until its parent is gone. Mostly it is killed long before.
///
/// # Errors
/// When the node does not open or recover: the parent says so and stops the run.
pub async fn run(out: Output, c: CrashNode) -> Result<(), Failure> {
    if let Some(seed) = c.lossy_seed {
        lossy(seed, c.lying)?;
    }
    let node = Node::open(&Setup::embedded(&data(&c.dir), &c.dir, options())).await?;
    let assembled = assemble(Arc::new(bundle(c.upstream)), &c.dir).map_err(|f| Failure::plain(f.lines().join("\n")))?;
    node.deploy(&assembled).await?;
    let key = match c.issue_key {
        true => Some(node.desk.issue_key(&actor(Mode::Live), "crash".to_owned(), vec!["*".to_owned()]).await?.text),
        false => None,
    };
    node.service.start().await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let ready = Ready { addr: listener.local_addr()?, key, held_back: c.lossy_seed.map(|_| held_back()) };
    out.line(serde_json::to_string(&ready).map_err(Failure::plain)?);
    tollgate_server::serve(listener, node.router(&Meter::install()), parent_gone()).await?;
    node.service.stop().await;
    Ok(())
}

async fn parent_gone() {
    let (gone, wait) = tokio::sync::oneshot::channel::<()>();
    // A thread of its own: a read that never ends would hold up the runtime's.
    std::thread::spawn(move || {
        // Nothing is ever sent: the end is all there is to read.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        drop(gone);
    });
    let _ = wait.await;
}

#[cfg(feature = "lossy")]
fn lossy(seed: u64, lying: bool) -> Result<(), Failure> {
    if lying {
        tollgate_lossy::lie();
    }
    tollgate_lossy::register_as_default(seed).map_err(Failure::plain)
}

#[cfg(not(feature = "lossy"))]
fn lossy(_: u64, _: bool) -> Result<(), Failure> {
    Err(Failure::plain(super::WITHOUT_LOSSY))
}

#[cfg(feature = "lossy")]
fn held_back() -> u64 {
    tollgate_lossy::held_back()
}

#[cfg(not(feature = "lossy"))]
const fn held_back() -> u64 {
    0
}
