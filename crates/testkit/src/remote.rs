//! A fake outside system that counts effects, honours keys, applies late and loses answers, as the test says.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tollgate_core::attempt::AttemptOutcome;
use tollgate_core::ports::{BoxFuture, CallRequest, Clock, RenderError, Rendered, SecretLease, ToolCaller, VerifyAnswer};
use tollgate_core::scope::Mode;
use tollgate_core::time::Timestamp;

use crate::clock::SimClock;

/// What the remote does with one call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Behaviour {
    /// Applies it and answers.
    Apply,
    /// Applies it; the answer is lost.
    ApplyAndLoseAnswer,
    /// The answer is lost and it is applied this much later.
    ApplyLate(Duration),
    /// The call is lost and never applied.
    Lose,
    /// Declares that it did not happen, with this status.
    Reject(u16),
    /// Nothing was sent.
    NotSent,
    /// Answers when it is polled again: applied if that is before the deadline, lost if not.
    Slow,
    /// Never answers: the future stays pending.
    Hang,
    /// Applies it and then never answers.
    ApplyThenHang,
}

/// The tool that takes the effects of all tools named `…_undo` back.
pub const TAKE_BACK: &str = "remote.take_back";

/// What the effects of taking `id` back are counted under.
pub fn undo_id(id: &str) -> String {
    format!("undo-{id}")
}

/// How long the remote remembers a key: the hour that its tools declare, and what a worker's clock may be behind.
const KEY_TTL: Duration = Duration::from_secs(3600 + 300);

/// What the remote answers to a key that it has seen.
#[derive(Clone)]
enum Kept {
    Applied(Value),
    Rejected(u16),
}

#[derive(Default)]
struct State {
    script: VecDeque<Behaviour>,
    effects: BTreeMap<String, Vec<Timestamp>>,
    seen_keys: BTreeMap<String, (Timestamp, Kept)>,
    remembers_rejections: bool,
    late: Vec<(Timestamp, String, Option<String>)>,
    calls: u32,
    secrets: Vec<Option<Vec<u8>>>,
    clock: Option<Arc<SimClock>>,
    /// Keys of slow calls, until their deadline.
    under_way: Vec<(String, Timestamp)>,
    /// Reads that will not answer.
    silent_reads: u32,
}

/// The remote. Effects are counted per `args.id`.
#[derive(Clone, Default)]
pub struct Remote(Arc<Mutex<State>>);

impl Remote {
    /// What the next calls meet, in order; after that, all are applied.
    pub fn script(&self, behaviours: impl IntoIterator<Item = Behaviour>) {
        self.0.lock().script.extend(behaviours);
    }

    /// The clock that slow answers are judged by.
    pub fn set_clock(&self, clock: Arc<SimClock>) {
        self.0.lock().clock = Some(clock);
    }

    /// From now on what is refused for good under a key is refused again under it, as many remotes do.
    pub fn set_remembers_rejections(&self, on: bool) {
        self.0.lock().remembers_rejections = on;
    }

    /// The next reads that verify get no answer.
    pub fn silence_reads(&self, n: u32) {
        self.0.lock().silent_reads = n;
    }

    async fn slow(&self, id: String, key: Option<String>, deadline: Timestamp) -> AttemptOutcome {
        let mut polled = false;
        std::future::poll_fn(|_| if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }).await;
        let mut s = self.0.lock();
        match s.clock.as_ref().map(|c| c.now()) {
            Some(now) if now < deadline => AttemptOutcome::Applied { output: apply(&mut s, &id, key.as_deref(), now), status: Some(200) },
            _ => AttemptOutcome::Ambiguous { message: "the deadline passed".to_owned(), status: None },
        }
    }

    /// From now on everything is applied.
    pub fn clear(&self) {
        self.0.lock().script.clear();
    }

    /// How often the effect of an id happened, by `now`.
    pub fn effects(&self, id: &str, now: Timestamp) -> usize {
        let mut s = self.0.lock();
        settle(&mut s, now);
        s.effects.get(id).map_or(0, Vec::len)
    }

    /// When the effects of an id happened.
    pub fn times(&self, id: &str) -> Vec<Timestamp> {
        self.0.lock().effects.get(id).cloned().unwrap_or_default()
    }

    /// Calls that reached it.
    pub fn calls(&self) -> u32 {
        self.0.lock().calls
    }

    /// The secret of each call, in order.
    pub fn secrets(&self) -> Vec<Option<Vec<u8>>> {
        self.0.lock().secrets.clone()
    }
}

/// Applies what was late and is due; a key seen before applies nothing.
fn settle(s: &mut State, now: Timestamp) {
    let (due, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut s.late).into_iter().partition(|(at, ..)| *at <= now);
    s.late = rest;
    for (at, id, key) in due {
        apply(s, &id, key.as_deref(), at);
    }
}

fn apply(s: &mut State, id: &str, key: Option<&str>, at: Timestamp) -> Value {
    if let Some(Kept::Applied(first)) = kept(s, key, at) {
        return first;
    }
    let list = s.effects.entry(id.to_owned()).or_default();
    list.push(at);
    let output = json!({"id": id, "n": list.len()});
    if let Some(k) = key {
        s.seen_keys.insert(k.to_owned(), (at, Kept::Applied(output.clone())));
    }
    output
}

fn kept(s: &State, key: Option<&str>, now: Timestamp) -> Option<Kept> {
    let (first, kept) = s.seen_keys.get(key?)?;
    (now < first.plus(KEY_TTL)).then(|| kept.clone())
}

fn rejected(status: u16) -> AttemptOutcome {
    AttemptOutcome::Rejected {
        status: Some(status),
        message: "no".to_owned(),
        retryable: matches!(status, 401 | 429 | 503),
        retry_after: None,
        settles_doubt: !matches!(status, 401 | 403 | 429 | 503),
    }
}

