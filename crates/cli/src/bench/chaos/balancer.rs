//! The balancer of `bench rolling`: hands connections in turn to the control planes whose /readyz says yes. It reads nothing of what it carries.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::Client;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::slot::Doors;
use crate::bench::crash::send::Targets;
use crate::failure::Failure;

/// How often it asks who is ready: a control plane that stops must go on for longer than this.
pub const LOOK_EVERY: Duration = Duration::from_millis(50);
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// Who takes connections now, by slot.
type Ready = Arc<Mutex<BTreeMap<usize, SocketAddr>>>;

/// The balancer; ends with the process.
pub struct Balancer {
    /// Where it listens.
    pub addr: SocketAddr,
    ready: Ready,
}

impl Balancer {
    /// Starts it before these control planes.
    ///
    /// # Errors
    /// When it gets no port.
    pub async fn start(doors: &Doors) -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (addr, ready) = (listener.local_addr()?, Ready::default());
        let client = Client::builder().no_proxy().timeout(ANSWER_WITHIN).pool_max_idle_per_host(0).build().map_err(Failure::plain)?;
        tokio::spawn(look(client, doors.subscribe(), Arc::clone(&ready)));
        tokio::spawn(accept(listener, Arc::clone(&ready)));
        Ok(Self { addr, ready })
    }

    /// Waits until so many are ready.
    pub async fn wait_for(&self, count: usize) {
        while self.ready.lock().len() < count {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Doors that lead to it alone.
    pub fn doors(&self, key: impl FnOnce(SocketAddr) -> crate::bench::crash::send::Target) -> Doors {
        watch::Sender::new(BTreeMap::from([(0, key(self.addr))]))
    }
}

async fn look(client: Client, doors: Targets, ready: Ready) {
    loop {
        let all: Vec<(usize, SocketAddr)> = doors.borrow().iter().map(|(n, t)| (*n, t.addr)).collect();
        let mut found = BTreeMap::new();
        for (n, addr) in all {
            let answer = client.get(format!("http://{addr}/readyz")).send().await;
            if answer.is_ok_and(|a| a.status().is_success()) {
                found.insert(n, addr);
            }
        }
        *ready.lock() = found;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn accept(listener: TcpListener, ready: Ready) {
    let turn = AtomicUsize::new(0);
    while let Ok((client, _)) = listener.accept().await {
        let from = turn.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(carry(client, Arc::clone(&ready), from));
    }
}

async fn carry(mut client: TcpStream, ready: Ready, from: usize) {
    let all: Vec<SocketAddr> = ready.lock().values().copied().collect();
    for i in 0..all.len() {
        let Some(addr) = all.get((from + i) % all.len()) else { return };
        // One that is gone already: the next.
        let Ok(mut server) = TcpStream::connect(addr).await else { continue };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        // Whoever closes ends it.
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        return;
    }
}
