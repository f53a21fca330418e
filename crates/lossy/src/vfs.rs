//! The VFS itself: a copy of the default one that opens files through the overlay.

use std::ffi::{CStr, c_char, c_int};
use std::mem::size_of;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use parking_lot::Mutex;
use rusqlite::ffi::{
    SQLITE_ACCESS_EXISTS, SQLITE_IOERR, SQLITE_OK, SQLITE_OPEN_MAIN_DB, SQLITE_OPEN_MAIN_JOURNAL, SQLITE_OPEN_SUPER_JOURNAL,
    SQLITE_OPEN_WAL, sqlite3_file, sqlite3_filename, sqlite3_vfs, sqlite3_vfs_find, sqlite3_vfs_register,
};

use crate::methods::{Handle, behind, opened};
use crate::{dice, files};

/// The name to open databases with.
pub const NAME: &str = "lossy";
const C_NAME: &CStr = c"lossy";
/// Files whose loss a database must survive.
const DURABLE: c_int = SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL;

/// The default VFS, once registered.
static REAL: AtomicPtr<sqlite3_vfs> = AtomicPtr::new(ptr::null_mut());
static REGISTERING: Mutex<()> = Mutex::new(());

/// The layer cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// This SQLite has none to build on.
    #[error("sqlite has no default file layer to build on: build it with one")]
    NoDefault,
    /// SQLite refused it.
    #[error("sqlite refused the lossy file layer with code {0}: this process cannot use it")]
    Refused(c_int),
}

/// Registers the layer under [`NAME`], beside the default one, and seeds its dice. Again: only seeds.
///
/// # Errors
/// When SQLite does not take it.
pub fn register(seed: u64) -> Result<(), RegisterError> {
    install(seed, false)
}

/// The same, and every database that names no layer goes through it from here on: nothing that opens one needs to know of crash runs.
///
/// # Errors
/// When SQLite does not take it.
pub fn register_as_default(seed: u64) -> Result<(), RegisterError> {
    install(seed, true)
}

fn install(seed: u64, as_default: bool) -> Result<(), RegisterError> {
    dice::seed(seed);
    let _one = REGISTERING.lock();
    if !REAL.load(Ordering::Acquire).is_null() {
        return if as_default { make_default() } else { Ok(()) };
    }
    // SAFETY: null asks for the default; finding initialises SQLite and is thread-safe.
    let real = unsafe { sqlite3_vfs_find(ptr::null()) };
    // SAFETY: a VFS that was found stays registered and unchanged for the whole process.
    let Some(default) = (unsafe { real.as_ref() }) else { return Err(RegisterError::NoDefault) };
    let extra = c_int::try_from(size_of::<Handle>()).unwrap_or(0);
    let ours = sqlite3_vfs {
        szOsFile: default.szOsFile + extra,
        pNext: ptr::null_mut(),
        zName: C_NAME.as_ptr(),
        xOpen: Some(open),
        xDelete: Some(delete),
        xAccess: Some(access),
        ..*default
    };
    REAL.store(real, Ordering::Release);
    // SAFETY: a registered VFS must live for ever: it is leaked on purpose.
    match unsafe { sqlite3_vfs_register(Box::leak(Box::new(ours)), c_int::from(as_default)) } {
        SQLITE_OK => Ok(()),
        code => {
            REAL.store(ptr::null_mut(), Ordering::Release);
            Err(RegisterError::Refused(code))
        }
    }
}

/// Registering a VFS that is registered only changes which one is the default.
fn make_default() -> Result<(), RegisterError> {
    // SAFETY: ours was registered under this name, lives for ever, and SQLite's list of them has its own lock.
    let code = unsafe { sqlite3_vfs_register(sqlite3_vfs_find(C_NAME.as_ptr()), 1) };
    if code == SQLITE_OK { Ok(()) } else { Err(RegisterError::Refused(code)) }
}

fn default() -> *mut sqlite3_vfs {
    REAL.load(Ordering::Acquire)
}

unsafe extern "C" fn open(_: *mut sqlite3_vfs, name: sqlite3_filename, file: *mut sqlite3_file, flags: c_int, out: *mut c_int) -> c_int {
    let real = default();
    // SAFETY: SQLite hands an allocation of our `szOsFile`; the real handle fits behind ours, and the real VFS never moves.
    unsafe {
        (*file).pMethods = ptr::null();
        let Some(open) = (*real).xOpen else { return SQLITE_IOERR };
        let answer = open(real, name, behind(file), flags, out);
        if answer == SQLITE_OK {
            let durable = flags & DURABLE != 0 && !name.is_null();
            opened(file, durable.then(|| files::of(CStr::from_ptr(name))));
        }
        answer
    }
}

unsafe extern "C" fn delete(_: *mut sqlite3_vfs, name: *const c_char, sync_dir: c_int) -> c_int {
    let real = default();
    // SAFETY: SQLite hands a terminated path; the real VFS never moves.
    unsafe {
        let Some(delete) = (*real).xDelete else { return SQLITE_IOERR };
        let answer = delete(real, name, sync_dir);
        if answer == SQLITE_OK {
            files::deleted(CStr::from_ptr(name));
        }
        answer
    }
}

unsafe extern "C" fn access(_: *mut sqlite3_vfs, name: *const c_char, flags: c_int, out: *mut c_int) -> c_int {
    let real = default();
    // SAFETY: SQLite hands a terminated path and a place for the answer; the real VFS never moves.
    unsafe {
        let Some(access) = (*real).xAccess else { return SQLITE_IOERR };
        let answer = access(real, name, flags, out);
        // The default VFS takes an empty file for none: what is only in the overlay is there all the same.
        if answer == SQLITE_OK && flags == SQLITE_ACCESS_EXISTS && files::has_content(CStr::from_ptr(name)) {
            *out = 1;
        }
        answer
    }
}
