//! Why an export is not to be believed: what is wrong, and where.

use std::fmt;

use crate::id::EntryId;

/// What kind of thing is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FailureKind {
    /// The file cannot be read.
    Io,
    /// Not an export of this format, cut off, or with lines that have no business there.
    Format,
    /// Equal meaning, other bytes.
    NotCanonical,
    /// A signature, or the seal, does not fit.
    Signature,
    /// An entry is not what the log has at its position.
    Inclusion,
    /// Positions are missing, repeated or out of order.
    Completeness,
    /// The entries contradict each other.
    Structure,
    /// An opened value is not the committed one.
    Commitment,
    /// An artifact is not what its address says, or is missing.
    Artifact,
    /// A verdict is not what policy says of the request.
    Verdict,
    /// The log is not the one that the witness saw.
    Witness,
}

/// Why an export was rejected. Shows as one sentence that begins with the place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifyFailure {
    /// Line of the file, from 1.
    pub line: u64,
    /// Position in the log, where the line has one.
    pub position: Option<u64>,
    /// The entry, where it could be read.
    pub entry: Option<EntryId>,
    /// The field, where it is about one.
    pub field: Option<String>,
    /// What kind of thing is wrong.
    pub kind: FailureKind,
    /// What is wrong.
    pub message: String,
}

impl VerifyFailure {
    pub(super) fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { line: 0, position: None, entry: None, field: None, kind, message: message.into() }
    }

    pub(super) fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    pub(super) fn entry(mut self, entry: EntryId) -> Self {
        self.entry = Some(entry);
        self
    }

    pub(super) fn position(mut self, position: u64) -> Self {
        self.position = Some(position);
        self
    }

    pub(super) fn line(mut self, line: u64) -> Self {
        self.line = line;
        self
    }
}

impl fmt::Display for VerifyFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(position) = self.position {
            write!(f, ", position {position}")?;
        }
        if let Some(entry) = self.entry {
            write!(f, ", {entry}")?;
        }
        if let Some(field) = &self.field {
            write!(f, ", field `{field}`")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for VerifyFailure {}
