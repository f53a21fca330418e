//! Events and the keys that make a request the same request.

use tollgate_core::event::Event;
use tollgate_core::hash::Digest;
use tollgate_core::ports::Dedupe;
use tollgate_core::scope::Scope;
use tollgate_core::time::Timestamp;

use crate::error::Result;

/// What an idempotency key stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Remembered {
    /// What the first request made.
    pub(crate) reference: [u8; 16],
    /// Digest of its body.
    pub(crate) fingerprint: Digest,
    /// From here on it stands for nothing.
    pub(crate) expires_at: Timestamp,
}

/// Events and idempotency keys.
pub(crate) trait Events {
    /// What a key stands for, lapsed or not.
    fn remembered(&mut self, scope: Scope, dedupe: &Dedupe) -> Result<Option<Remembered>>;
    /// Makes a key stand for something, whatever it stood for.
    fn remember(&mut self, scope: Scope, dedupe: &Dedupe, reference: [u8; 16]) -> Result<()>;
    /// Stores an event.
    fn insert_event(&mut self, event: &Event) -> Result<()>;
}
