//! Replacing a whole file, atomically and durably: a temporary file beside it, synced, renamed over it, folder synced.
//!
//! Up to the rename nothing has happened, and the outcome says so. From the rename on, whatever goes wrong is in doubt:
//! the new name may or may not survive a crash.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{self, AtFlags, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use tollgate_core::attempt::AttemptOutcome;

use super::folder::{self, words};
use super::path::TEMP_PREFIX;
use super::{did_not_happen, given_up};
use crate::commit::Commit;

const FILE_MODE: Mode = Mode::from_raw_mode(0o644);
/// Folders remembered as clean; beyond this the memory starts anew.
const REMEMBERED: usize = 4096;

/// Folders whose leftovers of crashed writers were removed since this process began.
#[derive(Default)]
pub(crate) struct Cleaned(Mutex<BTreeSet<(u64, u64)>>);

/// Writes the file. `Err` is the outcome.
pub(crate) fn write(folder: &OwnedFd, name: &str, content: &[u8], commit: &Commit, cleaned: &Cleaned) -> Result<(), AttemptOutcome> {
    cleaned.clean_once(folder);
    let mode = mode_of_existing(folder, name)?;
    // Created as closed as the file it replaces: whoever may not read that one must not open this one before it is filled.
    let (temp, file) = create_temp(folder, mode.unwrap_or(FILE_MODE) & FILE_MODE).map_err(|e| cannot(name, e))?;
    // A replaced file stays as readable, and as executable, as it was.
    let filled = mode.map_or(Ok(()), |mode| fs::fchmod(&file, mode)).and_then(|()| fill(&file, content));
    if let Err(errno) = filled {
        remove(folder, &temp);
        return Err(cannot(name, errno));
    }
    if !commit.begin() {
        remove(folder, &temp);
        return Err(given_up());
    }
    if let Err(errno) = fs::renameat(folder, temp.as_str(), folder, name) {
        remove(folder, &temp);
        return Err(in_doubt(name, "could not be put in its place", errno));
    }
    fs::fsync(folder).map_err(|errno| in_doubt(name, "is in its place, but the folder could not be synced", errno))
}

fn fill(file: &OwnedFd, mut content: &[u8]) -> Result<(), Errno> {
    while !content.is_empty() {
        match rustix::io::write(file, content) {
            Ok(0) => return Err(Errno::IO),
            Ok(n) => content = content.get(n..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    fs::fsync(file)
}

/// A new file that this writer holds a lock on: a lock nobody holds is how leftovers are recognised.
fn create_temp(folder: &OwnedFd, mode: Mode) -> Result<(String, OwnedFd), Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    for _ in 0..16 {
        let mut random = [0_u8; 12];
        getrandom::fill(&mut random).map_err(|_| Errno::IO)?;
        let temp = format!("{TEMP_PREFIX}{}", data_encoding::HEXLOWER.encode(&random));
        let file = match fs::openat(folder, temp.as_str(), flags, mode) {
            Err(Errno::EXIST) => continue,
            opened => opened?,
        };
        // A cleaner may have taken the new file for a leftover before the lock was held: then it is begun again.
        if fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() && fs::fstat(&file)?.st_nlink > 0 {
            return Ok((temp, file));
        }
    }
    Err(Errno::AGAIN)
}

fn remove(folder: &OwnedFd, temp: &str) {
    // A leftover is harmless and is removed by the next process that writes here.
    let _ = fs::unlinkat(folder, temp, AtFlags::empty());
}

/// The permissions of the file that will be replaced, if there is one. Only files are replaced.
fn mode_of_existing(folder: &OwnedFd, name: &str) -> Result<Option<Mode>, AttemptOutcome> {
    match fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
            Ok(Some(Mode::from_raw_mode(stat.st_mode) & (Mode::RWXU | Mode::RWXG | Mode::RWXO)))
        }
        Ok(_) => {
            let message = format!("`{}` exists and is a folder, a link or a device; only files are replaced", name.escape_debug());
            Err(did_not_happen(message, false))
        }
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(cannot(name, errno)),
    }
}

fn cannot(name: &str, errno: Errno) -> AttemptOutcome {
    did_not_happen(format!("`{}` cannot be written: {}", name.escape_debug(), words(errno)), folder::is_passing(errno))
}

fn in_doubt(name: &str, what: &str, errno: Errno) -> AttemptOutcome {
    AttemptOutcome::Ambiguous { message: format!("`{}` {what}: {}", name.escape_debug(), words(errno)), status: None }
}

impl Cleaned {
    /// Removes temporary files that no writer holds, once per folder and process. Never fails: it only tidies.
    fn clean_once(&self, folder: &OwnedFd) {
        let Ok(stat) = fs::fstat(folder) else { return };
        {
            let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.len() >= REMEMBERED {
                seen.clear();
            }
            #[allow(clippy::unnecessary_cast, clippy::cast_sign_loss, reason = "the fields' types differ between systems")]
            if !seen.insert((stat.st_dev as u64, stat.st_ino as u64)) {
                return;
            }
        }
        let Ok(entries) = fs::Dir::read_from(folder) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if name.to_bytes().starts_with(TEMP_PREFIX.as_bytes()) {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let Ok(file) = fs::openat(folder, name, flags, Mode::empty()) else { continue };
                if fs::flock(file.as_fd(), FlockOperation::NonBlockingLockExclusive).is_ok() {
                    let _ = fs::unlinkat(folder, name, AtFlags::empty());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_file_is_never_more_open_than_what_it_replaces() {
        let dir = tempfile::TempDir::new().unwrap();
        let folder = fs::open(dir.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        for mode in [0o600, 0o640, 0o644] {
            let (_, file) = create_temp(&folder, Mode::from_raw_mode(mode)).unwrap();
            assert_eq!(fs::fstat(&file).unwrap().st_mode & 0o777 & !mode, 0, "{mode:o}");
        }
    }
}
