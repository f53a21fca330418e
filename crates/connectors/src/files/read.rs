//! Reading a file below the root: regular files only, never through a link, never more than the cap.

use std::os::fd::OwnedFd;

use rustix::fs::{self, FileType, Mode, OFlags};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};
use tollgate_core::attempt::AttemptOutcome;
use tollgate_core::hash::Digest;

use super::folder::{self, words};
use super::{MAX_READ, did_not_happen};

/// Opens a regular file; `None` if there is none.
fn open(folder: &OwnedFd, name: &str) -> Result<Option<OwnedFd>, AttemptOutcome> {
    // Not blocking: a pipe of that name must not hold the call.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match fs::openat(folder, name, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(cannot(name, errno)),
    };
    let stat = fs::fstat(&file).map_err(|e| cannot(name, e))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(did_not_happen(format!("`{}` is not a file", name.escape_debug()), false));
    }
    Ok(Some(file))
}

/// The whole content; `None` if there is no file.
pub(crate) fn read(folder: &OwnedFd, name: &str) -> Result<Option<Vec<u8>>, AttemptOutcome> {
    let Some(file) = open(folder, name)? else { return Ok(None) };
    let mut content = Vec::new();
    each_block(&file, |block| {
        content.extend_from_slice(block);
        content.len() <= MAX_READ
    })
    .map_err(|e| cannot(name, e))?;
    if content.len() > MAX_READ {
        return Err(did_not_happen(format!("`{}` is longer than {MAX_READ} bytes", name.escape_debug()), false));
    }
    Ok(Some(content))
}

/// The content's digest, whatever its length; `None` if there is no file.
pub(crate) fn digest(folder: &OwnedFd, name: &str) -> Result<Option<Digest>, AttemptOutcome> {
    let Some(file) = open(folder, name)? else { return Ok(None) };
    let mut hash = Sha256::new();
    each_block(&file, |block| {
        hash.update(block);
        true
    })
    .map_err(|e| cannot(name, e))?;
    Ok(Some(Digest(hash.finalize().into())))
}

fn each_block(file: &OwnedFd, mut take: impl FnMut(&[u8]) -> bool) -> Result<(), Errno> {
    let mut block = vec![0_u8; 64 * 1024];
    loop {
        match rustix::io::read(file, block.as_mut_slice()) {
            Ok(0) => return Ok(()),
            Ok(n) => {
                if !take(block.get(..n).unwrap_or_default()) {
                    return Ok(());
                }
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

fn cannot(name: &str, errno: Errno) -> AttemptOutcome {
    did_not_happen(format!("`{}` cannot be read: {}", name.escape_debug(), words(errno)), folder::is_passing(errno))
}
