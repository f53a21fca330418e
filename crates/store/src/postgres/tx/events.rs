//! Events and idempotency keys of a group.

use tollgate_core::event::Event;
use tollgate_core::ports::Dedupe;
use tollgate_core::scope::Scope;

use crate::error::Result;
use crate::needs::{Lock, request};
use crate::tx::{Events, Remembered};

use super::PgTx;

/// An idempotency key with what it stands for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RequestRow {
    pub(crate) scope: Scope,
    pub(crate) route: String,
    pub(crate) key: String,
    pub(crate) is: Remembered,
}

impl Events for PgTx {
    fn remembered(&mut self, scope: Scope, d: &Dedupe) -> Result<Option<Remembered>> {
        let name = request(scope, d);
        self.lock(Lock::Request(name))?;
        self.request_names.entry(name).or_insert_with(|| (scope, d.route.clone(), d.key.clone()));
        Ok(self.requests.get(&name)?.map(|r| r.is))
    }

    fn remember(&mut self, scope: Scope, d: &Dedupe, reference: [u8; 16]) -> Result<()> {
        let is = Remembered { reference, fingerprint: d.fingerprint, expires_at: d.expires_at };
        self.requests.put(request(scope, d), Some(RequestRow { scope, route: d.route.clone(), key: d.key.clone(), is }));
        Ok(())
    }

    fn insert_event(&mut self, event: &Event) -> Result<()> {
        self.layer.events.push(event.clone());
        Ok(())
    }
}
