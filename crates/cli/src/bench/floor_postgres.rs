//! The physical limit of a Postgres, measured in the same run: the bare rows of the work in groups, with nothing round them.

use std::time::Duration;

use futures_util::future::join_all;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls};

use super::load::Watch;
use crate::failure::Failure;

const SPAN: Duration = Duration::from_millis(1500);
/// Connections that commit at once, as many as the store has.
const CONNECTIONS: usize = 2;
/// The same, to divide by.
pub const TOGETHER: f64 = 2.0;

async fn connect(url: &str) -> Result<Client, Failure> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.map_err(Failure::plain)?;
    tokio::spawn(async move {
        // Whoever uses the client hears of it.
        let _ = connection.await;
    });
    Ok(client)
}

/// Bare inserts of `rows` rows a unit of work, `group` units a transaction, in units a second.
pub async fn inserts(admin: &str, rows: usize, group: usize) -> Result<f64, Failure> {
    let setup = "CREATE SCHEMA floor; CREATE TABLE floor.t (n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id uuid NOT NULL UNIQUE, body bytea NOT NULL)";
    let client = connect(admin).await?;
    client.batch_execute(setup).await.map_err(Failure::plain)?;
    let watch = Watch::start();
    let one = || async {
        let client = connect(admin).await?;
        let text = "INSERT INTO floor.t (id, body) SELECT gen_random_uuid(), $1 FROM generate_series(1, $2::int)";
        let insert = client.prepare(text).await.map_err(Failure::plain)?;
        let (body, many, mut n) = (vec![7_u8; 1024 / rows.max(1) + 64], i32::try_from(group).unwrap_or(1), 0_usize);
        while watch.elapsed() < SPAN {
            let begin = client.batch_execute("BEGIN");
            let values: [&(dyn ToSql + Sync); 2] = [&body, &many];
            let inserts = join_all((0..rows).map(|_| client.execute(&insert, &values)));
            // Sent together: one round trip.
            let (begun, inserted, committed) = tokio::join!(begin, inserts, async { client.batch_execute("COMMIT").await });
            begun.and(committed).map_err(Failure::plain)?;
            inserted.into_iter().collect::<Result<Vec<_>, _>>().map_err(Failure::plain)?;
            n += group;
        }
        Ok::<_, Failure>(n)
    };
    let done = join_all((0..CONNECTIONS).map(|_| one())).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    let took = watch.elapsed();
    client.batch_execute("DROP SCHEMA floor CASCADE").await.map_err(Failure::plain)?;
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    Ok(done.iter().sum::<usize>() as f64 / took.as_secs_f64())
}

const GRAPH_TABLES: &str = "CREATE SCHEMA floor; CREATE TABLE floor.runs (id uuid PRIMARY KEY, state int NOT NULL, body bytea NOT NULL);
    CREATE TABLE floor.graphs (run uuid PRIMARY KEY, entries int NOT NULL, progress bytea NOT NULL) WITH (fillfactor = 50);
    CREATE TABLE floor.journal (run uuid NOT NULL, seq int NOT NULL, body bytea NOT NULL, PRIMARY KEY (run, seq));
    CREATE TABLE floor.held (step uuid NOT NULL, node int NOT NULL, fence int NOT NULL, body bytea NOT NULL, PRIMARY KEY (step, node));";

