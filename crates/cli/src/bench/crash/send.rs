//! The senders: correct clients, which send an event again under the same key until they hear that it is stored.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::spec::Kind;
use crate::failure::Failure;

/// Events under way at once.
const SENDERS: u64 = 16;
/// Entities whose order is kept.
const STRICT_ENTITIES: u64 = 8;
/// Entities of keyed actions, so that lanes are shared there, too.
const KEYED_ENTITIES: u64 = 50;
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

/// Where events go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// The node that lives.
    pub addr: SocketAddr,
    /// A key for everything.
    pub key: String,
}

/// An event to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Job {
    /// Its number.
    pub n: u64,
    /// Its promise.
    pub kind: Kind,
    /// The operation it asks for.
    pub op: String,
    /// On what.
    pub entity: String,
}

impl Job {
    /// The event with this number.
    pub fn new(n: u64) -> Self {
        let kind = Kind::ALL[usize::try_from(n % 4).unwrap_or(0)];
        let entity = match kind {
            Kind::Strict => format!("account-{}", (n / 4) % STRICT_ENTITIES),
            Kind::Keyed => format!("order-{}", (n / 4) % KEYED_ENTITIES),
            Kind::Verifiable | Kind::Once => format!("case-{n}"),
        };
        Self { n, kind, op: format!("op-{n:06}"), entity }
    }

    /// Events of one strict entity have an order only if one sender waits for each answer.
    const fn sender(&self) -> u64 {
        match self.kind {
            Kind::Strict => (self.n / 4) % STRICT_ENTITIES % SENDERS,
            _ => self.n % SENDERS,
        }
    }

    fn body(&self) -> Value {
        json!({"source": "crash", "event_type": self.kind.event_type(), "subject": self.entity,
            "payload": {"n": self.n, "op": self.op, "entity": self.entity}})
    }
}

/// An event that the node said it stored.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    /// What was sent.
    pub job: Job,
    /// The id in the answer.
    pub id: String,
    /// How often it was sent in vain.
    pub resent: u32,
    /// The answer said that it was stored before: an earlier answer was lost.
    pub repeated: bool,
}

/// What senders watch.
#[derive(Clone)]
pub struct Orders {
    /// Where to send; none while no node lives.
    pub target: watch::Receiver<Option<Target>>,
    /// Events below this number may be sent.
    pub released: watch::Receiver<u64>,
}

/// Sends events `0..count`, as they are released; ends when all are acknowledged.
///
/// # Errors
/// When a node refuses an event.
pub async fn all(count: u64, orders: Orders) -> Result<Vec<Acknowledged>, Failure> {
    let client = Client::builder().no_proxy().timeout(ANSWER_WITHIN).build().map_err(Failure::plain)?;
    let mut tasks = JoinSet::new();
    for sender in 0..SENDERS {
        let jobs: Vec<Job> = (0..count).map(Job::new).filter(|j| j.sender() == sender).collect();
        let (client, mut orders) = (client.clone(), orders.clone());
        tasks.spawn(async move {
            let mut done = Vec::with_capacity(jobs.len());
            for job in jobs {
                orders.released.wait_for(|r| *r > job.n).await.map_err(|_| ended())?;
                done.push(deliver(&client, &mut orders.target, job).await?);
            }
            Ok::<_, Failure>(done)
        });
    }
    let mut out = Vec::new();
    while let Some(done) = tasks.join_next().await {
        out.append(&mut done.map_err(Failure::plain)??);
    }
    out.sort_unstable_by_key(|a| a.job.n);
    Ok(out)
}

fn ended() -> Failure {
    Failure::plain("the run ended before every event was sent")
}

async fn deliver(client: &Client, target: &mut watch::Receiver<Option<Target>>, job: Job) -> Result<Acknowledged, Failure> {
    let mut resent = 0;
    loop {
        let to = target.wait_for(Option::is_some).await.map_err(|_| ended())?.clone();
        let Some(to) = to else { continue };
        match post(client, &to, &job).await {
            Ok((status @ (StatusCode::OK | StatusCode::CREATED), body)) => {
                let body: Value = serde_json::from_str(&body).unwrap_or_default();
                let id = body["id"].as_str().ok_or_else(|| Failure::plain("an event was acknowledged without its id"))?;
                return Ok(Acknowledged { id: id.to_owned(), job, resent, repeated: status == StatusCode::OK });
            }
            // It said that it did not take it: later.
            Ok((StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS, _)) => {}
            Ok((status, body)) => return Err(Failure::plain(format!("event {} was refused with {status}: {body}", job.n))),
            // No answer, or half of one: nobody knows.
            Err(_) => resent += 1,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn post(client: &Client, to: &Target, job: &Job) -> reqwest::Result<(StatusCode, String)> {
    let request = client
        .post(format!("http://{}/v1/events", to.addr))
        .bearer_auth(&to.key)
        .header("content-type", "application/json")
        .header("idempotency-key", format!("crash-{}", job.n))
        .body(job.body().to_string());
    let answer = request.send().await?;
    let status = answer.status();
    Ok((status, answer.text().await?))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn one_sender_has_all_events_of_a_strict_entity_and_every_event_has_a_sender() {
        let mut senders: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
        for job in (0..400).map(Job::new) {
            assert!(job.sender() < SENDERS);
            if job.kind == Kind::Strict {
                senders.entry(job.entity.clone()).or_default().insert(job.sender());
            }
        }
        assert_eq!(senders.len(), 8);
        assert!(senders.values().all(|s| s.len() == 1));
    }
}
