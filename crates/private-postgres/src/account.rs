//! Whom the server runs as: ourselves, or an ordinary account when we are root, which Postgres refuses.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::StartError;

/// The account that owns the server's files and processes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    gid: u32,
    /// We are root and hand over.
    switch: bool,
}

impl Account {
    pub(crate) fn find() -> Result<Self, StartError> {
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        if !uid.is_root() {
            return Ok(Self { uid: uid.as_raw(), gid: gid.as_raw(), switch: false });
        }
        let accounts = fs::read_to_string("/etc/passwd").map_err(StartError::io("reading", Path::new("/etc/passwd")))?;
        let (uid, gid) = ["postgres", "nobody"].iter().find_map(|name| entry(&accounts, name)).ok_or(StartError::NoAccount)?;
        Ok(Self { uid, gid, switch: true })
    }

    /// A command that runs as this account.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = clean_command(program);
        if self.switch {
            command.uid(self.uid).gid(self.gid);
        }
        // Ours may be closed to it.
        command.current_dir("/");
        command
    }

    /// Hands a file or folder over.
    pub(crate) fn give(&self, path: &Path) -> Result<(), StartError> {
        if !self.switch {
            return Ok(());
        }
        chown(path, Some(self.uid), Some(self.gid)).map_err(StartError::io("handing over", path))
    }

    /// Whether it gets to what lies in this folder, as far as the mode bits tell.
    pub(crate) fn reaches(&self, folder: &Path) -> io::Result<bool> {
        let folder = fs::canonicalize(folder)?;
        for ancestor in folder.ancestors() {
            if !self.enters(&fs::metadata(ancestor)?) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn enters(&self, folder: &Metadata) -> bool {
        let bit = match () {
            () if folder.uid() == self.uid => 0o100,
            () if folder.gid() == self.gid => 0o010,
            () => 0o001,
        };
        !self.switch || folder.mode() & bit != 0
    }
}

/// A command that the caller's own Postgres settings do not reach, and that answers in plain English.
pub(crate) fn clean_command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"PG") {
            command.env_remove(name);
        }
    }
    command.env("LC_ALL", "C").env("TZ", "UTC").stdin(Stdio::null());
    command
}

/// uid and gid of an account in the text of `/etc/passwd`.
fn entry(accounts: &str, name: &str) -> Option<(u32, u32)> {
    let line = accounts.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'))?;
    let mut fields = line.split(':').skip(1);
    let (uid, gid) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    (uid != 0).then_some((uid, gid))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]
    use super::*;

    #[test]
    fn accounts_are_found_by_their_whole_name_and_root_is_none() {
        let text = "root:x:0:0::/root:/bin/sh\npostgresql:x:1:1::/:\npostgres:x:101:104:a,b:/var/lib:/bin/bash\n";
        assert_eq!(entry(text, "postgres"), Some((101, 104)));
        assert_eq!(entry(text, "nobody"), None);
        assert_eq!(entry(text, "root"), None);
    }
}
