//! Roots of subtrees, read from the store's tiles and leaf hashes.

use tollgate_core::hash::Digest;
use tollgate_core::ledger::{cover, empty_root, node_hash};
use tollgate_core::ports::{LedgerLog, StoreError};
use tollgate_core::scope::Scope;

/// Levels between stored tiles.
const TILE_HEIGHT: u8 = 8;

/// Roots of the complete subtrees that cover `from..to`.
pub(crate) async fn roots(ledger: &dyn LedgerLog, scope: Scope, from: u64, to: u64) -> Result<Vec<Digest>, StoreError> {
    let mut out = Vec::new();
    for (level, index) in cover(from, to) {
        out.push(subtree(ledger, scope, level, index).await?);
    }
    Ok(out)
}

/// The root of the log cut back to its first `size` entries.
pub(crate) async fn root_at(ledger: &dyn LedgerLog, scope: Scope, size: u64) -> Result<Digest, StoreError> {
    let peaks = roots(ledger, scope, 0, size).await?;
    Ok(peaks.into_iter().rev().reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(empty_root))
}

async fn subtree(ledger: &dyn LedgerLog, scope: Scope, level: u8, index: u64) -> Result<Digest, StoreError> {
    let base = level - level % TILE_HEIGHT;
    let width = 1_u64 << (level - base);
    let (from, to) = (index * width, (index + 1) * width);
    let hashes = if base == 0 { ledger.leaf_hashes(scope, from, to).await? } else { ledger.tiles(scope, base, from, to).await? };
    if hashes.len() as u64 != width {
        return Err(StoreError::Corrupt(format!("the ledger lacks hashes: level {base}, {from} to {to}")));
    }
    Ok(join(hashes))
}

fn join(mut hashes: Vec<Digest>) -> Digest {
    while hashes.len() > 1 {
        hashes = hashes.chunks(2).map(|pair| pair.iter().copied().reduce(|l, r| node_hash(&l, &r)).unwrap_or_else(empty_root)).collect();
    }
    hashes.first().copied().unwrap_or_else(empty_root)
}
