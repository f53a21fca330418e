//! The outside system of a crash run: counts effects, loses answers, applies late, refuses, is slow. It knows nothing of Tollgate.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use super::effects::{Call, Effects};
use super::fate::{Fate, between, throw};
use super::spec::{Kind, SETTLE, TIMEOUT};
use crate::bench::load::Watch;
use crate::failure::Failure;

/// A late effect comes this long after the call arrived: past the deadline, well inside the time to settle.
const LATE: (Duration, Duration) = (Duration::from_millis(320), Duration::from_millis(900));
const SLOW: (Duration, Duration) = (Duration::from_millis(30), Duration::from_millis(180));

/// Starts it on a free port of this machine.
pub async fn start(seed: u64, effects: Arc<Effects>) -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(connection(stream, seed, Arc::clone(&effects)));
        }
    });
    Ok(addr)
}

async fn connection(stream: TcpStream, seed: u64, effects: Arc<Effects>) {
    // Without it every small answer waits for an acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| serve(request, seed, Arc::clone(&effects)));
    // Callers that die are what this is about.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// The caller gets no answer: its connection is closed.
#[derive(Debug, thiserror::Error)]
#[error("the answer is lost on purpose")]
struct Lost;

type Answer = Result<Response<Full<Bytes>>, Lost>;

/// In a task of its own: a system outside goes on when its caller dies.
async fn serve(request: Request<Incoming>, seed: u64, effects: Arc<Effects>) -> Answer {
    let arrived = Watch::start();
    let question = request.method() == Method::GET;
    let key = request.headers().get("idempotency-key").and_then(|k| k.to_str().ok()).map(str::to_owned);
    let path = request.uri().path().to_owned();
    let mut parts = path.trim_start_matches('/').split('/');
    let (Some(kind), Some(op)) = (parts.next().and_then(Kind::parse), parts.next()) else {
        return answer(StatusCode::NOT_FOUND, &json!({}));
    };
    let op = op.to_owned();
    let body = request.into_body().collect().await.map_err(|_| Lost)?.to_bytes();
    let entity = serde_json::from_slice::<Value>(&body).ok().and_then(|b| b["entity"].as_str().map(str::to_owned)).unwrap_or_default();
    let call = Call { kind, op, entity, key };
    let task = if question {
        tokio::spawn(asked(call, seed, effects))
    } else {
        tokio::spawn(async move {
            let answer = called(call, seed, &effects, arrived).await;
            effects.dealt_with();
            answer
        })
    };
    task.await.map_err(|_| Lost)?
}

async fn asked(call: Call, seed: u64, effects: Arc<Effects>) -> Answer {
    let n = effects.asked();
    match Fate::of_question(throw(seed, &call.op, n)) {
        Fate::LoseCall => return Err(Lost),
        Fate::Refuse(status) => return answer(StatusCode::from_u16(status).unwrap_or_default(), &json!({"error": "busy"})),
        Fate::Slowly => tokio::time::sleep(between(n, SLOW.0, SLOW.1)).await,
        _ => {}
    }
    answer(StatusCode::OK, &json!({"applied": effects.applied(call.kind, &call.op) > 0}))
}

async fn called(call: Call, seed: u64, effects: &Effects, arrived: Watch) -> Answer {
    let n = effects.called(&call);
    let thrown = throw(seed, &format!("{}/{}", call.kind.word(), call.op), n);
    let fate = Fate::of_call(thrown);
    if fate.leaves_doubt() {
        effects.doubtful(&call);
    }
    match fate {
        Fate::Refuse(status) => return answer(StatusCode::from_u16(status).unwrap_or_default(), &json!({"error": "busy"})),
        Fate::LoseCall => return Err(Lost),
        Fate::Slowly => tokio::time::sleep(between(thrown, SLOW.0, SLOW.1)).await,
        Fate::ApplyLate => tokio::time::sleep(between(thrown, LATE.0, LATE.1)).await,
        Fate::Answer | Fate::AnswerLate | Fate::LoseAnswer => {}
    }
    // What a stalled machine would bring after the promised time is dropped: the promise is the upstream's, not the machine's.
    if arrived.elapsed() > TIMEOUT + SETTLE / 2 {
        effects.doubtful(&call);
        return Err(Lost);
    }
    effects.apply(&call, fate == Fate::ApplyLate);
    match fate {
        Fate::LoseAnswer | Fate::ApplyLate => return Err(Lost),
        Fate::AnswerLate => tokio::time::sleep(TIMEOUT * 2).await,
        _ => {}
    }
    answer(StatusCode::OK, &json!({"applied": true}))
}

fn answer(status: StatusCode, body: &Value) -> Answer {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    Ok(response)
}
