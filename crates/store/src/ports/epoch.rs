//! Epochs.

use tollgate_core::ports::{Epoch, EpochLog, EpochStep, Epochs, NewEntry, StoreError};
use tollgate_core::time::Timestamp;

use super::Out;
use crate::backend::{Ordered, Reach, Store};
use crate::command::epoch;
use crate::needs::{Alone, Needs};

impl<B: Ordered> Epochs for Store<B> {
    fn epoch(&self) -> Out<'_, Option<Epoch>> {
        Box::pin(async move {
            let newest = self.engine.one(epoch::newest(), Reach::Everywhere).await?;
            Ok(newest.filter(|e| e.number > 0))
        })
    }
    fn begin_epoch(&self, at: Timestamp) -> Out<'_, Epoch> {
        self.engine.write(Needs::default().configures(), move |tx| epoch::begin(tx, at))
    }
    fn record_log(&self, number: u64, log: EpochLog, entry: NewEntry) -> Out<'_, bool> {
        self.engine.write(Needs::of(log.scope).alone(Alone::Config), move |tx| epoch::record(tx, number, &log, &entry))
    }
    fn epoch_logs(&self, number: u64) -> Out<'_, Vec<EpochLog>> {
        self.engine.all(epoch::logs(number), Reach::Everywhere)
    }
    fn epoch_steps(&self, number: u64) -> Out<'_, Vec<EpochStep>> {
        self.engine.walk(epoch::steps(number), Reach::Everywhere)
    }
    fn resolve_step(&self, number: u64, step: EpochStep, applied: bool, entry: Option<NewEntry>) -> Out<'_, ()> {
        let needs = Needs::of(step.scope).alone(Alone::Config);
        self.engine.write(needs, move |tx| epoch::resolve(tx, number, step, applied, entry.as_ref()))
    }
    fn end_epoch(&self, number: u64, at: Timestamp) -> Out<'_, ()> {
        Box::pin(async move {
            let left = self.epoch_steps(number).await?.iter().filter(|s| s.resolved.is_none()).count();
            if left > 0 {
                return Err(StoreError::Conflict(format!("{left} steps are not resolved: see `tollgate db epoch list`")));
            }
            self.engine.write(Needs::default().configures(), move |tx| epoch::end(tx, number, at)).await
        })
    }
}
