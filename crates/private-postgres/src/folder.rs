//! Folders: where a server may live, copies of a cluster, how much it takes.

use std::env;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use crate::account::Account;
use crate::error::StartError;

/// Servers' folders begin with it.
pub(crate) const PREFIX: &str = "tollgate-pg-";
/// The shortest limit of the path of a unix socket (macOS; Linux has 108).
const SOCKET_PATH: usize = 104;
/// What a server adds to the folder it is made in: its own folder with six random letters, and its socket.
const SOCKET_REST: usize = "/tollgate-pg-XXXXXX/socket/.s.PGSQL.65535".len() + 1;

/// The folder to make a server's folder in: the caller's, or the first for temporary files that will do.
pub(crate) fn base(wanted: Option<&Path>, account: &Account) -> Result<PathBuf, StartError> {
    if let Some(wanted) = wanted {
        return fit(wanted, account);
    }
    let system = env::temp_dir();
    let first = fit(&system, account);
    if first.is_ok() {
        return first;
    }
    ["/tmp", "/var/tmp"].iter().find_map(|other| fit(Path::new(other), account).ok()).map_or(first, Ok)
}

fn fit(folder: &Path, account: &Account) -> Result<PathBuf, StartError> {
    let fault = |why: String| StartError::Folder { path: folder.to_owned(), why };
    let real = fs::canonicalize(folder).map_err(|e| fault(e.to_string()))?;
    if !real.is_dir() {
        return Err(fault("is no folder".into()));
    }
    if real.as_os_str().as_bytes().len() + SOCKET_REST > SOCKET_PATH {
        return Err(fault(format!("the path of a unix socket in it would be longer than {SOCKET_PATH} bytes")));
    }
    if !account.reaches(&real).map_err(|e| fault(e.to_string()))? {
        return Err(fault(format!("the account that postgres runs as (uid {}) cannot enter it", account.uid)));
    }
    Ok(real)
}

/// Makes a folder that its owner alone can enter, and hands it over.
pub(crate) fn make_private(path: &Path, account: &Account) -> Result<(), StartError> {
    fs::DirBuilder::new().mode(0o700).create(path).map_err(StartError::io("making", path))?;
    account.give(path)
}

/// Copies a cluster's files for this account. The system shares their blocks where the file system can.
pub(crate) fn copy(from: &Path, to: &Path, account: &Account) -> Result<(), StartError> {
    make_private(to, account)?;
    for entry in fs::read_dir(from).map_err(StartError::io("reading", from))? {
        let entry = entry.map_err(StartError::io("reading", from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(StartError::io("reading", &source))?;
        if kind.is_dir() {
            copy(&source, &target, account)?;
        } else {
            fs::copy(&source, &target).map_err(StartError::io("copying", &source))?;
            account.give(&target)?;
        }
    }
    Ok(())
}

/// Every file below a folder with its size and time of change, sorted: whatever is damaged, missing or added shows.
pub(crate) fn listing(folder: &Path) -> io::Result<String> {
    let mut lines = Vec::new();
    walk(folder, &mut |path, meta| {
        let inside = path.strip_prefix(folder).unwrap_or(path);
        lines.push(format!("{} {} {} {}", inside.display(), meta.size(), meta.mtime(), meta.mtime_nsec()));
    })?;
    lines.sort();
    Ok(lines.join("\n"))
}

/// What the files below a folder take on the disk, in bytes; a file that vanishes meanwhile counts nothing.
pub(crate) fn disk_usage(folder: &Path) -> io::Result<u64> {
    let mut blocks = 0;
    walk(folder, &mut |_, meta| blocks += meta.blocks())?;
    Ok(blocks * 512)
}

fn walk(folder: &Path, file: &mut impl FnMut(&Path, &fs::Metadata)) -> io::Result<()> {
    let gone = |e: &io::Error| e.kind() == io::ErrorKind::NotFound;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_dir() => match walk(&path, file) {
                Err(e) if !gone(&e) => return Err(e),
                _ => {}
            },
            Ok(meta) => file(&path, &meta),
            Err(e) if gone(&e) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
