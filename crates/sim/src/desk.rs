//! The real desk over a world: people answer, resolve and cancel through it.

use std::io;
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use tollgate_core::ports::{Actor, Bundles, DurableExec, Effects, LedgerLog, Sealer};
use tollgate_core::verdict::Principal;
use tollgate_testkit::scope;
use tollgate_worker::{
    Ages, Archive, Counter, CounterDeps, Deps, Keeper, Options, RetainDeps, Retention, Service, ServiceDeps, Signals, Signer,
};

use crate::house::House;

/// Keeps no checkpoint: the store of a test goes with the test.
struct NoKeeper;

impl Keeper for NoKeeper {
    fn keep(&self, _: &str, _: &str) -> io::Result<()> {
        Ok(())
    }
    fn kept(&self, _: &str) -> io::Result<Option<String>> {
        Ok(None)
    }
}

impl House {
    /// What people and sweepers work with: the store as it is, never interrupted.
    pub fn deps(&self) -> Deps {
        Deps {
            effects: Arc::clone(&self.watch) as Arc<dyn Effects>,
            exec: Arc::clone(&self.watch) as Arc<dyn DurableExec>,
            bundles: Arc::clone(&self.bundles) as Arc<dyn Bundles>,
            graphs: self.graphs.clone(),
            sealer: Arc::clone(&self.sealer) as Arc<dyn Sealer>,
            ids: self.ids.clone(),
        }
    }

    /// The desk.
    pub fn desk(&self) -> Counter {
        self.desk_over(self.deps())
    }

    /// As [`Self::deps`], over the store as workers see it: the fates decide at every await.
    pub fn interrupted(&self) -> Deps {
        Deps { effects: Arc::clone(&self.effects) as Arc<dyn Effects>, ..self.deps() }
    }

    /// Retention by these ages, into this archive.
    pub fn retention(&self, ages: Ages, archive: Arc<dyn Archive>) -> Retention {
        let deps = RetainDeps {
            keep: Arc::clone(&self.store) as _,
            events: Arc::clone(&self.store) as _,
            ledger: Arc::clone(&self.store) as _,
            registry: Arc::clone(&self.store) as _,
            sealer: Arc::clone(&self.sealer) as Arc<dyn Sealer>,
            signer: self.signer(),
            archive: Some(archive),
        };
        Retention::new(deps, ages)
    }

    /// Signs the logs of this world.
    pub fn signer(&self) -> Arc<Signer> {
        let key = SigningKey::from_bytes(&[7; 32]);
        Arc::new(Signer::new(key, Arc::clone(&self.store) as _, Arc::new(NoKeeper), vec![scope()], self.ids.clone()))
    }

    /// A signer that keeps checkpoints outside.
    pub fn signer_keeping(&self, keeper: Arc<dyn Keeper>) -> Arc<Signer> {
        let key = SigningKey::from_bytes(&[7; 32]);
        Arc::new(Signer::new(key, Arc::clone(&self.store) as _, keeper, vec![scope()], self.ids.clone()))
    }

    /// A desk whose checkpoints this signer signs.
    pub fn desk_signing(&self, signer: Arc<Signer>) -> Counter {
        self.counter(self.deps(), signer)
    }

    /// The worker service with all its loops.
    pub fn service(&self, options: Options) -> Service {
        let (signer, signals) = (Some(self.signer()), Arc::new(Signals::default()));
        let (events, ledger) = (Arc::clone(&self.store) as _, Arc::clone(&self.store) as _);
        Service::new(ServiceDeps { engine: self.interrupted(), events, ledger, signer, signals }, options)
    }

    /// A worker service as a process has it that signs nothing, over this ledger.
    pub fn service_of_steps(&self, options: Options, ledger: Arc<dyn LedgerLog>) -> Service {
        let events = Arc::clone(&self.store) as _;
        Service::new(ServiceDeps { engine: self.interrupted(), events, ledger, signer: None, signals: Arc::default() }, options)
    }

    /// A desk that works with these.
    pub fn desk_over(&self, deps: Deps) -> Counter {
        self.counter(deps, self.signer())
    }

    fn counter(&self, deps: Deps, signer: Arc<Signer>) -> Counter {
        Counter::new(CounterDeps {
            engine: deps,
            events: Arc::clone(&self.store) as _,
            lists: Arc::clone(&self.store) as _,
            ledger: Arc::clone(&self.store) as _,
            registry: Arc::clone(&self.store) as _,
            signer,
            signals: Arc::new(Signals::default()),
            hands: None,
        })
    }
}

/// Someone at the desk.
pub fn someone() -> Actor {
    Actor { scope: scope(), principal: Principal::ServiceAccount("ann".to_owned()) }
}
