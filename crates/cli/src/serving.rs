//! A node that serves, and the signals that end a process.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tollgate_server::Drain;

use crate::client::{RUNNING_FILE, Running};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::node::{Assembled, Meter, Node, Setup};

/// Where it listens when nobody says otherwise.
pub const LISTEN: &str = "127.0.0.1:3001";

/// A node that serves.
pub struct Serving {
    /// The node.
    pub node: Node,
    /// Where it listens.
    pub addr: SocketAddr,
    drain: Drain,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Serving {
    /// Opens the node, makes a project active if one is given, starts the loops of its part and the server.
    pub async fn start(setup: &Setup, assembled: Option<&Assembled>, listen: &str) -> Result<Self, Failure> {
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
        match assembled {
            Some(assembled) => drop(node.deploy(assembled).await?),
            None => node.refresh().await?,
        }
        node.start().await?;
        let drain = Drain::default();
        let router = node.router(&Meter::install());
        let server = tokio::spawn(tollgate_server::serve_until_drained(listener, router, drain.clone()));
        Ok(Self { node, addr, drain, server })
    }

    /// Tells the commands beside this data folder where the server is.
    ///
    /// # Errors
    /// When the folder says no.
    pub fn announce(&self) -> Result<(), Failure> {
        let running = Running { url: format!("http://{}", self.addr) };
        Ok(self.node.home.replace(RUNNING_FILE, &serde_json::to_vec(&running).map_err(Failure::plain)?)?)
    }

    /// Is not ready any more, and goes on serving for a while, so that whoever sends requests here learns of it; then takes no more, lets
    /// calls end, signs what was written.
    pub async fn stop(self, linger: Duration) {
        self.node.leaving.store(true, Ordering::Release);
        self.drain.leaving.cancel();
        tokio::time::sleep(linger).await;
        self.drain.late.cancel();
        // Its end is all that is waited for.
        let _ = self.server.await;
        self.node.service.stop().await;
        self.node.home.remove(RUNNING_FILE);
    }
}

/// Ctrl-C and SIGTERM, caught from here on: whoever saw that the server is ready may stop it.
pub struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// Catches them.
    pub fn catch() -> Result<Self, Failure> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Waits. A second signal ends the process at once: that too loses nothing.
    pub async fn wait(mut self) {
        self.asked().await;
        tokio::spawn(async move {
            self.asked().await;
            std::process::exit(i32::from(Exit::Interrupted.code()));
        });
    }
}
