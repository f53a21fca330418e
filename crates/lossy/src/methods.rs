//! The file methods: writes and truncations wait in the overlay until a sync; locks and shared memory go to the real file.

use std::ffi::{c_int, c_void};
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rusqlite::ffi::{
    SQLITE_FCNTL_CHUNK_SIZE, SQLITE_FCNTL_MMAP_SIZE, SQLITE_FCNTL_SIZE_HINT, SQLITE_IOCAP_IMMUTABLE, SQLITE_IOCAP_POWERSAFE_OVERWRITE,
    SQLITE_IOCAP_SUBPAGE_READ, SQLITE_IOCAP_UNDELETABLE_WHEN_OPEN, SQLITE_IOERR, SQLITE_IOERR_SHORT_READ, SQLITE_NOTFOUND, SQLITE_OK,
    sqlite3_file, sqlite3_io_methods,
};

use crate::dice;
use crate::files::Shared;
use crate::overlay::Overlay;
use crate::real::{Real, call, done};

/// What the device promises that stays true under this layer. Atomic or ordered writes do not.
const PROMISES: c_int =
    SQLITE_IOCAP_POWERSAFE_OVERWRITE | SQLITE_IOCAP_SUBPAGE_READ | SQLITE_IOCAP_UNDELETABLE_WHEN_OPEN | SQLITE_IOCAP_IMMUTABLE;

static HELD: AtomicU64 = AtomicU64::new(0);
static LYING: AtomicBool = AtomicBool::new(false);

/// Our handle; the real VFS's handle follows it in the same allocation.
#[repr(C, align(8))]
pub struct Handle {
    base: sqlite3_file,
    /// None for temporary files, which no crash has to survive.
    overlay: ManuallyDrop<Option<Shared>>,
}

/// Version 2: shared memory, and no memory-mapped reads, which would pass by the overlay.
static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// Where the real handle lies behind ours.
///
/// # Safety
/// `file` must point to an allocation of `size_of::<Handle>()` plus the real VFS's handle size.
pub unsafe fn behind(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // SAFETY: the caller vouches for the size; the alignment of `Handle` keeps the address aligned to 8.
    unsafe { file.cast::<Handle>().add(1).cast() }
}

/// Makes a handle of ours out of an allocation whose real handle is open.
///
/// # Safety
/// As [`behind`], and the real VFS's `xOpen` succeeded on `behind(file)`.
pub unsafe fn opened(file: *mut sqlite3_file, overlay: Option<Shared>) {
    let handle = Handle { base: sqlite3_file { pMethods: &raw const METHODS }, overlay: ManuallyDrop::new(overlay) };
    // SAFETY: the allocation is large enough and belongs to this open; nothing in it needs dropping yet.
    unsafe { file.cast::<Handle>().write(handle) }
}

fn real(file: *mut sqlite3_file) -> Real {
    // SAFETY: SQLite calls these methods only with handles that `opened` completed and `close` has not seen.
    unsafe { Real::new(behind(file)) }
}

fn overlay<'a>(file: *mut sqlite3_file) -> Option<&'a Shared> {
    // SAFETY: as in `real`; the reference is used only inside one method call, and SQLite does not close a handle under one.
    unsafe { (*file.cast::<Handle>()).overlay.as_ref() }
}

fn code(done: Result<(), c_int>) -> c_int {
    done.err().unwrap_or(SQLITE_OK)
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    let closed = call!(real(file), xClose);
    // SAFETY: SQLite closes a handle once and does not use it afterwards.
    unsafe { ManuallyDrop::drop(&mut (*file.cast::<Handle>()).overlay) };
    closed
}

unsafe extern "C" fn read(file: *mut sqlite3_file, to: *mut c_void, len: c_int, at: i64) -> c_int {
    let Some(overlay) = overlay(file) else { return call!(real(file), xRead, to, len, at) };
    let (Ok(offset), Ok(length)) = (u64::try_from(at), usize::try_from(len)) else { return SQLITE_IOERR };
    let overlay = overlay.lock();
    let answer = call!(real(file), xRead, to, len, at);
    if !overlay.is_pending() || (answer != SQLITE_OK && answer != SQLITE_IOERR_SHORT_READ) {
        return answer;
    }
    // SAFETY: SQLite hands a buffer of `len` bytes, which the real read has filled, with zeros where the disk's file ends.
    let buf = unsafe { std::slice::from_raw_parts_mut(to.cast::<u8>(), length) };
    overlay.lay_over(offset, buf);
    if offset + length as u64 > overlay.size(0) { SQLITE_IOERR_SHORT_READ } else { SQLITE_OK }
}

unsafe extern "C" fn write(file: *mut sqlite3_file, from: *const c_void, len: c_int, at: i64) -> c_int {
    let Some(overlay) = overlay(file) else { return call!(real(file), xWrite, from, len, at) };
    let (Ok(offset), Ok(length)) = (u64::try_from(at), usize::try_from(len)) else { return SQLITE_IOERR };
    // SAFETY: SQLite hands `len` readable bytes.
    let bytes = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), length) };
    code(hold(real(file), &mut overlay.lock(), offset, bytes))
}

