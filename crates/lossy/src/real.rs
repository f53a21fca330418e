//! Calls to the real file handle that lies behind each of ours.

use std::ffi::c_int;

use rusqlite::ffi::{SQLITE_IOERR, SQLITE_OK, sqlite3_file, sqlite3_io_methods};

/// A handle of the real VFS, opened and not yet closed.
#[derive(Clone, Copy)]
pub struct Real(*mut sqlite3_file);

/// What a method of the real file answered; a method it does not have is an input/output error.
macro_rules! call {
    ($real:expr, $method:ident $(, $arg:expr)*) => {{
        let file = $real.raw();
        // SAFETY: `Real` is made only of open handles, and the arguments are those that SQLite handed to our method of the same name,
        // or buffers of the length given beside them.
        unsafe { $real.methods().and_then(|m| m.$method).map_or(SQLITE_IOERR, |f| f(file $(, $arg)*)) }
    }};
}
pub(crate) use call;

impl Real {
    /// The handle at `file`.
    ///
    /// # Safety
    /// `file` must be a handle on which the real VFS's `xOpen` succeeded, not closed yet, and must stay open while this value is used.
    pub const unsafe fn new(file: *mut sqlite3_file) -> Self {
        Self(file)
    }

    pub const fn raw(self) -> *mut sqlite3_file {
        self.0
    }

    pub fn methods(self) -> Option<&'static sqlite3_io_methods> {
        // SAFETY: an open handle points to its VFS's method table, which is static for as long as the VFS is registered.
        unsafe { (*self.0).pMethods.as_ref() }
    }

    /// The length on the disk.
    pub fn size(self) -> Result<u64, c_int> {
        let mut size = 0_i64;
        match call!(self, xFileSize, &raw mut size) {
            SQLITE_OK => Ok(u64::try_from(size).unwrap_or(0)),
            code => Err(code),
        }
    }

    /// Writes to the disk's file.
    pub fn write(self, at: u64, bytes: &[u8]) -> Result<(), c_int> {
        let (Ok(at), Ok(len)) = (i64::try_from(at), c_int::try_from(bytes.len())) else { return Err(SQLITE_IOERR) };
        done(call!(self, xWrite, bytes.as_ptr().cast(), len, at))
    }

    /// Sets the length of the disk's file.
    pub fn truncate(self, to: u64) -> Result<(), c_int> {
        let Ok(to) = i64::try_from(to) else { return Err(SQLITE_IOERR) };
        done(call!(self, xTruncate, to))
    }
}

/// SQLite's code as a result.
pub const fn done(code: c_int) -> Result<(), c_int> {
    if code == SQLITE_OK { Ok(()) } else { Err(code) }
}
