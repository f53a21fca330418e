//! Lanes of a group: the front of each as it was fetched, and what commands do to it. A lane may be thousands long; its front is enough.

use std::collections::{BTreeMap, BTreeSet};

use tollgate_core::hash::Digest;
use tollgate_core::scope::Scope;

use crate::error::Result;
use crate::needs::Lock;
use crate::postgres::table::not_fetched;
use crate::tx::{Lanes, Ticket};

use super::PgTx;

/// What commands do to a lane.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    /// Rows taken out, by the step that they were fetched with.
    pub(crate) dropped: BTreeSet<[u8; 16]>,
    /// Places given to another step, by the step that they were fetched with.
    pub(crate) handed: BTreeMap<[u8; 16], [u8; 16]>,
    /// Steps with a new last place, in order.
    pub(crate) pushed: Vec<Ticket>,
}

/// A lane as a group knows it.
#[derive(Debug, Default)]
pub(crate) struct LaneBook {
    pub(crate) scope: Option<Scope>,
    /// The first places, in order.
    pub(crate) front: Vec<Ticket>,
    /// There are more behind them.
    pub(crate) more: bool,
    /// The last ticket that was given out to those who are still in.
    pub(crate) last: i64,
    /// Steps that were looked for behind the front, and whether they are in.
    pub(crate) behind: BTreeMap<[u8; 16], bool>,
    pub(crate) is_fetched: bool,
    pub(crate) done: Changes,
    layer: Option<Changes>,
    /// How long a front is wanted.
    pub(crate) wanted_front: usize,
    pub(crate) wanted_steps: BTreeSet<[u8; 16]>,
}

/// Places of a front that are fetched at first: who holds, who is next, and one for a second change in the same group.
pub(crate) const FRONT: usize = 3;

impl LaneBook {
    pub(crate) fn is_missing(&self) -> bool {
        self.wanted_front > 0 || !self.wanted_steps.is_empty()
    }

    pub(crate) fn merge(&mut self) {
        if let Some(layer) = self.layer.take() {
            self.done = layer;
        }
    }

    pub(crate) fn discard(&mut self) {
        self.layer = None;
    }

    fn now(&self) -> &Changes {
        self.layer.as_ref().unwrap_or(&self.done)
    }

    fn changing(&mut self) -> &mut Changes {
        let done = &self.done;
        self.layer.get_or_insert_with(|| done.clone())
    }

    /// The first place that is still taken.
    fn head(&mut self) -> Result<Option<Ticket>> {
        let now = self.now();
        let still = |t: &Ticket| {
            let step = now.handed.get(&t.step).copied().unwrap_or(t.step);
            (!now.dropped.contains(&t.step)).then_some(Ticket { step, run: t.run })
        };
        if let Some(t) = self.front.iter().find_map(still) {
            return Ok(Some(t));
        }
        if self.more {
            self.wanted_front = self.front.len() * 2 + FRONT;
            return Err(not_fetched());
        }
        Ok(now.pushed.first().copied())
    }

    /// The step that the row of a step was fetched with; none when its place was given away.
    fn row_of(now: &Changes, step: [u8; 16]) -> Option<[u8; 16]> {
        match now.handed.iter().find(|(_, to)| **to == step) {
            Some((row, _)) => Some(*row),
            None => (!now.handed.contains_key(&step)).then_some(step),
        }
    }

    fn has(&mut self, step: [u8; 16]) -> Result<bool> {
        let now = self.now();
        if now.pushed.iter().any(|t| t.step == step) {
            return Ok(true);
        }
        let Some(row) = Self::row_of(now, step).filter(|row| !now.dropped.contains(row)) else { return Ok(false) };
        if row != step || self.front.iter().any(|t| t.step == row) {
            return Ok(true);
        }
        if !self.more {
            return Ok(false);
        }
        if let Some(is) = self.behind.get(&step) {
            return Ok(*is);
        }
        self.wanted_steps.insert(step);
        Err(not_fetched())
    }

