//! `bench claims`: what claiming costs on Postgres when much waits, when one tenant has very much, and while a snapshot stays open. Steps are
//! bare rows of the queue: nobody carries them out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio_postgres::{Client, NoTls};
use tollgate_core::id::SessionId;
use tollgate_core::ports::{DurableExec as _, Step};
use tollgate_core::terms::Labels;
use tollgate_store::{Login, PgOptions, PgStore, Role};

use super::ground::Ground;
use super::load::Watch;
use super::report::{quantile_ms, round};
use crate::failure::Failure;
use crate::node::Private;
use crate::output::Output;
use crate::system;

/// Steps of one claim.
const CLAIM: u32 = 32;
/// Measured stretches of a rate.
const STRETCH: Duration = Duration::from_secs(8);
const RESELLER: &str = "00000000-0000-0000-0000-000000000001";
/// Longer than any run.
const LEASE: Duration = Duration::from_secs(86_400);
/// The tenant that has one step now and then.
const SINGLE: &str = "eeeeeeee-eeee-4eee-8eee-eeeeeeeeeeee";
const CLAIMERS: usize = 2;

/// How much.
#[derive(Debug, Args)]
pub struct Claims {
    /// Waiting steps of the large queue
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(20_000..=20_000_000))]
    waiting: u32,
    /// Tenants that they are of
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    tenants: u32,
    /// Waiting steps of the one tenant that has very many
    #[arg(long, default_value_t = 500_000, value_parser = clap::value_parser!(u32).range(1_000..=20_000_000))]
    of_one: u32,
    /// Single steps of another tenant that are timed meanwhile
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    singles: u32,
    /// Minutes that a snapshot stays open while steps come and are claimed; 0 leaves that out
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=600))]
    minutes: u32,
    /// Steps a second that come and are claimed meanwhile; 0 for as many as can be
    #[arg(long, default_value_t = 10_000)]
    rate: u32,
    /// `private` for a Postgres server of its own, or an administrator's URL, on whose server a database is made and dropped at the end
    #[arg(long, default_value = "private", value_name = "WHERE", value_parser = Ground::parse)]
    store: Ground,
    /// Folder on the disk to measure; the system's temporary folder when left out
    #[arg(long)]
    dir: Option<std::path::PathBuf>,
}

/// Figures of one run. Rates are steps a second of the time that claims took.
#[derive(Debug, Default, Serialize)]
struct Figures {
    bench: &'static str,
    waiting: u32,
    tenants: u32,
    claimed_per_s: f64,
    /// With 10,000 waiting.
    claimed_per_s_small: f64,
    ratio: f64,
    /// From the insertion of another tenant's single step to its claim.
    single_p50_ms: f64,
    single_p99_ms: f64,
    minutes: u32,
    rate: u32,
    /// At the end of the time that a snapshot was open, over that before.
    snapshot_ratio: Option<f64>,
    /// The same with one tenant.
    snapshot_ratio_one_tenant: Option<f64>,
}

/// Runs it.
///
/// # Errors
/// When there is no Postgres, or the database says no.
pub async fn run(out: Output, what: Claims) -> Result<(), Failure> {
    let folder = tempfile::Builder::new().prefix("tollgate-claims-").tempdir_in(what.dir.clone().unwrap_or_else(std::env::temp_dir))?;
    let Some(private) = what.store.lay(folder.path()).await? else {
        return Err(Failure::plain("this is measured on Postgres: say --store private, or an administrator's URL"));
    };
    let figures = measure(&private, &what).await;
    private.remove().await?;
    print(out, &figures?);
    Ok(())
}

fn print(out: Output, figures: &Figures) {
    let value = serde_json::to_value(figures).unwrap_or_default();
    if out.json {
        return out.value(&value);
    }
    let Value::Object(fields) = value else { return };
    for (name, v) in fields {
        out.line(format!("{name:<28} {v}"));
    }
}

