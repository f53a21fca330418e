//! The demo's processes when the store is shared: a private Postgres, one control plane, two workers. Quiet unless they fail.

use std::path::Path;

use serde_json::Value;
use tollgate_core::scope::Mode;

use crate::bench::Ground;
use crate::child::{Child, Start};
use crate::failure::Failure;
use crate::keys::Keys;
use crate::node::{Assembled, Node, Part, Private, Setup};

/// Workers of a demo.
const WORKERS: usize = 2;

/// The crew.
pub struct Crew {
    private: Private,
    serve: Child,
    workers: Vec<Child>,
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

/// One of the crew, and what it said when it was ready.
async fn member(folder: &Path, project: &Path, name: &str, url: &str, args: &[&str]) -> Result<(Child, Value), Failure> {
    let words = |path: &Path| path.to_string_lossy().into_owned();
    let data = folder.join("data");
    let before = ["--json".to_owned(), "--project".to_owned(), words(project), "--data".to_owned(), words(&data)];
    let args = before.into_iter().chain(args.iter().map(|a| (*a).to_owned())).collect();
    let env = vec![("DATABASE_URL", url.to_owned()), ("WORKER_ID", name.to_owned())];
    Start { name: name.to_owned(), folder: folder.to_owned(), args, env }.start().await
}
