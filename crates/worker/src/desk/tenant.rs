//! A tenant's end: suspended, so that nothing of it begins; drained; its last checkpoints signed; and then its keys and rows.

use std::collections::BTreeMap;

use tollgate_core::ledger::Subject;
use tollgate_core::ports::{Actor, DeskError, Keep};
use tollgate_core::scope::{Mode, Scope};

use super::port::{Counter, plain};

/// The end of tenants, at the desk.
pub struct TenantDesk<'a> {
    desk: &'a Counter,
    keep: &'a dyn Keep,
}

impl<'a> TenantDesk<'a> {
    /// A desk for the tenants of this store.
    pub const fn new(desk: &'a Counter, keep: &'a dyn Keep) -> Self {
        Self { desk, keep }
    }

    /// Suspends the actor's tenant in both modes: no intent is written after it. Calls under way are finished, what waits is refused at its turn.
    ///
    /// # Errors
    /// When the store says no.
    pub async fn suspend(&self, actor: &Actor) -> Result<(), DeskError> {
        self.set(actor, "suspended").await
    }

    /// Removes the actor's tenant, which is suspended with it. Its logs stay, and prove themselves. Asked for again when it was interrupted, or
    /// something was under way.
    ///
    /// # Errors
    /// A conflict while something is under way: cancel what waits for a person, and let the rest end.
    pub async fn remove(&self, actor: &Actor) -> Result<BTreeMap<String, u64>, DeskError> {
        let tenant = actor.scope.tenant_id;
        self.suspend(actor).await?;
        let open = self.keep.under_way(tenant).await?;
        if open > 0 {
            return Err(DeskError::Conflict(format!("{open} of the tenant's runs, actions, replays and untold changes are not over")));
        }
        // The last thing that its logs say.
        self.set(actor, "removed").await?;
        for scope in modes(actor.scope) {
            self.desk.deps.signer.sign(scope).await?;
        }
        Ok(self.keep.remove_tenant(tenant).await?)
    }

    async fn set(&self, actor: &Actor, status: &str) -> Result<(), DeskError> {
        let (desk, name) = (self.desk, actor.scope.tenant_id.to_string());
        for scope in modes(actor.scope) {
            let there = desk.deps.registry.statuses(scope).await?;
            if there.iter().any(|(kind, _, s)| kind == "tenant" && (s == status || s == "removed")) {
                continue;
            }
            let actor = Actor { scope, ..actor.clone() };
            let entry = desk.change(&actor, plain(Subject::Tenant, &name, &actor, status))?;
            desk.deps.registry.set_status(scope, "tenant".to_owned(), name.clone(), status.to_owned(), entry).await?;
        }
        for scope in modes(actor.scope) {
            desk.deps.engine.bundles.refresh(scope).await?;
        }
        Ok(())
    }
}

/// The tenant of a scope, in both its modes.
fn modes(scope: Scope) -> [Scope; 2] {
    [Mode::Live, Mode::Test].map(|mode| Scope { mode, ..scope })
}
