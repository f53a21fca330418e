//! One connection: its statements, its tenant set, and requests sent together. Must not know what is asked.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Row, Statement};
use tollgate_core::ports::StoreError;
use tollgate_core::scope::{Mode, Scope};

use crate::error::{OrStore, Result};
use crate::postgres::options::Login;
use crate::value::Value;

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    /// Group commits: every statement goes by an index, whatever statistics say of tables that were empty a minute ago.
    Commit,
    /// Reads: by an index too. A statement prepared while its tables were empty is planned again only when somebody has counted their rows.
    Read,
    /// Retention: functions that walk and move many rows.
    Upkeep,
}

impl Purpose {
    const fn settings(self) -> &'static str {
        // Whoever is stopped in the middle of a transaction must not hold its locks for longer than this.
        match self {
            Self::Commit => {
                "SET search_path = tollgate; SET jit = off; SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; \
                 SET enable_hashjoin = off; SET enable_mergejoin = off; SET lock_timeout = '10s'; SET statement_timeout = '30s'; \
                 SET idle_in_transaction_session_timeout = '5s'"
            }
            Self::Upkeep => {
                "SET search_path = tollgate; SET jit = off; SET lock_timeout = '5s'; SET statement_timeout = '10min'; \
                 SET idle_in_transaction_session_timeout = '5s'"
            }
            Self::Read => {
                "SET search_path = tollgate; SET jit = off; SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
                 SET statement_timeout = '60s'; SET idle_in_transaction_session_timeout = '5s'; SET default_transaction_read_only = on"
            }
        }
    }
}

/// A value of a request: one, or a column of many.
#[derive(Debug)]
pub(crate) enum Param {
    One(Value),
    Many(Vec<Value>),
}

impl ToSql for Param {
    fn to_sql(&self, ty: &Type, out: &mut bytes::BytesMut) -> std::result::Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::One(v) => v.to_sql_checked(ty, out),
            Self::Many(v) => v.to_sql_checked(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A statement with its values.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) text: std::borrow::Cow<'static, str>,
    pub(crate) params: Vec<Param>,
}

impl Request {
    pub(crate) fn new(text: impl Into<std::borrow::Cow<'static, str>>, params: Vec<Param>) -> Self {
        Self { text: text.into(), params }
    }

    /// The same change, which fails with its transaction unless it finds so many rows: any other number means that what was decided on is
    /// not so any more.
    pub(crate) fn changing(mut self, rows: usize) -> Self {
        self.params.push(Param::One(i64::try_from(rows).unwrap_or(i64::MAX).into()));
        self.text = format!("WITH x AS ({} RETURNING 1) SELECT expect(count(*), ${}) FROM x", self.text, self.params.len()).into();
        self
    }

    pub(crate) fn plain(text: &'static str) -> Self {
        Self::new(text, Vec::new())
    }
}

/// Why requests failed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The server said so: of the transaction nothing is stored.
    Said(StoreError),
    /// A row is not any more as a command found it: of the transaction nothing is stored, and another try finds it otherwise.
    Moved(String),
    /// The connection broke: whatever was under way may be stored or not.
    Broken(StoreError),
}

impl From<tokio_postgres::Error> for Fault {
    fn from(e: tokio_postgres::Error) -> Self {
        // "Terminating connection" comes in the place of an answer: it does not say whether the request was done.
        let fatal = e.as_db_error().is_none_or(|db| db.code().code().starts_with("57P"));
        let error = crate::error::from_postgres(&e);
        match e.as_db_error() {
            _ if fatal => Self::Broken(error),
            Some(db) if matches!(db.code().code(), "40001" | "40P01" | "23505" | "TG002") => Self::Moved(db.message().to_owned()),
            _ => Self::Said(error),
        }
    }
}

impl From<Fault> for StoreError {
    fn from(f: Fault) -> Self {
        match f {
            Fault::Said(e) | Fault::Broken(e) => e,
            Fault::Moved(message) => Self::Unavailable(format!("others keep changing the same rows: {message}")),
        }
    }
}

/// What requests answer.
pub(crate) type Answers = std::result::Result<Vec<Vec<Row>>, Fault>;

