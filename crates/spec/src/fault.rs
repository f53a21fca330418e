//! What is wrong with a project, and where. Must not know how faults are found.

use std::fmt;

/// A place in a text: line and column in characters, both from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Pos {
    /// Line, from 1; 0 when there is no single place to blame.
    pub line: u32,
    /// Column in characters, from 1; 0 when there is no single place to blame.
    pub column: u32,
}

impl Pos {
    /// The start of a file.
    pub(crate) const START: Self = Self { line: 1, column: 1 };

    pub(crate) fn new(line: usize, column: usize) -> Self {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self { line: number(line), column: number(column) }
    }
}

/// One fault. They are sorted by file, line and column.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Fault {
    /// Path inside the project, with `/`; the folder itself when the fault is that there is no project.
    pub file: String,
    /// Line, from 1; 0 when the fault lies in no single place of the file.
    pub line: u32,
    /// Column in characters, from 1; 0 when the fault lies in no single place of the file.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to do, such as the nearest name.
    pub help: Option<String>,
}

impl Fault {
    /// A fault at a place.
    pub fn at(file: impl Into<String>, at: Pos, message: impl Into<String>) -> Self {
        Self { file: file.into(), line: at.line, column: at.column, message: message.into(), help: None }
    }

    /// A fault of a whole file or folder.
    pub fn whole(file: impl Into<String>, message: impl Into<String>) -> Self {
        Self::at(file, Pos::default(), message)
    }

    /// The same with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            write!(f, "{}: {}", self.file, self.message)?;
        } else {
            write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
        }
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Fault {}

/// Two lists as one, sorted. Where `first` has a fault at a place, faults of `more` at that place are left out: several parts look
/// at the same field, and one report of it is enough. Faults that have no place are all kept.
pub fn merge(mut first: Vec<Fault>, more: Vec<Fault>) -> Vec<Fault> {
    let taken: std::collections::BTreeSet<(String, u32, u32)> =
        first.iter().filter(|f| f.line > 0).map(|f| (f.file.clone(), f.line, f.column)).collect();
    first.extend(more.into_iter().filter(|f| !taken.contains(&(f.file.clone(), f.line, f.column))));
    first.sort();
    first.dedup();
    first
}
