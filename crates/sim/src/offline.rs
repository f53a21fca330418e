//! The ledger as an outsider sees it: exported through the real desk, and checked with nothing but the file and the public key.

use tollgate_core::canon::canonical;
use tollgate_core::hash::Digest;
use tollgate_core::id::DeploymentId;
use tollgate_core::ledger::{PublicKey, verify};
use tollgate_core::ports::{Clock, Deploy, Desk, ExportFilter, PolicyEngine};
use tollgate_core::terms::Rules;
use tollgate_testkit::{FakePolicy, scope};

use crate::checks::{Fault, Law};
use crate::desk::someone;
use crate::house::{House, HouseError};

impl House {
    /// Whether an export of the whole ledger verifies: inclusion, every opened value, every verdict recomputed, and the rules between
    /// entries. An empty ledger has nothing to show.
    ///
    /// # Errors
    /// When the store or the desk says no.
    pub async fn unverifiable(&self) -> Result<Option<Fault>, HouseError> {
        if self.ledger().await?.is_empty() {
            return Ok(None);
        }
        self.keep_policy().await?;
        let desk = self.desk();
        let file = desk.export(&someone(), ExportFilter::default()).await?;
        let key = PublicKey::from_hex(&desk.public_key());
        let out = verify(file.as_bytes(), key.as_ref(), None, &FakePolicy::recompute);
        Ok(out.err().map(|e| Fault::new(Law::Verifiable, e.to_string())))
    }

    /// Verdicts cite the policies they were computed from; the store holds those once they are deployed.
    pub(crate) async fn keep_policy(&self) -> Result<(), HouseError> {
        let body = canonical(self.policy.artifact()).unwrap_or_default();
        let deploy = Deploy {
            rules: Rules::of(&scope(), &self.bundles.spec()),
            id: DeploymentId::from_bytes(self.ids.uuid()),
            bundle: Digest::of(&body),
            artifacts: vec![(self.policy.version(), "policy".to_owned(), body)],
            entries: Vec::new(),
            at: self.clock.now(),
        };
        self.store.deploy(scope(), deploy).await?;
        Ok(())
    }
}