async fn connect(url: &str) -> Result<Client, Failure> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.map_err(Failure::plain)?;
    tokio::spawn(async move {
        // Whoever uses the client hears of it.
        let _ = connection.await;
    });
    client.batch_execute("SET search_path = tollgate; SET synchronous_commit = on").await.map_err(Failure::plain)?;
    Ok(client)
}

/// The queue, filled by an administrator and claimed as a worker process claims.
struct Queue {
    admin: Client,
    worker: PgStore,
    session: SessionId,
}

impl Queue {
    async fn open(private: &Private) -> Result<Self, Failure> {
        let login = Login::parse(&private.worker).map_err(Failure::plain)?;
        let options = PgOptions { login, role: Role::Worker, readers: 1, clock: None, inline: None, on_commit: Box::new(|_| {}) };
        let worker = PgStore::open(options).await.map_err(Failure::plain)?;
        let session = SessionId::from_bytes(system::ids().uuid());
        worker.open_session(session, LEASE, Labels(None)).await?;
        Ok(Self { admin: connect(&private.admin).await?, worker, session })
    }

    async fn fill(&self, steps: u32, tenants: u32) -> Result<(), Failure> {
        self.admin.batch_execute("TRUNCATE ready, held").await.map_err(Failure::plain)?;
        self.add(steps, tenants).await?;
        self.admin.batch_execute("VACUUM ANALYZE ready").await.map_err(Failure::plain)
    }

    /// More steps, of tenants by chance.
    async fn add(&self, steps: u32, tenants: u32) -> Result<(), Failure> {
        let text = format!(
            "INSERT INTO ready (step, run_id, kind, fence, reseller_id, tenant_id, mode, due, at)
             SELECT gen_random_uuid(), gen_random_uuid(), 1, 0, '{RESELLER}', md5('t' || (random() * {tenants})::int)::uuid, 0, t.now, t.now
             FROM generate_series(1, {steps}), (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now) t"
        );
        self.admin.batch_execute(&text).await.map_err(Failure::plain)
    }

    async fn claim(&self) -> Result<Vec<[u8; 16]>, Failure> {
        let claimed = self.worker.claim(self.session, CLAIM).await?;
        Ok(claimed.iter().filter_map(|c| if let Step::Action(a) = c.step { Some(*a.as_bytes()) } else { None }).collect())
    }

    /// Ends claims, as commits do.
    async fn end(&self, steps: &[[u8; 16]]) -> Result<(), Failure> {
        let all: Vec<String> = steps.iter().map(|s| format!("'{}'", uuid(s))).collect();
        let text =
            format!("DELETE FROM held h USING unnest(ARRAY[{}]::uuid[]) AS u(step) WHERE h.step = u.step AND h.node = 0", all.join(", "));
        self.admin.batch_execute(&text).await.map_err(Failure::plain)
    }

    /// Steps a second of the time that claims took. What is claimed is ended, and as much comes in; no more a second than `most`.
    async fn rate(&self, tenants: u32, span: Duration, most: Option<u32>) -> Result<f64, Failure> {
        let (watch, mut took, mut claimed) = (Watch::start(), Duration::ZERO, 0_u32);
        while watch.elapsed() < span {
            let one = Watch::start();
            let steps = self.claim().await?;
            took += one.elapsed();
            let n = u32::try_from(steps.len()).unwrap_or_default();
            claimed += n;
            self.end(&steps).await?;
            self.add(n, tenants).await?;
            if let Some(most) = most {
                let due = Duration::from_secs(u64::from(claimed)) / most;
                tokio::time::sleep(due.saturating_sub(watch.elapsed())).await;
            }
        }
        Ok(f64::from(claimed) / took.as_secs_f64())
    }
}