    fn drop_step(&mut self, step: [u8; 16]) {
        let c = self.changing();
        let before = c.pushed.len();
        c.pushed.retain(|t| t.step != step);
        if c.pushed.len() == before {
            c.dropped.extend(Self::row_of(c, step));
        }
    }
}

impl PgTx {
    fn lane(&mut self, lane: &Digest) -> Result<&mut LaneBook> {
        self.lock(Lock::Lane(*lane))?;
        let book = self.lanes.entry(*lane).or_default();
        if book.is_fetched {
            return Ok(book);
        }
        book.wanted_front = book.wanted_front.max(FRONT);
        Err(not_fetched())
    }
}

impl Lanes for PgTx {
    fn lane_head(&mut self, lane: &Digest) -> Result<Option<Ticket>> {
        self.lane(lane)?.head()
    }

    fn has_ticket(&mut self, lane: &Digest, step: [u8; 16]) -> Result<bool> {
        self.lane(lane)?.has(step)
    }

    fn push_ticket(&mut self, scope: Scope, lane: &Digest, ticket: Ticket) -> Result<()> {
        let book = self.lane(lane)?;
        book.scope = Some(scope);
        let c = book.changing();
        // One that left and comes again in the same group takes a new place.
        c.pushed.push(ticket);
        Ok(())
    }

    fn drop_ticket(&mut self, lane: &Digest, step: [u8; 16]) -> Result<()> {
        self.lane(lane)?.drop_step(step);
        Ok(())
    }

    fn hand_ticket(&mut self, lane: &Digest, from: [u8; 16], to: [u8; 16]) -> Result<()> {
        let c = self.lane(lane)?.changing();
        match c.pushed.iter_mut().find(|t| t.step == from) {
            Some(t) => t.step = to,
            None => {
                if let Some(row) = LaneBook::row_of(c, from) {
                    c.handed.insert(row, to);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tollgate_core::id::RunId;

    use super::*;

    fn ticket(n: u8) -> Ticket {
        Ticket { step: [n; 16], run: RunId::from_bytes([n; 16]) }
    }

    fn book(front: &[u8], more: bool) -> LaneBook {
        LaneBook { front: front.iter().map(|n| ticket(*n)).collect(), more, last: 9, is_fetched: true, ..LaneBook::default() }
    }

    #[test]
    fn the_front_moves_up_and_asks_for_more_only_when_it_must() {
        let mut b = book(&[1, 2], true);
        assert_eq!(b.head().unwrap().unwrap().step, [1; 16]);
        b.drop_step([1; 16]);
        assert_eq!(b.head().unwrap().unwrap().step, [2; 16]);
        b.drop_step([2; 16]);
        assert!(b.head().is_err() && b.is_missing(), "who comes then was not fetched");
        b.discard();
        assert_eq!(b.head().unwrap().unwrap().step, [1; 16], "nothing was kept");
    }

    #[test]
    fn a_handed_place_keeps_its_order() {
        let mut b = book(&[1, 2], false);
        b.changing().handed.insert([1; 16], [7; 16]);
        assert_eq!(b.head().unwrap().unwrap().step, [7; 16]);
        assert!(b.has([7; 16]).unwrap());
        b.drop_step([1; 16]);
        assert_eq!(b.head().unwrap().unwrap().step, [7; 16], "who gave its place away leaves none");
        b.drop_step([7; 16]);
        b.merge();
        assert_eq!(b.head().unwrap().unwrap().step, [2; 16]);
    }

    #[test]
    fn a_pushed_step_comes_last_and_may_leave_again() {
        let mut b = book(&[1], false);
        b.changing().pushed.push(ticket(5));
        assert_eq!((b.head().unwrap().unwrap().step, b.has([5; 16]).unwrap()), ([1; 16], true));
        b.drop_step([1; 16]);
        assert_eq!(b.head().unwrap().unwrap().step, [5; 16]);
        b.drop_step([5; 16]);
        assert!(b.head().unwrap().is_none() && b.done.dropped.is_empty());
    }
}
