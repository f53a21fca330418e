//! One operation on files, off the async threads and under the call's deadline.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tollgate_core::attempt::AttemptOutcome;
use tollgate_core::hash::Digest;

use super::{Cleaned, did_not_happen, folder, given_up, path, read, write};
use crate::commit::Commit;

/// An operation, ready to perform.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Operation {
    /// Replace the whole file.
    Write { path: String, content: String },
    /// Return the content.
    Read { path: String },
    /// Tell whether the file has this content.
    Check { path: String, content: String },
}

impl Operation {
    /// From the rendered form.
    pub fn from_rendered(op: &str, path: &str, content: Option<&str>) -> Option<Self> {
        let path = path.to_owned();
        match (op, content) {
            ("write", Some(content)) => Some(Self::Write { path, content: content.to_owned() }),
            ("read", None) => Some(Self::Read { path }),
            ("check", Some(content)) => Some(Self::Check { path, content: content.to_owned() }),
            _ => None,
        }
    }

    /// Its name, as in specs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Write { .. } => "write",
            Self::Read { .. } => "read",
            Self::Check { .. } => "check",
        }
    }
}

/// Performs it, at most until the deadline.
pub(crate) async fn call(root: PathBuf, operation: Operation, left: Duration, cleaned: Arc<Cleaned>) -> AttemptOutcome {
    if left.is_zero() {
        return given_up();
    }
    let commit = Arc::new(Commit::within(left));
    let writes = matches!(operation, Operation::Write { .. });
    let work = tokio::task::spawn_blocking({
        let commit = commit.clone();
        move || perform(&root, &operation, &commit, &cleaned)
    });
    match tokio::time::timeout(left, work).await {
        Ok(Ok(outcome)) => outcome,
        // The task cannot be stopped from outside, but it asks before the rename.
        _ if !writes => did_not_happen("the file was not read within the deadline".into(), true),
        _ if commit.abandon() => given_up(),
        Ok(Err(_)) | Err(_) => {
            AttemptOutcome::Ambiguous { message: "the file was being put in its place when the deadline passed".into(), status: None }
        }
    }
}

pub(crate) fn perform(root: &std::path::Path, operation: &Operation, commit: &Commit, cleaned: &Cleaned) -> AttemptOutcome {
    let done = match operation {
        Operation::Write { path, content } => write_file(root, path, content, commit, cleaned),
        Operation::Read { path } => read_file(root, path),
        Operation::Check { path, content } => check_file(root, path, content),
    };
    done.map_or_else(|outcome| outcome, |output| AttemptOutcome::Applied { output, status: None })
}

fn write_file(root: &std::path::Path, path: &str, content: &str, commit: &Commit, cleaned: &Cleaned) -> Result<Value, AttemptOutcome> {
    let (folders, name) = path::split(path).map_err(|m| did_not_happen(m, false))?;
    let folder = folder::open(root, &folders, true).map_err(stopped)?;
    write::write(&folder, name, content.as_bytes(), commit, cleaned)?;
    Ok(json!({ "path": path, "bytes": content.len(), "sha256": Digest::of(content.as_bytes()).to_hex() }))
}

fn read_file(root: &std::path::Path, path: &str) -> Result<Value, AttemptOutcome> {
    let (folders, name) = path::split(path).map_err(|m| did_not_happen(m, false))?;
    let missing = || did_not_happen(format!("there is no file `{}`", path.escape_debug()), false);
    let folder = match folder::open(root, &folders, false) {
        Err(s) if s.errno == rustix::io::Errno::NOENT => return Err(missing()),
        opened => opened.map_err(stopped)?,
    };
    let bytes = read::read(&folder, name)?.ok_or_else(missing)?;
    let sha256 = Digest::of(&bytes).to_hex();
    let content = String::from_utf8(bytes).map_err(|_| did_not_happen(format!("`{}` is not UTF-8 text", path.escape_debug()), false))?;
    Ok(json!({ "path": path, "content": content, "sha256": sha256 }))
}

fn check_file(root: &std::path::Path, path: &str, content: &str) -> Result<Value, AttemptOutcome> {
    let (folders, name) = path::split(path).map_err(|m| did_not_happen(m, false))?;
    let found = match folder::open(root, &folders, false) {
        Err(s) if s.errno == rustix::io::Errno::NOENT => None,
        opened => read::digest(&opened.map_err(stopped)?, name)?,
    };
    let wanted = Digest::of(content.as_bytes());
    Ok(json!({ "exists": found.is_some(), "sha256": found.map(Digest::to_hex), "matches": found == Some(wanted) }))
}

fn stopped(stopped: folder::Stopped) -> AttemptOutcome {
    did_not_happen(stopped.message, folder::is_passing(stopped.errno))
}
