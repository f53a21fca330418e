//! The data folder: what is in it, who may read it, how it is written. Knows files, not what they mean.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tollgate_worker::Keeper;

/// Why the data folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the data folder `{path}`: {message}")]
pub struct HomeError {
    path: PathBuf,
    message: String,
}

/// A data folder, private to its owner.
#[derive(Clone, Debug)]
pub struct Home {
    dir: PathBuf,
}

impl Home {
    /// Makes the folder if it is not there.
    ///
    /// # Errors
    /// When it cannot be made, or others may read it.
    pub fn open(dir: &Path) -> Result<Self, HomeError> {
        let fail = |message: String| HomeError { path: dir.to_owned(), message };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|e| fail(e.to_string()))?;
        let meta = fs::metadata(dir).map_err(|e| fail(e.to_string()))?;
        if meta.permissions().mode() & 0o077 != 0 {
            return Err(fail(format!("others may read it: run `chmod 700 {}`", dir.display())));
        }
        Ok(Self { dir: dir.to_owned() })
    }

    /// A folder of keys, made private if it is not there. One that is there may be a mounted one of any mode: what must be secret in it is
    /// checked file by file.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn keys(dir: &Path) -> Result<Self, HomeError> {
        let fail = |e: io::Error| HomeError { path: dir.to_owned(), message: e.to_string() };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(fail)?;
        Ok(Self::there(dir))
    }

    /// A folder as it is.
    pub fn there(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// A file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Reads a file; none when there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.path(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Replaces a file whole, durably: a crash leaves the old one or the new one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let (path, temp) = (self.path(name), self.path(&format!("{name}.new")));
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&temp)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temp, &path)?;
        File::open(&self.dir)?.sync_all()
    }

    /// Makes a file, durably and whole; `false` when there is one already.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create(&self, name: &str, bytes: &[u8]) -> io::Result<bool> {
        let (path, temp) = (self.path(name), self.path(&format!("{name}.{}.new", std::process::id())));
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&temp)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        let linked = fs::hard_link(&temp, &path);
        fs::remove_file(&temp)?;
        match linked {
            Ok(()) => File::open(&self.dir)?.sync_all().map(|()| true),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Keeps other processes out of the folder for as long as the file lives. An embedded store holds the same lock.
    ///
    /// # Errors
    /// When another process has it.
    pub fn hold(&self) -> Result<File, HomeError> {
        let fail = |message: String| HomeError { path: self.dir.clone(), message };
        let open = File::options().write(true).create(true).truncate(false).mode(0o600).open(self.path("store.lock"));
        let file = open.map_err(|e| fail(e.to_string()))?;
        let busy = |_| fail("another process uses it: give each process a folder of its own with --data".to_owned());
        rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(busy)?;
        Ok(file)
    }

    /// Removes a file, if it is there.
    pub fn remove(&self, name: &str) {
        // What is gone already is removed.
        let _ = fs::remove_file(self.path(name));
    }
}

fn checkpoint_file(log: &str) -> String {
    let mode = log.rsplit('/').next().unwrap_or(log);
    format!("checkpoint-{mode}.json")
}

impl Keeper for Home {
    fn keep(&self, log: &str, signed: &str) -> io::Result<()> {
        self.replace(&checkpoint_file(log), signed.as_bytes())
    }

    fn kept(&self, log: &str) -> io::Result<Option<String>> {
        let bytes = self.read(&checkpoint_file(log))?;
        bytes.map(|b| String::from_utf8(b).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))).transpose()
    }
}