/// The tenants that a connection may see.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tenants {
    live: String,
    test: String,
}

impl Tenants {
    pub(crate) fn of(scopes: impl IntoIterator<Item = Scope>) -> Self {
        let (mut live, mut test) = (Vec::new(), Vec::new());
        for s in scopes {
            let id = uuid_text(s.tenant_id.as_bytes());
            match s.mode {
                Mode::Live => live.push(id),
                Mode::Test => test.push(id),
            }
        }
        let array = |mut ids: Vec<String>| {
            ids.sort();
            ids.dedup();
            if ids.is_empty() { String::new() } else { format!("{{{}}}", ids.join(",")) }
        };
        Self { live: array(live), test: array(test) }
    }

    fn request(&self) -> Request {
        let params = vec![Param::One(self.live.as_str().into()), Param::One(self.test.as_str().into())];
        Request::new("SELECT set_config('tollgate.live', $1, false), set_config('tollgate.test', $2, false)", params)
    }
}

fn uuid_text(b: &[u8; 16]) -> String {
    let hex: String = b.iter().map(|x| format!("{x:02x}")).collect();
    let part = |r: std::ops::Range<usize>| hex.get(r).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0..8), part(8..12), part(12..16), part(16..20), part(20..32))
}

/// A connection.
pub(crate) struct Connection {
    client: Client,
    statements: BTreeMap<std::borrow::Cow<'static, str>, Statement>,
    tenants: Option<Tenants>,
}

impl Connection {
    /// Opens one.
    pub(crate) async fn open(login: &Login, purpose: Purpose) -> Result<Self> {
        let (client, connection) = login.connect().await.or_store()?;
        tokio::spawn(async move {
            // Whoever uses the client hears of it.
            let _ = connection.await;
        });
        client.batch_execute(purpose.settings()).await.or_store()?;
        Ok(Self { client, statements: BTreeMap::new(), tenants: None })
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.client.is_closed()
    }

    /// Sends requests that see these tenants. Until the answer is there nothing is known of the connection's tenants: whoever dropped this
    /// half-way must not leave a set behind that the next one takes for its own.
    pub(crate) async fn send_as(&mut self, tenants: &Tenants, requests: &[Request]) -> Answers {
        if self.tenants.as_ref() == Some(tenants) {
            return self.send(requests).await;
        }
        self.tenants = None;
        let set = tenants.request();
        let mut answers = self.send_all(std::iter::once(&set).chain(requests)).await?;
        self.tenants = Some(tenants.clone());
        answers.remove(0);
        Ok(answers)
    }

    async fn prepare(&mut self, requests: &[&Request]) -> std::result::Result<Vec<Statement>, Fault> {
        let mut out = Vec::with_capacity(requests.len());
        for r in requests {
            let known = self.statements.get(&r.text).cloned();
            let statement = match known {
                Some(s) => s,
                None => {
                    let s = self.client.prepare(&r.text).await?;
                    self.statements.insert(r.text.clone(), s.clone());
                    s
                }
            };
            out.push(statement);
        }
        Ok(out)
    }

    /// Sends requests together and waits for all answers: one round trip. The first fault counts, since what follows one in a transaction
    /// fails because of it, and a COMMIT behind it answers well and commits nothing.
    pub(crate) async fn send(&mut self, requests: &[Request]) -> Answers {
        self.send_all(requests).await
    }

    async fn send_all<'r>(&mut self, requests: impl IntoIterator<Item = &'r Request>) -> Answers {
        let requests: Vec<&Request> = requests.into_iter().collect();
        let statements = self.prepare(&requests).await?;
        let client = &self.client;
        let sent = requests.iter().zip(&statements).map(|(r, s)| {
            Box::pin(async move {
                let params: Vec<&(dyn ToSql + Sync)> = r.params.iter().map(|p| p as &(dyn ToSql + Sync)).collect();
                client.query(s, &params).await.map_err(Fault::from)
            })
        });
        // Polled in their order, which is the order in which they are sent.
        let answers = join_all(sent).await;
        answers.into_iter().collect()
    }
}