/// How many writes this process has held back so far: evidence that databases do go through the layer.
pub fn held_back() -> u64 {
    HELD.load(Ordering::Relaxed)
}

/// From here on syncs do nothing and say that they did: a disk that lies. No database survives it, so whoever tests with this layer
/// can show that their checks would notice.
pub fn lie() {
    LYING.store(true, Ordering::Relaxed);
}

/// Into the overlay; a part chosen by the dice reaches the disk as well, before its turn.
fn hold(real: Real, overlay: &mut Overlay, at: u64, bytes: &[u8]) -> Result<(), c_int> {
    overlay.write(at, bytes, real.size()?);
    HELD.fetch_add(1, Ordering::Relaxed);
    dice::through(bytes.len()).map_or(Ok(()), |part| real.write(at, &bytes[part]))
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, to: i64) -> c_int {
    let Some(overlay) = overlay(file) else { return call!(real(file), xTruncate, to) };
    let Ok(to) = u64::try_from(to) else { return SQLITE_IOERR };
    overlay.lock().truncate(to);
    SQLITE_OK
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    let Some(overlay) = overlay(file) else { return call!(real(file), xSync, flags) };
    if LYING.load(Ordering::Relaxed) {
        return SQLITE_OK;
    }
    let mut overlay = overlay.lock();
    let brought = bring(real(file), &overlay).and_then(|()| done(call!(real(file), xSync, flags)));
    if brought.is_ok() {
        overlay.synced();
    }
    code(brought)
}

/// Everything pending, to the disk's file.
fn bring(real: Real, overlay: &Overlay) -> Result<(), c_int> {
    let Some(pending) = overlay.pending() else { return Ok(()) };
    if let Some(cut) = pending.cut
        && cut < real.size()?
    {
        real.truncate(cut)?;
    }
    for (at, bytes) in &pending.extents {
        real.write(*at, bytes)?;
    }
    if real.size()? == pending.size { Ok(()) } else { real.truncate(pending.size) }
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, out: *mut i64) -> c_int {
    let Some(overlay) = overlay(file) else { return call!(real(file), xFileSize, out) };
    let overlay = overlay.lock();
    match real(file).size() {
        Ok(on_disk) => {
            // SAFETY: SQLite hands a place for the answer.
            unsafe { *out = i64::try_from(overlay.size(on_disk)).unwrap_or(i64::MAX) };
            SQLITE_OK
        }
        Err(code) => code,
    }
}

unsafe extern "C" fn lock(file: *mut sqlite3_file, level: c_int) -> c_int {
    call!(real(file), xLock, level)
}

unsafe extern "C" fn unlock(file: *mut sqlite3_file, level: c_int) -> c_int {
    call!(real(file), xUnlock, level)
}

unsafe extern "C" fn check_reserved_lock(file: *mut sqlite3_file, out: *mut c_int) -> c_int {
    call!(real(file), xCheckReservedLock, out)
}

unsafe extern "C" fn file_control(file: *mut sqlite3_file, op: c_int, arg: *mut c_void) -> c_int {
    // These would grow the disk's file behind the overlay, or read past it.
    if overlay(file).is_some() && matches!(op, SQLITE_FCNTL_SIZE_HINT | SQLITE_FCNTL_CHUNK_SIZE | SQLITE_FCNTL_MMAP_SIZE) {
        return SQLITE_NOTFOUND;
    }
    call!(real(file), xFileControl, op, arg)
}

unsafe extern "C" fn sector_size(file: *mut sqlite3_file) -> c_int {
    call!(real(file), xSectorSize)
}

unsafe extern "C" fn device_characteristics(file: *mut sqlite3_file) -> c_int {
    call!(real(file), xDeviceCharacteristics) & PROMISES
}

unsafe extern "C" fn shm_map(file: *mut sqlite3_file, page: c_int, size: c_int, extend: c_int, out: *mut *mut c_void) -> c_int {
    call!(real(file), xShmMap, page, size, extend, out)
}

unsafe extern "C" fn shm_lock(file: *mut sqlite3_file, offset: c_int, n: c_int, flags: c_int) -> c_int {
    call!(real(file), xShmLock, offset, n, flags)
}

unsafe extern "C" fn shm_barrier(file: *mut sqlite3_file) {
    let real = real(file);
    if let Some(barrier) = real.methods().and_then(|m| m.xShmBarrier) {
        // SAFETY: an open handle's own method.
        unsafe { barrier(real.raw()) }
    }
}

unsafe extern "C" fn shm_unmap(file: *mut sqlite3_file, delete: c_int) -> c_int {
    call!(real(file), xShmUnmap, delete)
}
