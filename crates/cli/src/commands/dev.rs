//! `tollgate dev`: everything in one process.

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::check;
use crate::client::{RUNNING_FILE, Running};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::keys::Keys;
use crate::node::{Assembled, Meter, Node, Setup};
use crate::store_args::StoreArgs;

/// The command line of `dev`.
#[derive(Debug, clap::Args)]
pub struct Dev {
    #[command(subcommand)]
    pub what: Option<DevCommand>,
    /// Address and port; what `tollgate.toml` says when left out, else 127.0.0.1:3001
    #[arg(long)]
    listen: Option<String>,
    #[command(flatten)]
    store: StoreArgs,
}

/// What else `dev` does.
#[derive(Debug, clap::Subcommand)]
pub enum DevCommand {
    /// Offer events of a file to the operators, here and now, with every effect stubbed
    Replay(super::dev_replay::DevReplay),
}

/// Where it listens when nobody says otherwise.
const LISTEN: &str = "127.0.0.1:3001";

/// A node that serves.
pub struct Serving {
    /// The node.
    pub node: Node,
    /// Its first keys.
    pub keys: Keys,
    /// Where it listens.
    pub addr: SocketAddr,
    stop: CancellationToken,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Serving {
    /// Opens the data folder, makes the project active, starts worker and server.
    pub async fn start(setup: &Setup, assembled: &Assembled, listen: &str) -> Result<Self, Failure> {
        let listener = TcpListener::bind(listen).await.map_err(|e| {
            let why = match e.kind() {
                std::io::ErrorKind::AddrInUse => "another process listens there: stop it, or give another address with --listen".to_owned(),
                std::io::ErrorKind::InvalidInput => {
                    return Failure::new(Exit::Usage, format!("`{listen}` is not an address with a port: write it like {LISTEN}"));
                }
                _ => e.to_string(),
            };
            Failure::plain(format!("cannot listen on {listen}: {why}"))
        })?;
        let addr = listener.local_addr()?;
        let node = Node::open(setup).await?;
        node.deploy(assembled).await?;
        let keys = Keys::ensure(&node).await?;
        node.service.start().await?;
        let stop = CancellationToken::new();
        let ended = stop.clone();
        let router = node.router(&Meter::install());
        let server = tokio::spawn(tollgate_server::serve(listener, router, async move { ended.cancelled().await }));
        let running = Running { url: format!("http://{addr}") };
        node.home.replace(RUNNING_FILE, &serde_json::to_vec(&running).map_err(Failure::plain)?)?;
        Ok(Self { node, keys, addr, stop, server })
    }

    /// Takes no more requests, lets calls end, signs what was written.
    pub async fn stop(self) {
        self.stop.cancel();
        // Its end is all that is waited for.
        let _ = self.server.await;
        self.node.service.stop().await;
        self.node.home.remove(RUNNING_FILE);
    }
}

/// Runs it until Ctrl-C or SIGTERM.
///
/// # Errors
/// When the project has faults, the port is taken, or the store does not open.
pub async fn run(cx: &Context, what: Dev) -> Result<(), Failure> {
    if let Some(DevCommand::Replay(replay)) = what.what {
        return super::dev_replay::run(cx, replay).await;
    }
    let (project, assembled) = check::compile(cx).map_err(|f| check::failure(&f))?;
    let data = cx.data_dir(Some(&project));
    let listen = what.listen.or_else(|| project.settings.listen.map(|a| a.to_string())).unwrap_or_else(|| LISTEN.to_owned());
    let (keys, place) = (what.store.keys.clone(), what.store.place()?);
    let setup = Setup { data, project: project.root.clone(), keys, place, worker: crate::options::worker()? };
    let serving = Serving::start(&setup, &assembled, &listen).await?;
    serving.node.retain(&project.settings.retention, &project.root)?;
    let stop = Stop::catch()?;
    banner(cx, &project, &serving, &setup);
    stop.wait().await;
    if !cx.out.json {
        cx.out.line("\nstopping: calls under way are awaited");
    }
    serving.stop().await;
    Ok(())
}

fn banner(cx: &Context, project: &tollgate_spec::Project, serving: &Serving, setup: &Setup) {
    let data = &setup.data;
    if cx.out.json {
        cx.out.line(
            serde_json::json!({"url": format!("http://{}", serving.addr), "data": data, "bundle": project.bundle.digest()}).to_string(),
        );
        return;
    }
    let b = &project.bundle;
    cx.out.line(format!("{} {}", cx.out.paint(1, "tollgate"), project.settings.name));
    cx.out.line(format!("  listening  http://{}  (API: /openapi.json, metrics: /metrics)", serving.addr));
    cx.out.line(format!("  data       {}", data.display()));
    cx.out.line(format!("  store      {}", setup.place.shown(&serving.node.home)));
    cx.out.line(format!("  keys       {}", data.join(crate::client::KEYS_FILE).display()));
    cx.out.line(format!("  project    {}", super::check::counts(b)));
    let hooks: Vec<&str> = b.connectors.values().filter(|c| c.webhook.is_some()).map(|c| c.name.as_str()).collect();
    for hook in hooks {
        cx.out.line(format!("  webhooks   http://{}/v1/hooks/{hook}", serving.addr));
    }
    cx.out.line("Ctrl-C stops it; nothing is lost.");
}

/// Ctrl-C and SIGTERM, caught from here on: whoever saw that the server is ready may stop it.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn catch() -> Result<Self, Failure> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Waits. A second signal ends the process at once: that too loses nothing.
    async fn wait(mut self) {
        self.asked().await;
        tokio::spawn(async move {
            self.asked().await;
            std::process::exit(i32::from(Exit::Interrupted.code()));
        });
    }
}