fn uuid(id: &[u8; 16]) -> String {
    let hex: String = id.iter().map(|b| format!("{b:02x}")).collect();
    let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default().to_owned();
    [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-")
}

async fn measure(private: &Private, what: &Claims) -> Result<Figures, Failure> {
    let queue = Queue::open(private).await?;
    queue.fill(10_000, what.tenants).await?;
    queue.rate(what.tenants, Duration::from_secs(1), None).await?;
    let small = queue.rate(what.tenants, STRETCH, None).await?;
    queue.fill(what.waiting, what.tenants).await?;
    queue.rate(what.tenants, Duration::from_secs(1), None).await?;
    let large = queue.rate(what.tenants, STRETCH, None).await?;
    let mut delays = singles(private, what).await?;
    let (several, one) = match what.minutes {
        0 => (None, None),
        _ => (Some(snapshot(private, what.tenants, what).await?), Some(snapshot(private, 1, what).await?)),
    };
    Ok(Figures {
        bench: "claims",
        waiting: what.waiting,
        tenants: what.tenants,
        claimed_per_s: large.round(),
        claimed_per_s_small: small.round(),
        ratio: round(large / small),
        single_p50_ms: quantile_ms(&mut delays, 0.5),
        single_p99_ms: quantile_ms(&mut delays, 0.99),
        minutes: what.minutes,
        rate: what.rate,
        snapshot_ratio: several.map(round),
        snapshot_ratio_one_tenant: one.map(round),
    })
}

type Awaited = Arc<Mutex<Option<(String, oneshot::Sender<()>)>>>;

/// How long single steps of a tenant wait while another's many are claimed all the time.
async fn singles(private: &Private, what: &Claims) -> Result<Vec<Duration>, Failure> {
    let queue = Queue::open(private).await?;
    queue.fill(what.of_one, 1).await?;
    let (stop, awaited) = (Arc::new(AtomicBool::new(false)), Awaited::default());
    let mut claimers = tokio::task::JoinSet::new();
    for _ in 0..CLAIMERS {
        let (stop, awaited, one) = (Arc::clone(&stop), Arc::clone(&awaited), Queue::open(private).await?);
        claimers.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                for step in one.claim().await? {
                    let mut waits = awaited.lock();
                    if waits.as_ref().is_some_and(|(id, _)| *id == uuid(&step))
                        && let Some((_, tell)) = waits.take()
                    {
                        // Whoever waits is there.
                        let _ = tell.send(());
                    }
                }
            }
            Ok::<_, Failure>(())
        });
    }
    let mut delays = Vec::new();
    for n in 0..what.singles {
        let step = format!("00000000-0000-4000-8000-{n:012x}");
        let (tell, told) = oneshot::channel();
        *awaited.lock() = Some((step.clone(), tell));
        let watch = Watch::start();
        let text = format!(
            "INSERT INTO ready (step, run_id, kind, fence, reseller_id, tenant_id, mode, due, at)
             SELECT '{step}', gen_random_uuid(), 1, 0, '{RESELLER}', '{SINGLE}', 0, t.now, t.now
             FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now) t"
        );
        queue.admin.batch_execute(&text).await.map_err(Failure::plain)?;
        told.await.map_err(Failure::plain)?;
        delays.push(watch.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(done) = claimers.join_next().await {
        done.map_err(Failure::plain)??;
    }
    Ok(delays)
}

/// The rate at the end of some minutes in which steps came and were claimed under an open snapshot, over that before.
async fn snapshot(private: &Private, tenants: u32, what: &Claims) -> Result<f64, Failure> {
    let queue = Queue::open(private).await?;
    queue.fill(100_000, tenants).await?;
    queue.rate(tenants, Duration::from_secs(2), None).await?;
    let before = queue.rate(tenants, STRETCH, None).await?;
    let holder = connect(&private.admin).await?;
    let hold = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM sessions";
    holder.batch_execute(hold).await.map_err(Failure::plain)?;
    let most = (what.rate > 0).then_some(what.rate);
    queue.rate(tenants, Duration::from_secs(60) * what.minutes, most).await?;
    let after = queue.rate(tenants, STRETCH, None).await?;
    holder.batch_execute("COMMIT").await.map_err(Failure::plain)?;
    Ok(after / before)
}
