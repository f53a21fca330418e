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
