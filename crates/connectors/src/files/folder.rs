//! Folders opened one name at a time, never through a link: no path can leave the root, whoever moves things meanwhile.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{self, Mode, OFlags};
use rustix::io::Errno;

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o755);

/// What stopped a walk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Stopped {
    /// The errno.
    pub errno: Errno,
    /// What it means here.
    pub message: String,
}

/// Opens the folder that holds the file, creating missing folders if `create` says so.
pub(crate) fn open(root: &Path, folders: &[&str], create: bool) -> Result<OwnedFd, Stopped> {
    let at_root = |errno| Stopped { errno, message: format!("the connector's root cannot be opened: {}", words(errno)) };
    let mut here = match fs::open(root, FOLDER, Mode::empty()) {
        Err(Errno::NOENT) if create => {
            create_root(root).map_err(at_root)?;
            fs::open(root, FOLDER, Mode::empty()).map_err(at_root)?
        }
        opened => opened.map_err(at_root)?,
    };
    for name in folders {
        here = step(&here, name, create).map_err(|errno| Stopped { errno, message: why(name, errno) })?;
    }
    Ok(here)
}

/// Creates the root and whatever is missing above it, each name synced in the folder that holds it.
fn create_root(root: &Path) -> Result<(), Errno> {
    let above = root.ancestors().skip(1).map(|p| if p.as_os_str().is_empty() { Path::new(".") } else { p });
    let missing = above.clone().take_while(|p| !p.exists()).count();
    std::fs::create_dir_all(root).map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))?;
    for holder in above.take(missing + 1) {
        fs::fsync(fs::open(holder, FOLDER, Mode::empty())?)?;
    }
    Ok(())
}

fn step(here: &OwnedFd, name: &str, create: bool) -> Result<OwnedFd, Errno> {
    let enter = || fs::openat(here, name, FOLDER.union(OFlags::NOFOLLOW), Mode::empty());
    match enter() {
        Err(Errno::NOENT) if create => {
            match fs::mkdirat(here, name, FOLDER_MODE) {
                // The new name must survive a crash as surely as the file that goes below it.
                Ok(()) => fs::fsync(here)?,
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
            enter()
        }
        entered => entered,
    }
}

fn why(name: &str, errno: Errno) -> String {
    let name = name.escape_debug();
    match errno {
        Errno::LOOP | Errno::NOTDIR => format!("`{name}` on the path is a link or not a folder; links are not followed"),
        _ => format!("the folder `{name}` cannot be opened: {}", words(errno)),
    }
}

/// An errno for people.
pub(crate) fn words(errno: Errno) -> String {
    match errno {
        Errno::NOSPC => "the disk is full: free some space and try again".into(),
        Errno::DQUOT => "the disk quota is used up: free some space and try again".into(),
        Errno::ROFS => "the file system is read-only: mount it writable or choose another root".into(),
        Errno::ACCESS | Errno::PERM => "permission is denied to the account that the service runs as".into(),
        Errno::NOENT => "it does not exist".into(),
        Errno::LOOP => "it is a link; links are not followed".into(),
        Errno::MFILE | Errno::NFILE => "too many files are open".into(),
        other => std::io::Error::from(other).to_string().to_ascii_lowercase(),
    }
}

/// Whether the same operation may succeed later without anyone changing the set-up.
pub(crate) const fn is_passing(errno: Errno) -> bool {
    matches!(errno, Errno::NOSPC | Errno::DQUOT | Errno::MFILE | Errno::NFILE | Errno::INTR | Errno::AGAIN | Errno::IO | Errno::NOMEM)
}
