//! An installation of many processes, as an operator runs it: a Postgres of its own, control planes and workers. Knows not what it is for.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tollgate_core::hash::Digest;
use tollgate_core::ports::Desk;
use tollgate_core::scope::Mode;
use tollgate_worker::Options;

use crate::bench::crash::send::Target;
use crate::child::{Child, Start};
use crate::failure::Failure;
use crate::node::{Assembled, Node, Part, Private, Setup, actor};

/// How its processes are run.
#[derive(Clone, Copy, Debug)]
pub struct Knobs {
    /// The lease of a worker's session, in whole seconds.
    pub lease: Duration,
    /// How long a stopping control plane goes on serving.
    pub drain: Duration,
    /// Settings of its Postgres.
    pub postgres: &'static [(&'static str, &'static str)],
}

/// The installation.
pub struct Fleet {
    /// Its database.
    pub private: Private,
    /// The bundle that is deployed.
    pub bundle: Digest,
    dir: PathBuf,
    key: String,
    knobs: Knobs,
}

impl Fleet {
    /// Lays the database and deploys. No process runs yet.
    ///
    /// # Errors
    /// When there is no Postgres, or it does not start.
    pub async fn lay(dir: &Path, assembled: &Assembled, knobs: Knobs) -> Result<Self, Failure> {
        let private = Private::start_with(Some(dir), knobs.postgres).await?;
        let mut it = Self { private, bundle: assembled.bundle.digest, dir: dir.to_owned(), key: String::new(), knobs };
        let node = it.open().await?;
        node.deploy(assembled).await?;
        it.key = node.desk.issue_key(&actor(Mode::Live), "bench".to_owned(), vec!["*".to_owned()]).await?.text;
        Ok(it)
    }

    fn keys(&self) -> PathBuf {
        self.dir.join("keys")
    }

    /// A control plane inside this process, whose loops do not run.
    ///
    /// # Errors
    /// When it does not open.
    pub async fn open(&self) -> Result<Node, Failure> {
        let mut setup = Setup::embedded(&self.dir.join("desk"), &self.dir, Options::default());
        (setup.keys, setup.place, setup.part) = (Some(self.keys()), self.private.place(), Part::Control);
        Ok(Node::open(&setup).await?)
    }

    fn start(&self, name: &str, args: &[&str], env: Vec<(&'static str, String)>) -> Start {
        let words = |path: &Path| path.to_string_lossy().into_owned();
        let before = ["--json".to_owned(), "--project".to_owned(), words(&self.dir)];
        let data = ["--data".to_owned(), words(&self.dir.join(name))];
        let args = before.into_iter().chain(data).chain(args.iter().map(|a| (*a).to_owned())).collect();
        let keys = ("TOLLGATE_KEYS", words(&self.keys()));
        Start { name: name.to_owned(), folder: self.dir.clone(), args, env: env.into_iter().chain([keys]).collect() }
    }

    /// How the control plane of this number is started.
    pub fn serve(&self, n: usize) -> Start {
        let drain = format!("{}ms", self.knobs.drain.as_millis());
        let args = ["serve", "--no-deploy", "--listen", "127.0.0.1:0", "--drain", &drain];
        self.start(&format!("serve-{n}"), &args, vec![("DATABASE_URL", self.private.serve.clone())])
    }

    /// How the worker of this number is started.
    pub fn worker(&self, n: usize) -> Start {
        let (name, lease) = (format!("worker-{n}"), self.knobs.lease.as_secs().max(1).to_string());
        let env = vec![("DATABASE_URL", self.private.worker.clone()), ("WORKER_ID", name.clone()), ("WORKER_LEASE_SECONDS", lease)];
        self.start(&name, &["worker"], env)
    }

    /// Starts a control plane; answers where it takes events, too.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_serve(&self, n: usize) -> Result<(Child, Target), Failure> {
        let (child, ready) = self.serve(n).start().await?;
        let url = ready["url"].as_str().and_then(|u| u.strip_prefix("http://")).unwrap_or_default();
        let addr: SocketAddr = url.parse().map_err(|e| Failure::plain(format!("serve-{n} says that it listens on `{url}`: {e}")))?;
        Ok((child, self.target(addr)))
    }

    /// Starts a worker.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_worker(&self, n: usize) -> Result<Child, Failure> {
        self.worker(n).start().await.map(|(child, _)| child)
    }

    /// An address with the key that it takes.
    pub fn target(&self, addr: SocketAddr) -> Target {
        Target { addr, key: self.key.clone() }
    }
}
