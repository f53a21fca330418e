//! The books of the upstream: what was called, what took effect, in which order. The truth that receipts are compared with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::spec::Kind;

/// One call, as it arrived.
#[derive(Clone, Debug)]
pub struct Call {
    /// Which tool.
    pub kind: Kind,
    /// Which operation.
    pub op: String,
    /// On what.
    pub entity: String,
    /// The key that came with it.
    pub key: Option<String>,
}

/// What became of one operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Told {
    /// Calls that arrived.
    pub calls: u32,
    /// Times it took effect.
    pub applied: u32,
    /// Times it took effect after its caller's deadline.
    pub late: u32,
    /// Calls whose caller never heard what became of them.
    pub doubtful: u32,
}

#[derive(Default)]
struct Books {
    ops: BTreeMap<(Kind, String), Told>,
    keys: BTreeSet<String>,
    /// Operations by entity, as they took effect.
    order: BTreeMap<String, Vec<String>>,
    /// By lane, what came in and took effect, as it did.
    lanes: Lanes,
}

/// What happened to an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mark {
    /// A call arrived.
    Called,
    /// It took effect.
    Applied,
}

/// By lane, what came in and took effect, in its order.
pub type Lanes = BTreeMap<(Kind, String), Vec<(String, Mark)>>;

impl Books {
    fn mark(&mut self, call: &Call, mark: Mark) {
        self.lanes.entry((call.kind, call.entity.clone())).or_default().push((call.op.clone(), mark));
    }
}

/// The books.
#[derive(Default)]
pub struct Effects {
    books: Mutex<Books>,
    under_way: AtomicUsize,
    questions: AtomicU64,
}

impl Effects {
    /// A call arrived; answers how many of its operation came before.
    pub fn called(&self, call: &Call) -> u64 {
        self.under_way.fetch_add(1, Ordering::AcqRel);
        let mut books = self.books.lock();
        let told = books.ops.entry((call.kind, call.op.clone())).or_default();
        told.calls += 1;
        let before = u64::from(told.calls - 1);
        books.mark(call, Mark::Called);
        before
    }

    /// A call was dealt with.
    pub fn dealt_with(&self) {
        self.under_way.fetch_sub(1, Ordering::AcqRel);
    }

    /// Calls that may still take effect.
    pub fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Acquire)
    }

    /// A question arrived; answers how many came before.
    pub fn asked(&self) -> u64 {
        self.questions.fetch_add(1, Ordering::Relaxed)
    }

    /// The caller will not hear what became of this call.
    pub fn doubtful(&self, call: &Call) {
        if let Some(told) = self.books.lock().ops.get_mut(&(call.kind, call.op.clone())) {
            told.doubtful += 1;
        }
    }

    /// It takes effect, unless its key took effect before.
    pub fn apply(&self, call: &Call, late: bool) {
        let mut books = self.books.lock();
        if let Some(key) = &call.key
            && !books.keys.insert(key.clone())
        {
            return;
        }
        let told = books.ops.entry((call.kind, call.op.clone())).or_default();
        told.applied += 1;
        told.late += u32::from(late);
        books.mark(call, Mark::Applied);
        if call.kind == Kind::Strict {
            books.order.entry(call.entity.clone()).or_default().push(call.op.clone());
        }
    }

    /// How often an operation took effect.
    pub fn applied(&self, kind: Kind, op: &str) -> u32 {
        self.told(kind, op).applied
    }

    /// What became of an operation.
    pub fn told(&self, kind: Kind, op: &str) -> Told {
        self.books.lock().ops.get(&(kind, op.to_owned())).copied().unwrap_or_default()
    }

    /// The order of effects by entity.
    pub fn order(&self) -> BTreeMap<String, Vec<String>> {
        self.books.lock().order.clone()
    }

    /// What happened in each lane.
    pub fn lanes(&self) -> Lanes {
        self.books.lock().lanes.clone()
    }

    /// Every operation that was called.
    pub fn all(&self) -> Vec<(Kind, String, Told)> {
        self.books.lock().ops.iter().map(|((k, op), told)| (*k, op.clone(), *told)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(kind: Kind, op: &str, key: Option<&str>) -> Call {
        Call { kind, op: op.into(), entity: "e".into(), key: key.map(str::to_owned) }
    }

    #[test]
    fn a_key_takes_effect_once_and_a_call_without_one_each_time() {
        let e = Effects::default();
        for key in ["k1", "k1", "k2"] {
            e.apply(&call(Kind::Keyed, "a", Some(key)), false);
        }
        assert_eq!(e.applied(Kind::Keyed, "a"), 2, "another key is another effect: that is how a doubled one shows");
        e.apply(&call(Kind::Once, "b", None), false);
        e.apply(&call(Kind::Once, "b", None), true);
        assert_eq!((e.applied(Kind::Once, "b"), e.told(Kind::Once, "b").late), (2, 1));
    }

    #[test]
    fn the_order_of_an_entity_is_that_of_its_effects() {
        let e = Effects::default();
        for (op, key) in [("2", "k2"), ("1", "k1"), ("2", "k2")] {
            e.apply(&call(Kind::Strict, op, Some(key)), false);
        }
        assert_eq!(e.order()["e"], ["2", "1"]);
    }
}