const STARTS: [&str; 4] = [
    "INSERT INTO floor.runs SELECT u, 0, $2::bytea FROM unnest($1::text[]::uuid[]) AS u",
    "INSERT INTO floor.graphs SELECT u, 1, $2::bytea FROM unnest($1::text[]::uuid[]) AS u",
    "INSERT INTO floor.journal SELECT u, 0, $2::bytea FROM unnest($1::text[]::uuid[]) AS u",
    "INSERT INTO floor.held SELECT u, 1, 1, $2::bytea FROM unnest($1::text[]::uuid[]) AS u",
];
const MOVES: [&str; 3] = [
    "INSERT INTO floor.journal SELECT u, $3::int, $2::bytea FROM unnest($1::text[]::uuid[]) AS u",
    "UPDATE floor.graphs g SET entries = $3::int + 1, progress = $2::bytea FROM unnest($1::text[]::uuid[]) AS u WHERE g.run = u AND g.entries = $3",
    "UPDATE floor.held h SET node = $3::int + 1, fence = length($2::bytea) FROM unnest($1::text[]::uuid[]) AS u WHERE h.step = u AND h.node = $3",
];
const ENDS: [&str; 2] = [
    "DELETE FROM floor.held h USING unnest($1::text[]::uuid[]) AS u WHERE h.step = u AND length($2::bytea) > 0",
    "UPDATE floor.runs r SET state = length($2::bytea) FROM unnest($1::text[]::uuid[]) AS u WHERE r.id = u",
];

/// The bare statements of runs of graphs of `steps` steps, `together` runs side by side on all connections, each step of all those of a
/// connection one transaction and one round trip; in steps a second.
pub async fn graphs(admin: &str, steps: usize, together: usize) -> Result<f64, Failure> {
    let setup = connect(admin).await?;
    setup.batch_execute(GRAPH_TABLES).await.map_err(Failure::plain)?;
    let group = (together / CONNECTIONS).max(1);
    let watch = Watch::start();
    let done = join_all((0..CONNECTIONS).map(|_| graphs_on(admin, steps, group, watch))).await;
    let took = watch.elapsed();
    let done = done.into_iter().sum::<Result<usize, Failure>>()?;
    setup.batch_execute("DROP SCHEMA floor CASCADE").await.map_err(Failure::plain)?;
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    Ok(done as f64 / took.as_secs_f64())
}

async fn graphs_on(admin: &str, steps: usize, group: usize, watch: Watch) -> Result<usize, Failure> {
    let client = connect(admin).await?;
    client
        .batch_execute(
            "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off",
        )
        .await
        .map_err(Failure::plain)?;
    let mut statements = Vec::new();
    for text in STARTS.iter().chain(&MOVES).chain(&ENDS).chain(&[
        "BEGIN",
        "COMMIT",
        "SELECT gen_random_uuid()::text FROM generate_series(1, $1::int)",
    ]) {
        statements.push(client.prepare(text).await.map_err(Failure::plain)?);
    }
    let [start @ .., begin, commit, ids] = statements.as_slice() else { return Ok(0) };
    let (start, rest) = start.split_at(STARTS.len());
    let (moves, ends) = rest.split_at(MOVES.len());
    let (body, many, mut done) = (vec![7_u8; 120], i32::try_from(group).unwrap_or(1), 0);
    while watch.elapsed() < SPAN {
        let rows = client.query(ids, &[&many]).await.map_err(Failure::plain)?;
        let runs: Vec<String> = rows.iter().map(|r| r.get(0)).collect();
        for step in 0..=steps {
            let at = i32::try_from(step).unwrap_or(0);
            let (two, three): ([&(dyn ToSql + Sync); 2], [&(dyn ToSql + Sync); 3]) = ([&runs, &body], [&runs, &body, &at]);
            let mut sent: Vec<(_, &[&(dyn ToSql + Sync)])> = vec![(begin, &[])];
            match step {
                0 => sent.extend(start.iter().map(|s| (s, &two[..]))),
                _ => sent.extend(moves.iter().map(|s| (s, &three[..]))),
            }
            if step == steps {
                sent.extend(ends.iter().map(|s| (s, &two[..])));
            }
            sent.push((commit, &[]));
            // Sent together, in their order: one round trip.
            let answers = join_all(sent.into_iter().map(|(s, values)| Box::pin(client.execute(s, values)))).await;
            answers.into_iter().collect::<Result<Vec<_>, _>>().map_err(Failure::plain)?;
        }
        done += group * steps;
    }
    Ok(done)
}
