//! What is wrong with a policy file, and where. Must not know how faults are found.

use std::fmt;

/// One fault in one place of a policy file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct PolicyFault {
    /// Path of the file inside the project.
    pub path: String,
    /// Line, from 1; 0 when the fault has no place in the file.
    pub line: u32,
    /// Column in characters, from 1; 0 when the fault has no place in the file.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to do, such as the nearest action's name.
    pub help: Option<String>,
}

impl PolicyFault {
    /// A fault at a byte offset of a file's text.
    pub(crate) fn at(path: &str, text: &str, offset: usize, message: impl Into<String>, help: Option<String>) -> Self {
        let (line, column) = position(text, offset);
        Self { path: path.to_owned(), line, column, message: message.into(), help }
    }

    /// A fault that no single place is to blame for.
    pub(crate) fn whole(path: &str, message: impl Into<String>, help: Option<String>) -> Self {
        Self { path: path.to_owned(), line: 0, column: 0, message: message.into(), help }
    }
}

impl fmt::Display for PolicyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            write!(f, "{}: {}", self.path, self.message)?;
        } else {
            write!(f, "{}:{}:{}: {}", self.path, self.line, self.column, self.message)?;
        }
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for PolicyFault {}

/// Line and column, both from 1, of a byte offset.
pub(crate) fn position(text: &str, offset: usize) -> (u32, u32) {
    let mut end = offset.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let before = text.get(..end).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::position;

    #[test]
    fn positions_count_lines_and_characters() {
        let text = "a\nbé c";
        assert_eq!(position(text, 0), (1, 1));
        assert_eq!(position(text, 2), (2, 1));
        assert_eq!(position(text, 6), (2, 4));
        assert_eq!(position(text, 4), (2, 2), "inside a character counts as its start");
        assert_eq!(position(text, 999), (2, 5));
    }
}
