//! The senders: correct clients, which send an event again under the same key until they hear that it is stored.

use std::collections::BTreeMap;
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
/// Entities of keyed actions, so that lanes are shared there, too; and of verifiable ones.
const SHARED_ENTITIES: u64 = 50;
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
            Kind::Keyed => format!("order-{}", (n / 4) % SHARED_ENTITIES),
            Kind::Verifiable => format!("ticket-{}", (n / 4) % SHARED_ENTITIES),
            // An `unknown` keeps its lane until a person has looked: each has its own.
            Kind::Once => format!("case-{n}"),
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
    /// How often it was turned away with a word when to come again.
    pub turned_away: u32,
    /// How often without one.
    pub turned_away_rudely: u32,
}

/// What senders watch.
#[derive(Clone)]
pub struct Orders {
    /// Where to send, by the number of the node; nowhere while none lives.
    pub targets: Targets,
    /// What may be sent.
    pub released: watch::Receiver<Released>,
    /// How long an answer may take before nobody waits for it any more.
    pub answer_within: Duration,
}

/// Nodes that take events.
pub type Targets = watch::Receiver<BTreeMap<usize, Target>>;

/// What may be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Released {
    /// Events below this number.
    pub below: u64,
    /// There will be no more.
    pub all: bool,
}

/// Sends events from 0 on, as they are released; ends when all are acknowledged. Each sender has connections of its own.
///
/// # Errors
/// When a node refuses an event.
pub async fn all(orders: Orders) -> Result<Vec<Acknowledged>, Failure> {
    let mut tasks = JoinSet::new();
    for sender in 0..SENDERS {
        let client = Client::builder().no_proxy().timeout(orders.answer_within).build().map_err(Failure::plain)?;
        let mut orders = orders.clone();
        tasks.spawn(async move {
            let mut done = Vec::new();
            for n in 0.. {
                let released = *orders.released.wait_for(|r| r.all || r.below > n).await.map_err(|_| ended())?;
                if released.below <= n {
                    break;
                }
                let job = Job::new(n);
                if job.sender() == sender {
                    done.push(deliver(&client, &mut orders.targets, job).await?);
                }
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

async fn deliver(client: &Client, targets: &mut Targets, job: Job) -> Result<Acknowledged, Failure> {
    let (mut resent, mut turned_away, mut turned_away_rudely) = (0, 0, 0);
    for nth in 0_usize.. {
        let to = {
            let all = targets.wait_for(|t| !t.is_empty()).await.map_err(|_| ended())?;
            // Another each time: whoever does not answer may be gone for long.
            let at = usize::try_from(job.n).unwrap_or(0).wrapping_add(nth) % all.len();
            all.values().nth(at).cloned()
        };
        let Some(to) = to else { continue };
        let mut pause = PAUSE;
        match post(client, &to, &job).await {
            Ok(Answer { status: status @ (StatusCode::OK | StatusCode::CREATED), body, .. }) => {
                let body: Value = serde_json::from_str(&body).unwrap_or_default();
                let id = body["id"].as_str().ok_or_else(|| Failure::plain("an event was acknowledged without its id"))?;
                let (id, repeated) = (id.to_owned(), status == StatusCode::OK);
                return Ok(Acknowledged { id, job, resent, repeated, turned_away, turned_away_rudely });
            }
            // It said that it did not take it: later.
            Ok(Answer { status: StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS, retry_after, .. }) => match retry_after {
                Some(after) => {
                    turned_away += 1;
                    pause = after;
                }
                None => turned_away_rudely += 1,
            },
            Ok(Answer { status, body, .. }) => {
                return Err(Failure::plain(format!("event {} was refused with {status}: {body}", job.n)));
            }
            // No answer, or half of one: nobody knows.
            Err(e) => {
                tracing::debug!(event = job.n, error = ?e, "no answer");
                resent += 1;
            }
        }
        tokio::time::sleep(pause).await;
    }
    Err(ended())
}

/// What a node said.
struct Answer {
    status: StatusCode,
    retry_after: Option<Duration>,
    body: String,
}

async fn post(client: &Client, to: &Target, job: &Job) -> reqwest::Result<Answer> {
    let request = client
        .post(format!("http://{}/v1/events", to.addr))
        .bearer_auth(&to.key)
        .header("content-type", "application/json")
        .header("idempotency-key", format!("crash-{}", job.n))
        .body(job.body().to_string());
    let answer = request.send().await?;
    let seconds = answer.headers().get("retry-after").and_then(|v| v.to_str().ok()).and_then(|t| t.parse().ok());
    let (status, retry_after) = (answer.status(), seconds.map(Duration::from_secs));
    Ok(Answer { status, retry_after, body: answer.text().await? })
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
