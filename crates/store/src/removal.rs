//! A tenant's removal: its order, which is the same on both engines.

use std::collections::BTreeMap;

use tollgate_core::id::TenantId;
use tollgate_core::ports::BoxFuture;

use crate::backend::Backend;
use crate::error::Result;
use crate::needs::Needs;
use crate::retention::{Removal, not_over, not_signed, removed};

/// What an engine does for it.
pub(crate) trait Removes: Backend {
    /// What of the tenant is not over.
    fn under_way(&self, tenant: TenantId) -> BoxFuture<'_, Result<u64>>;
    /// Entries of the tenant's logs that no checkpoint covers.
    fn unsigned(&self, tenant: TenantId) -> BoxFuture<'_, Result<u64>>;
    /// Searches a table once for the tenant's rows and takes away what it finds; answers how many.
    fn search(&self, tenant: TenantId, table: &'static str, removal: Removal) -> BoxFuture<'_, Result<u64>>;
}

/// Takes a tenant away.
pub(crate) async fn remove<E: Removes>(engine: &E, tenant: TenantId) -> Result<BTreeMap<String, u64>> {
    let mut gone = BTreeMap::new();
    let mut before = None;
    for (table, removal) in removed() {
        let asking = removal == Removal::Asking;
        if before != Some(asking) {
            // Once more when nobody asks any more, and nothing is decided by what was in force.
            engine.write(Needs::default().configures(), |tx| tx.raise_rev()).await?;
            ready(engine, tenant).await?;
            before = Some(asking);
        }
        let of_table: &mut u64 = gone.entry(table.to_owned()).or_default();
        // What came, or moved, behind the search is searched for again.
        loop {
            let n = engine.search(tenant, table, removal).await?;
            *of_table += n;
            if n == 0 {
                break;
            }
        }
    }
    Ok(gone)
}

/// Whether it can go.
async fn ready<E: Removes>(engine: &E, tenant: TenantId) -> Result<()> {
    match (engine.under_way(tenant).await?, engine.unsigned(tenant).await?) {
        (0, 0) => Ok(()),
        (0, unsigned) => Err(not_signed(unsigned)),
        (open, _) => Err(not_over(open)),
    }
}
