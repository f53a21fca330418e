//! Exit codes: documented, stable, one meaning each.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// It did what was asked.
    Done,
    /// It failed: the message says why.
    Failed,
    /// The command line was wrong (clap's own code).
    Usage,
    /// The project has faults.
    Faults,
    /// Policy or a person refused the action.
    Refused,
    /// A receipt or export did not verify.
    NotVerified,
    /// No server answers, or another process has the data folder.
    Unreachable,
    /// Stopped by Ctrl-C.
    Interrupted,
}

impl Exit {
    /// The word that machines read.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Usage => "wrong_command_line",
            Self::Faults => "project_has_faults",
            Self::Refused => "refused",
            Self::NotVerified => "not_verified",
            Self::Unreachable => "unreachable",
            Self::Interrupted => "interrupted",
        }
    }

    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Faults => 3,
            Self::Refused => 4,
            Self::NotVerified => 5,
            Self::Unreachable => 6,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(e: Exit) -> Self {
        Self::from(e.code())
    }
}

/// What `--help` says of them.
pub const HELP: &str = "\
Exit codes:
  0  done
  1  failed; the message says why
  2  wrong command line
  3  the project has faults
  4  refused by policy or by a person
  5  a receipt or an export does not verify
  6  no server answers, or it cannot at the moment, or another process has the data folder
  130  interrupted";
