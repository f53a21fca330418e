//! Why a command did not do what was asked, as people read it.

use std::fmt;

use crate::exit::Exit;

/// A message and the exit code that goes with it.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What was wrong, where, and what to do.
    pub message: String,
    /// The server's stable word for it, where a server said no.
    pub code: Option<String>,
}

impl Failure {
    /// A failure.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), code: None }
    }

    /// The same for a script: one line of JSON, on standard error.
    pub fn json(&self) -> String {
        let code = self.code.as_deref().unwrap_or(self.exit.word());
        serde_json::json!({"error": {"code": code, "message": self.message, "exit_code": self.exit.code()}}).to_string()
    }

    /// A failure that has no code of its own.
    pub fn plain(message: impl fmt::Display) -> Self {
        Self::new(Exit::Failed, message.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.code.as_ref().map_or(Ok(()), |code| write!(f, " ({code})"))
    }
}

impl std::error::Error for Failure {}

impl From<std::io::Error> for Failure {
    fn from(e: std::io::Error) -> Self {
        Self::plain(e)
    }
}

impl From<crate::node::NodeError> for Failure {
    fn from(e: crate::node::NodeError) -> Self {
        let exit = match &e {
            crate::node::NodeError::Open(tollgate_store::OpenError::Locked(_)) => Exit::Unreachable,
            crate::node::NodeError::Setup(setup) => exit_of(setup),
            _ => Exit::Failed,
        };
        Self::new(exit, e.to_string())
    }
}

impl From<tollgate_store::BackupError> for Failure {
    fn from(e: tollgate_store::BackupError) -> Self {
        use tollgate_store::{BackupError, OpenError};
        let exit = match &e {
            BackupError::Open(OpenError::Locked(_)) => Exit::Unreachable,
            _ => Exit::Failed,
        };
        Self::new(exit, e.to_string())
    }
}

impl From<tollgate_store::OpenError> for Failure {
    fn from(e: tollgate_store::OpenError) -> Self {
        tollgate_store::BackupError::from(e).into()
    }
}

impl From<tollgate_store::SetupError> for Failure {
    fn from(e: tollgate_store::SetupError) -> Self {
        Self::new(exit_of(&e), e.to_string())
    }
}

const fn exit_of(e: &tollgate_store::SetupError) -> Exit {
    use tollgate_store::SetupError;
    match e {
        SetupError::BadUrl(_) | SetupError::BadTls(_) | SetupError::BadRoots { .. } => Exit::Usage,
        SetupError::Unreachable { .. } => Exit::Unreachable,
        _ => Exit::Failed,
    }
}

impl From<tollgate_core::ports::StoreError> for Failure {
    fn from(e: tollgate_core::ports::StoreError) -> Self {
        Self::plain(e)
    }
}

impl From<tollgate_core::ports::DeskError> for Failure {
    fn from(e: tollgate_core::ports::DeskError) -> Self {
        Self::plain(e)
    }
}
