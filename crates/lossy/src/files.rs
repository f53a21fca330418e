//! The overlays of this process by path: every connection, readers too, sees the same unsynced changes.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::overlay::Overlay;

/// One file's overlay, shared by its handles.
pub type Shared = Arc<Mutex<Overlay>>;

/// Kept when the last handle closes: closing a file does not sync it, and the next open must still see what is pending.
static FILES: Mutex<BTreeMap<Vec<u8>, Shared>> = Mutex::new(BTreeMap::new());

/// The overlay of a path.
pub fn of(path: &CStr) -> Shared {
    Arc::clone(FILES.lock().entry(path.to_bytes().to_vec()).or_default())
}

/// Whether a path has bytes that are not on the disk yet.
pub fn has_content(path: &CStr) -> bool {
    FILES.lock().get(path.to_bytes()).is_some_and(|f| f.lock().size(0) > 0)
}

/// The file is deleted: what was pending for it is void.
pub fn deleted(path: &CStr) {
    FILES.lock().remove(path.to_bytes());
}