fn is_under_way(s: &State, key: &str, now: Timestamp) -> bool {
    s.late.iter().any(|(.., k)| k.as_deref() == Some(key)) || s.under_way.iter().any(|(k, deadline)| k == key && *deadline > now)
}

fn id_of(rendered: &Rendered) -> String {
    match rendered {
        Rendered::Http { body: Some(body), .. } => body.clone(),
        _ => String::new(),
    }
}

impl ToolCaller for Remote {
    fn validate(&self, _: &str, args: &Value) -> Result<(), Vec<String>> {
        match args.get("id").and_then(Value::as_str) {
            Some(_) => Ok(()),
            None => Err(vec!["`/id` is required".to_owned()]),
        }
    }

    fn render(&self, tool: &str, _: Mode, args: &Value) -> Result<Rendered, RenderError> {
        let id = args.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Rendered::Http { method: "POST".to_owned(), url: format!("http://remote/{tool}"), headers: Vec::new(), body: Some(id) })
    }

    fn undo_tool(&self, tool: &str) -> Option<&str> {
        tool.ends_with("_undo").then_some(TAKE_BACK)
    }

    fn undo_args(&self, _: &str, args: &Value, _: &Value) -> Result<Value, RenderError> {
        match args.get("id").and_then(Value::as_str) {
            Some(id) if !id.starts_with("stuck") => Ok(json!({"id": undo_id(id)})),
            _ => Err(RenderError { place: "undo.args/id".to_owned(), message: "there is no such value".to_owned() }),
        }
    }

    fn secret_of(&self, tool: &str) -> Option<&str> {
        tool.ends_with("_secret").then_some("token")
    }

    fn call<'a>(&'a self, request: CallRequest<'a>) -> BoxFuture<'a, AttemptOutcome> {
        let mut s = self.0.lock();
        settle(&mut s, request.now);
        let behaviour = s.script.pop_front().unwrap_or(Behaviour::Apply);
        if behaviour != Behaviour::NotSent {
            s.calls += 1;
            s.secrets.push(request.secret.as_ref().map(|l| l.expose().to_vec()));
        }
        let (id, key) = (id_of(request.rendered), request.remote_key.map(str::to_owned));
        let lost = || AttemptOutcome::Ambiguous { message: "the connection was reset".to_owned(), status: None };
        let known = kept(&s, key.as_deref(), request.now);
        let out = match behaviour {
            // A remote that honours keys says again what it said, whatever it would say to a new one.
            Behaviour::Apply | Behaviour::Slow | Behaviour::Reject(_) if let Some(Kept::Rejected(status)) = known => rejected(status),
            Behaviour::ApplyAndLoseAnswer | Behaviour::ApplyLate(_) | Behaviour::ApplyThenHang
                if matches!(known, Some(Kept::Rejected(_))) =>
            {
                lost()
            }
            Behaviour::Apply => AttemptOutcome::Applied { output: apply(&mut s, &id, key.as_deref(), request.now), status: Some(200) },
            Behaviour::ApplyAndLoseAnswer => {
                apply(&mut s, &id, key.as_deref(), request.now);
                lost()
            }
            Behaviour::ApplyLate(span) => {
                s.late.push((request.now.plus(span), id, key));
                lost()
            }
            Behaviour::Lose => lost(),
            // It never rejects under a key that it applied, or has still under way.
            Behaviour::Reject(_) if matches!(known, Some(Kept::Applied(_))) => {
                AttemptOutcome::Applied { output: apply(&mut s, &id, key.as_deref(), request.now), status: Some(200) }
            }
            Behaviour::Reject(_) if key.as_ref().is_some_and(|k| is_under_way(&s, k, request.now)) => {
                AttemptOutcome::Ambiguous { message: "a call with this key is under way".to_owned(), status: Some(409) }
            }
            Behaviour::Reject(status) => {
                if let (true, Some(k), 422) = (s.remembers_rejections, &key, status) {
                    s.seen_keys.insert(k.clone(), (request.now, Kept::Rejected(status)));
                }
                rejected(status)
            }
            Behaviour::NotSent => AttemptOutcome::NotSent { message: "connection refused".to_owned(), retryable: true },
            Behaviour::Slow => {
                let deadline = request.deadline_at;
                s.under_way.extend(key.clone().map(|k| (k, deadline)));
                drop(s);
                return Box::pin(self.slow(id, key, deadline));
            }
            Behaviour::Hang => return Box::pin(std::future::pending()),
            Behaviour::ApplyThenHang => {
                apply(&mut s, &id, key.as_deref(), request.now);
                return Box::pin(std::future::pending());
            }
        };
        Box::pin(std::future::ready(out))
    }

    fn verify_secret_of(&self, _: &str) -> Option<&str> {
        None
    }

    fn verify<'a>(&'a self, _: &'a str, _: Mode, args: &'a Value, _: Option<SecretLease>, now: Timestamp) -> BoxFuture<'a, VerifyAnswer> {
        let silent = {
            let mut s = self.0.lock();
            let silent = s.silent_reads > 0;
            s.silent_reads = s.silent_reads.saturating_sub(1);
            silent
        };
        if silent {
            return Box::pin(std::future::ready(VerifyAnswer::NoAnswer("no answer".to_owned())));
        }
        let id = args.get("id").and_then(Value::as_str).unwrap_or_default();
        let n = self.effects(id, now);
        let answer = if n > 0 { VerifyAnswer::Happened(json!({"id": id})) } else { VerifyAnswer::DidNotHappen(json!(null)) };
        Box::pin(std::future::ready(answer))
    }
}
