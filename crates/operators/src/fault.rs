//! What is wrong with an operator, and where.

use std::fmt;

use tollgate_expr::CompileError;

/// A fault of one operator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OperatorFault {
    /// The operator.
    pub operator: String,
    /// Where, such as `propose[0].args/issue`.
    pub place: String,
    /// Line inside the expression or template, from 1.
    pub line: u32,
    /// Column inside the line, from 1.
    pub column: u32,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for OperatorFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "operator `{}`, {}: {}", self.operator, self.place, self.message)
    }
}

impl OperatorFault {
    pub(crate) fn new(operator: &str, place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { operator: operator.to_owned(), place: place.into(), line: 1, column: 1, message: message.into() }
    }

    pub(crate) fn from_compile(operator: &str, place: &str, e: CompileError) -> Self {
        let place = format!("{place}{}", e.pointer);
        Self { operator: operator.to_owned(), place, line: e.line, column: e.column, message: e.message }
    }
}
