//! Errors for authors and for runs. No names of the library's types reach people.

/// Why a source does not compile, and where.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct CompileError {
    /// What is wrong, and what to do.
    pub message: String,
    /// Line inside the source, from 1.
    pub line: u32,
    /// Column inside the line, from 1.
    pub column: u32,
    /// JSON pointer to the template inside a JSON value; empty elsewhere.
    pub pointer: String,
}

/// Why an evaluation failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct EvalError {
    /// What was wrong.
    pub message: String,
    /// A member that is not there was read.
    pub(crate) missing: bool,
    /// JSON pointer to the template inside a JSON value; empty elsewhere.
    pub pointer: String,
}

impl EvalError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), missing: false, pointer: String::new() }
    }

    pub(crate) fn missing(name: &str) -> Self {
        Self { message: format!("there is no `{name}`; test with has() where it may be missing"), missing: true, pointer: String::new() }
    }

    /// Whether a member that is not there was read: callers may take it for null.
    pub const fn is_missing(&self) -> bool {
        self.missing
    }
}

/// A run-time error of the library in words for people. Values are not quoted: they may be anybody's.
pub(crate) fn from_cel(e: &cel::ExecutionError) -> EvalError {
    use cel::ExecutionError as E;
    match e {
        E::NoSuchKey(name) => EvalError::missing(name),
        E::UndeclaredReference(name) => EvalError::new(format!("`{name}` is not known")),
        E::DivisionByZero(_) | E::RemainderByZero(_) => EvalError::new("division by zero"),
        E::Overflow(op, ..) => EvalError::new(format!("the result of `{}` does not fit a 64-bit integer", op.trim_matches('_'))),
        E::IndexOutOfBounds(_) => EvalError::new("the index is outside the list"),
        E::ValuesNotComparable(..) => EvalError::new("these values cannot be compared"),
        E::DuplicateKey(_) => EvalError::new("a key stands twice in a map"),
        E::NoSuchOverload(o) => {
            EvalError::new(format!("`{}` does not take {}", o.function().trim_matches('_'), o.argument_types().join(" and ")))
        }
        E::UnsupportedBinaryOperator(op, a, b) => {
            EvalError::new(format!("`{}` does not take {} and {}", op.trim_matches('_'), a.type_of(), b.type_of()))
        }
        E::FunctionError { function, message } => EvalError::new(format!("`{function}` failed: {message}")),
        E::InvalidArgumentCount { expected, actual } => EvalError::new(format!("a function takes {expected} arguments, not {actual}")),
        E::UnexpectedType { got, want } => EvalError::new(format!("{want} is needed here, not {got}")),
        _ => EvalError::new("an operation does not fit the types of its values"),
    }
}
