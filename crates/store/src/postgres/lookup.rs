//! Reads of the hot path by id, many callers' together: what a worker reads before each step costs one statement for all who ask at the time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tollgate_core::ports::StoreError;
use tollgate_core::scope::Scope;

use crate::error::Result;
use crate::postgres::connection::{Param, Request, Tenants};
use crate::postgres::pool::Pool;
use crate::row::Row;
use crate::value::Value;

/// Most ids of one statement.
const TOGETHER_MAX: usize = 128;

/// Who asks for what.
type Asked<T> = (Scope, [u8; 16], oneshot::Sender<Result<Option<T>>>);

/// What is read, and how: the statement takes an array of ids.
pub(crate) struct Of<T> {
    pub(crate) text: String,
    pub(crate) read: fn(Row<'_>) -> Result<T>,
    /// The id that a row answers, and whose it is.
    pub(crate) name: fn(&T) -> ([u8; 16], Scope),
}

/// A queue of reads by id.
pub(crate) struct Lookup<T>(mpsc::UnboundedSender<Asked<T>>);

impl<T: Clone + Send + 'static> Lookup<T> {
    /// Starts the task that reads.
    pub(crate) fn start(pool: Arc<Pool>, of: Of<T>) -> Self {
        let (queue, asked) = mpsc::unbounded_channel();
        tokio::spawn(serve(pool, of, asked));
        Self(queue)
    }

    /// One row of this tenant and mode.
    pub(crate) async fn get(&self, scope: Scope, id: [u8; 16]) -> Result<Option<T>> {
        let (reply, answer) = oneshot::channel();
        let closed = || StoreError::Unavailable("the store is closed".to_owned());
        self.0.send((scope, id, reply)).map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

async fn serve<T: Clone + Send + 'static>(pool: Arc<Pool>, of: Of<T>, mut asked: mpsc::UnboundedReceiver<Asked<T>>) {
    while let Some(first) = asked.recv().await {
        let mut together = vec![first];
        while together.len() < TOGETHER_MAX {
            let Ok(next) = asked.try_recv() else { break };
            together.push(next);
        }
        let found = read(&pool, &of, &together).await;
        for (scope, id, reply) in together {
            let answer = found.as_ref().map_err(Clone::clone).map(|rows| {
                let row = rows.get(&id).filter(|(of, _)| of.tenant_id == scope.tenant_id && of.mode == scope.mode);
                row.map(|(_, row)| row.clone())
            });
            // Who asked may have gone.
            let _ = reply.send(answer);
        }
    }
}

async fn read<T>(pool: &Pool, of: &Of<T>, together: &[Asked<T>]) -> Result<BTreeMap<[u8; 16], (Scope, T)>> {
    let tenants = Tenants::of(together.iter().map(|(scope, ..)| *scope));
    let ids: BTreeSet<[u8; 16]> = together.iter().map(|(_, id, _)| *id).collect();
    let ids = Param::Many(ids.into_iter().map(Value::Id).collect());
    let answers = pool.read(&tenants, &[Request::new(of.text.clone(), vec![ids])]).await?;
    let rows = answers.iter().flatten().map(|r| (of.read)(Row::Postgres(r)));
    rows.map(|row| row.map(|row| ((of.name)(&row), row)).map(|((id, scope), row)| (id, (scope, row)))).collect()
}
