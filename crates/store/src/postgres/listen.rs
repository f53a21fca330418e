//! News between the processes of one database: one connection listens and notifies, outside the transactions that are waited for.
//!
//! News say what kind of thing changed and no more: whoever hears them looks. A lost connection is made again, and since news may have been
//! missed meanwhile, everything is then raised.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_postgres::{AsyncMessage, Client};

use super::migrate::said;
use super::options::Login;
use super::store::PgStore;
use crate::backend::Committed;

/// The channel, of this database alone.
const CHANNEL: &str = "tollgate";
/// Notifications of one process are at least so far apart; the first goes out at once.
const COALESCE: Duration = Duration::from_millis(10);
/// First and longest wait before the connection is made again.
const WAIT_FIRST: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(5);
/// A notification that is not done by then has no connection any more.
const TELL_MAX: Duration = Duration::from_secs(10);
/// A server that is gone without a word is noticed after about these two and a few tries.
const SILENCE: Duration = Duration::from_secs(20);
const SILENCE_BETWEEN: Duration = Duration::from_secs(5);

/// What comes over the line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard {
    /// Another process committed this.
    News(Committed),
    /// News come in from now on; what came before may have been missed.
    Up,
    /// No news come in, and why.
    Down(String),
}

/// Kinds of news, by the letter that stands for each.
const KINDS: [(u8, char); 5] = [(1, 's'), (2, 'l'), (4, 'e'), (8, 'c'), (16, 'o')];

fn bits(news: Committed) -> u8 {
    [news.steps, news.entries, news.events, news.config, news.changes]
        .iter()
        .zip(KINDS)
        .filter(|(is, _)| **is)
        .map(|(_, (bit, _))| bit)
        .sum()
}

fn letters(bits: u8) -> String {
    KINDS.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, letter)| letter).collect()
}

/// Letters that a later program may add say nothing to this one.
fn read(letters: &str) -> Committed {
    let is = |letter| letters.contains(letter);
    Committed { steps: is('s'), entries: is('l'), events: is('e'), changes: is('o'), config: is('c') }
}

/// What waits to be told.
#[derive(Default)]
pub(crate) struct Wire {
    pending: AtomicU8,
    raised: Notify,
    used: AtomicBool,
}

impl Wire {
    /// Tells the other processes, soon. Cheap, and never waits.
    pub(crate) fn tell(&self, news: Committed) {
        if self.used.load(Ordering::Acquire) {
            self.pending.fetch_or(bits(news), Ordering::AcqRel);
            self.raised.notify_one();
        }
    }
}

/// Who hears.
type Hear = Arc<dyn Fn(Heard) + Send + Sync>;

/// The line, for as long as it lives.
pub(crate) struct Line(JoinHandle<()>);

impl Drop for Line {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl PgStore {
    /// Listens to the news of other processes, and tells them this one's, for as long as the store lives. A process hears of its own
    /// commits through `on_commit`, and not here.
    pub fn listen(&self, hear: impl Fn(Heard) + Send + Sync + 'static) {
        let shared = &self.engine.shared;
        shared.wire.used.store(true, Ordering::Release);
        let mut login = shared.login.clone();
        login.config.keepalives_idle(SILENCE).keepalives_interval(SILENCE_BETWEEN).keepalives_retries(3);
        let line = Line(tokio::spawn(serve(login, Arc::clone(&shared.wire), Arc::new(hear))));
        *self.engine.line.lock() = Some(line);
    }
}

async fn serve(login: Login, wire: Arc<Wire>, hear: Hear) {
    let mut wait = WAIT_FIRST;
    loop {
        match open(&login, &hear).await {
            Ok((client, mut ended)) => {
                hear(Heard::Up);
                wait = WAIT_FIRST;
                let why = tell(&client, &wire, &mut ended.0).await;
                hear(Heard::Down(why));
            }
            Err(e) => hear(Heard::Down(said(&e))),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(WAIT_MAX);
    }
}

/// The task that reads the connection; stops with this.
struct Reading(JoinHandle<String>);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A connection that listens.
async fn open(login: &Login, hear: &Hear) -> Result<(Client, Reading), tokio_postgres::Error> {
    let (client, mut connection) = login.connect().await?;
    let own = Arc::new(std::sync::atomic::AtomicI32::new(0));
    let (hear, known) = (Arc::clone(hear), Arc::clone(&own));
    let reading = tokio::spawn(async move {
        loop {
            match poll_fn(|cx| connection.poll_message(cx)).await {
                Some(Ok(AsyncMessage::Notification(n))) if n.process_id() != known.load(Ordering::Acquire) => {
                    hear(Heard::News(read(n.payload())));
                }
                Some(Ok(_)) => {}
                Some(Err(e)) => return said(&e),
                None => return "the connection was closed".to_owned(),
            }
        }
    });
    let reading = Reading(reading);
    let row = client.query_one("SELECT pg_backend_pid()", &[]).await?;
    own.store(row.get(0), Ordering::Release);
    // A notification holds nothing that must survive, and its commit need not wait for the disk.
    client.batch_execute(&format!("SET synchronous_commit = off; SET statement_timeout = '10s'; LISTEN {CHANNEL}")).await?;
    Ok((client, reading))
}

/// Tells what is raised, until the connection ends; answers why it did.
async fn tell(client: &Client, wire: &Wire, ended: &mut JoinHandle<String>) -> String {
    loop {
        tokio::select! {
            why = &mut *ended => return why.unwrap_or_else(|e| e.to_string()),
            () = wire.raised.notified() => {}
        }
        let bits = wire.pending.swap(0, Ordering::AcqRel);
        if bits == 0 {
            continue;
        }
        let text = format!("NOTIFY {CHANNEL}, '{}'", letters(bits));
        let told = tokio::time::timeout(TELL_MAX, client.batch_execute(&text)).await;
        let failed = match told {
            Ok(Ok(())) => None,
            Ok(Err(e)) => Some(said(&e)),
            Err(_) => Some("the database does not answer".to_owned()),
        };
        if let Some(why) = failed {
            // Told over the next connection.
            wire.pending.fetch_or(bits, Ordering::AcqRel);
            wire.raised.notify_one();
            return why;
        }
        tokio::select! {
            why = &mut *ended => return why.unwrap_or_else(|e| e.to_string()),
            () = tokio::time::sleep(COALESCE) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_are_read_as_they_are_told() {
        for n in 0..32 {
            let news = read(&letters(n));
            assert_eq!(bits(news), n);
        }
        assert_eq!(read("zs!"), Committed { steps: true, ..Committed::default() });
    }
}
