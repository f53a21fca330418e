//! One outside call: how it may end, and what the effect grade allows next.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::spec::{Grade, RetrySpec, ToolSpec};
use crate::time::Timestamp;

/// How an attempt ended.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// The remote applied it.
    Applied {
        /// What the tool returns.
        output: Value,
        /// HTTP status, where there is one.
        status: Option<u16>,
    },
    /// The remote declared that it did not happen.
    Rejected {
        /// HTTP status, where there is one.
        status: Option<u16>,
        /// What it said, clipped, free of secrets.
        message: String,
        /// May be tried again.
        retryable: bool,
        /// When the remote asks to be left alone.
        retry_after: Option<Duration>,
        /// Also says that no earlier attempt under the same remote key happened. A 401, 403 or 429 says nothing of the kind.
        settles_doubt: bool,
    },
    /// Nothing was written to the socket.
    NotSent {
        /// Why.
        message: String,
        /// May be tried again; a refusal by the egress guard may not.
        retryable: bool,
    },
    /// Timeout, reset, undeclared status, unreadable answer, or a crash.
    Ambiguous {
        /// What was seen.
        message: String,
        /// HTTP status, where one came.
        status: Option<u16>,
    },
}

impl AttemptOutcome {
    /// The stable word.
    pub const fn kind(&self) -> AttemptResult {
        match self {
            Self::Applied { .. } => AttemptResult::Applied,
            Self::Rejected { .. } => AttemptResult::Rejected,
            Self::NotSent { .. } => AttemptResult::NotSent,
            Self::Ambiguous { .. } => AttemptResult::Ambiguous,
        }
    }

    /// What was seen, in words; empty when it was applied.
    pub fn message(&self) -> &str {
        match self {
            Self::Applied { .. } => "",
            Self::Rejected { message, .. } | Self::NotSent { message, .. } | Self::Ambiguous { message, .. } => message,
        }
    }

    /// The HTTP status, where one came.
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Applied { status, .. } | Self::Rejected { status, .. } | Self::Ambiguous { status, .. } => *status,
            Self::NotSent { .. } => None,
        }
    }
}

/// An attempt's end as one word.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptResult {
    /// The remote applied it.
    Applied,
    /// The remote declared that it did not happen.
    Rejected,
    /// Nothing was written to the socket.
    NotSent,
    /// Not known.
    Ambiguous,
}

impl AttemptResult {
    /// The word in receipts and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Rejected => "rejected",
            Self::NotSent => "not_sent",
            Self::Ambiguous => "ambiguous",
        }
    }

    /// Reads the stored word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Applied, Self::Rejected, Self::NotSent, Self::Ambiguous].into_iter().find(|r| r.as_str() == text)
    }
}

/// What is known of an action's attempts so far, the one that just ended included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attempts {
    /// How many were begun.
    pub count: u32,
    /// Some attempt of this generation ended ambiguous, and nothing has settled it since.
    pub in_doubt: bool,
    /// When the first attempt of this generation was begun: the remote keeps its key from then on.
    pub generation_began: Timestamp,
    /// The latest deadline of an ambiguous attempt.
    pub doubt_deadline: Timestamp,
    /// How often the verifying read failed to answer since the last doubt.
    pub verify_failures: u32,
}

/// What happens to the action next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
    /// Ended `applied`.
    Applied,
    /// Ended `failed`: it did not happen and will not be tried again.
    Failed,
    /// Ended `unknown`, with the reason for people.
    Unknown(&'static str),
    /// Nothing happened; the same key, a new generation after a definite rejection.
    Retry {
        /// Not before this.
        at: Timestamp,
        /// The remote key changes: a definite rejection was given under the old one.
        new_generation: bool,
    },
    /// In doubt: send the same bytes with the same remote key.
    Resend {
        /// Not before this.
        at: Timestamp,
    },
    /// In doubt: ask the read tool.
    Verify {
        /// Not before this: the remote applies nothing later.
        at: Timestamp,
    },
}

/// Verifying reads that may fail before a person is asked.
pub const VERIFY_FAILURES_MAX: u32 = 8;

/// What follows an attempt. `jitter` in 0..=1000 spreads retries; it comes from outside, as all randomness does.
pub fn after_attempt(tool: &ToolSpec, outcome: &AttemptOutcome, so_far: &Attempts, now: Timestamp, jitter: u16) -> Next {
    match outcome {
        AttemptOutcome::Applied { .. } => Next::Applied,
        AttemptOutcome::Rejected { settles_doubt: false, retry_after, .. } if so_far.in_doubt => {
            in_doubt(tool, so_far, now, jitter, *retry_after)
        }
        AttemptOutcome::NotSent { .. } if so_far.in_doubt => in_doubt(tool, so_far, now, jitter, None),
        AttemptOutcome::Rejected { retryable, retry_after, .. } => {
            definite(&tool.retry, so_far, *retryable, *retry_after, true, now, jitter)
        }
        AttemptOutcome::NotSent { retryable, .. } => definite(&tool.retry, so_far, *retryable, None, false, now, jitter),
        AttemptOutcome::Ambiguous { .. } => in_doubt(tool, so_far, now, jitter, None),
    }
}

/// What follows when an attempt is in doubt: the effect grade decides.
pub fn in_doubt(tool: &ToolSpec, so_far: &Attempts, now: Timestamp, jitter: u16, retry_after: Option<Duration>) -> Next {
    if tool.grade == Grade::Keyed {
        let at = now.plus(backoff(&tool.retry, so_far.count, jitter).max(retry_after.unwrap_or_default()));
        let ttl = tool.key_ttl.map_or(Duration::ZERO, |s| s.0);
        // The last resend must reach the remote while it still keeps the key.
        if at.plus(tool.timeout()) < so_far.generation_began.plus(ttl) {
            return Next::Resend { at };
        }
    }
    match &tool.verify {
        Some(v) if tool.grade != Grade::AtMostOnce => {
            if so_far.verify_failures >= VERIFY_FAILURES_MAX {
                return Next::Unknown("the verifying read did not answer");
            }
            let settled = so_far.doubt_deadline.plus(v.settle.0);
            let again =
                now.plus(if so_far.verify_failures == 0 { Duration::ZERO } else { backoff(&tool.retry, so_far.verify_failures, jitter) });
            Next::Verify { at: settled.max(again) }
        }
        _ if tool.grade == Grade::Keyed => Next::Unknown("the remote may have forgotten the idempotency key"),
        _ => Next::Unknown("the remote may or may not have applied the call"),
    }
}

fn definite(
    retry: &RetrySpec,
    so_far: &Attempts,
    retryable: bool,
    retry_after: Option<Duration>,
    rejected: bool,
    now: Timestamp,
    jitter: u16,
) -> Next {
    if !retryable || so_far.count >= retry.max_attempts {
        return Next::Failed;
    }
    let wait = backoff(retry, so_far.count, jitter).max(retry_after.unwrap_or_default());
    Next::Retry { at: now.plus(wait), new_generation: rejected }
}

/// Exponential backoff with jitter: between half and the whole of `base * 2^(n-1)`, at most `cap`.
pub fn backoff(retry: &RetrySpec, attempts: u32, jitter: u16) -> Duration {
    let doubled = retry.base.0.saturating_mul(1_u32.checked_shl(attempts.saturating_sub(1).min(20)).unwrap_or(u32::MAX));
    let whole = doubled.min(retry.cap.0);
    let half = whole / 2;
    half + half.mul_f64(f64::from(jitter.min(1000)) / 1000.0)
}
