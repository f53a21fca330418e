//! The unsynced changes of one file, as pure data: extents that lie over what the disk has. Knows no SQLite.

use std::collections::BTreeMap;

/// Changes since the last sync.
#[derive(Debug, Default)]
pub struct Overlay {
    /// Written bytes by offset; extents never overlap.
    extents: BTreeMap<u64, Vec<u8>>,
    /// Bytes of the disk's file from here on were cut off.
    cut: Option<u64>,
    /// The file's length as readers see it; none while nothing is pending.
    size: Option<u64>,
}

/// What a sync has to do, in this order: cut, write, set the length.
#[derive(Debug, PartialEq, Eq)]
pub struct Pending {
    /// Cut the disk's file to this length first.
    pub cut: Option<u64>,
    /// Then write these.
    pub extents: BTreeMap<u64, Vec<u8>>,
    /// The length in the end.
    pub size: u64,
}

impl Overlay {
    /// The file's length, given the disk's.
    pub fn size(&self, on_disk: u64) -> u64 {
        self.size.unwrap_or(on_disk)
    }

    /// Whether something waits for a sync.
    pub const fn is_pending(&self) -> bool {
        self.size.is_some()
    }

    /// A write.
    pub fn write(&mut self, at: u64, bytes: &[u8], on_disk: u64) {
        let end = at.saturating_add(bytes.len() as u64);
        self.size = Some(self.size(on_disk).max(end));
        self.clear(at, end);
        if !bytes.is_empty() {
            self.extents.insert(at, bytes.to_vec());
        }
    }

    /// A truncation, or an extension with zeros.
    pub fn truncate(&mut self, to: u64) {
        self.clear(to, u64::MAX);
        self.cut = Some(self.cut.map_or(to, |c| c.min(to)));
        self.size = Some(to);
    }

    /// Lays the changes over what was read from the disk at `at`; bytes past the disk's end must be zero in `buf`.
    pub fn lay_over(&self, at: u64, buf: &mut [u8]) {
        let end = at.saturating_add(buf.len() as u64);
        if let Some(cut) = self.cut.filter(|c| *c < end) {
            buf[index(cut.saturating_sub(at))..].fill(0);
        }
        let first = self.extents.range(..=at).next_back().map_or(at, |(start, _)| *start);
        for (start, bytes) in self.extents.range(first..end) {
            let stop = start + bytes.len() as u64;
            let (from, to) = (at.max(*start), end.min(stop));
            if from < to {
                buf[index(from - at)..index(to - at)].copy_from_slice(&bytes[index(from - start)..index(to - start)]);
            }
        }
    }

    /// What a sync must bring to the disk. Stays pending until [`Self::synced`].
    pub fn pending(&self) -> Option<Pending> {
        self.size.map(|size| Pending { cut: self.cut, extents: self.extents.clone(), size })
    }

    /// The disk has everything.
    pub fn synced(&mut self) {
        *self = Self::default();
    }

    /// Drops `from..to`, splitting extents at its edges.
    fn clear(&mut self, from: u64, to: u64) {
        let first = self.extents.range(..=from).next_back().map_or(from, |(start, _)| *start);
        let touched: Vec<u64> = self.extents.range(first..to).map(|(start, _)| *start).collect();
        for start in touched {
            let Some(mut bytes) = self.extents.remove(&start) else { continue };
            let stop = start + bytes.len() as u64;
            if stop > to {
                self.extents.insert(to, bytes.split_off(index(to.max(start) - start)));
            }
            bytes.truncate(index(from.saturating_sub(start)));
            if start < from && !bytes.is_empty() {
                self.extents.insert(start, bytes);
            }
        }
    }
}

/// An offset inside a buffer: SQLite's reads and writes are far below 4 GiB.
fn index(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A file as a person would keep it, and the disk under the overlay.
    struct Both {
        plain: Vec<u8>,
        disk: Vec<u8>,
        overlay: Overlay,
    }

    impl Both {
        fn sync(&mut self) {
            let Some(p) = self.overlay.pending() else { return };
            if let Some(cut) = p.cut {
                self.disk.truncate(index(cut));
            }
            for (at, bytes) in p.extents {
                let end = index(at) + bytes.len();
                self.disk.resize(self.disk.len().max(end), 0);
                self.disk[index(at)..end].copy_from_slice(&bytes);
            }
            self.disk.resize(index(p.size), 0);
            self.overlay.synced();
        }

        fn read(&self, at: usize, len: usize) -> Vec<u8> {
            let mut buf = vec![0; len];
            let there = self.disk.len().saturating_sub(at).min(len);
            buf[..there].copy_from_slice(&self.disk[at.min(self.disk.len())..][..there]);
            self.overlay.lay_over(at as u64, &mut buf);
            buf
        }
    }

    #[derive(Clone, Debug)]
    enum Op {
        Write(usize, Vec<u8>),
        Truncate(usize),
        Sync,
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let op = prop_oneof![
            6 => (0..64_usize, prop::collection::vec(any::<u8>(), 0..24)).prop_map(|(at, b)| Op::Write(at, b)),
            2 => (0..80_usize).prop_map(Op::Truncate),
            1 => Just(Op::Sync),
        ];
        prop::collection::vec(op, 0..40)
    }

    proptest! {
        #[test]
        fn readers_see_the_file_as_if_nothing_were_held_back(ops in ops()) {
            let mut b = Both { plain: Vec::new(), disk: Vec::new(), overlay: Overlay::default() };
            for op in ops {
                match op {
                    Op::Write(at, bytes) => {
                        let end = at + bytes.len();
                        b.plain.resize(b.plain.len().max(end), 0);
                        b.plain[at..end].copy_from_slice(&bytes);
                        b.overlay.write(at as u64, &bytes, b.disk.len() as u64);
                    }
                    Op::Truncate(to) => {
                        b.plain.resize(to, 0);
                        b.overlay.truncate(to as u64);
                    }
                    Op::Sync => {
                        b.sync();
                        prop_assert_eq!(&b.plain, &b.disk);
                    }
                }
                prop_assert_eq!(b.overlay.size(b.disk.len() as u64), b.plain.len() as u64);
                prop_assert_eq!(b.read(0, b.plain.len()), b.plain.clone());
                let tail = b.plain.len() / 2;
                prop_assert_eq!(b.read(tail, b.plain.len() - tail), b.plain[tail..].to_vec());
            }
        }
    }

    #[test]
    fn nothing_is_pending_after_a_sync() {
        let mut o = Overlay::default();
        assert!(!o.is_pending());
        o.write(0, b"x", 0);
        assert!(o.is_pending());
        o.synced();
        assert_eq!(o.pending(), None);
    }
}
