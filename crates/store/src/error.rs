//! What the engines' errors mean to a caller of the ports.

use rusqlite::ErrorCode;
use tollgate_core::ports::StoreError;

/// Maps by what the caller must do. Exhaustive where a wrong answer would hurt: an unknown fault is damage, never "try again".
pub(crate) fn from_sqlite(e: &rusqlite::Error) -> StoreError {
    let text = e.to_string();
    match e.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Unavailable("the disk is full".to_owned()),
        Some(ErrorCode::ReadOnly) => StoreError::Unavailable("the disk or the store file is read-only".to_owned()),
        Some(ErrorCode::SystemIoFailure) => StoreError::Unavailable(format!("input/output failed: {text}")),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => {
            StoreError::Unavailable("another process locks the store".to_owned())
        }
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied) => {
            StoreError::Unavailable(format!("the store cannot be opened: {text}"))
        }
        Some(ErrorCode::OutOfMemory | ErrorCode::OperationInterrupted | ErrorCode::OperationAborted) => StoreError::Unavailable(text),
        Some(ErrorCode::ConstraintViolation) => StoreError::Conflict(text),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt(text),
        _ => StoreError::Corrupt(text),
    }
}

/// `?` on statements.
pub(crate) type Result<T> = std::result::Result<T, StoreError>;

/// Turns a statement's error into the port's.
pub(crate) trait OrStore<T> {
    fn or_store(self) -> Result<T>;
}

impl<T> OrStore<T> for rusqlite::Result<T> {
    fn or_store(self) -> Result<T> {
        self.map_err(|e| from_sqlite(&e))
    }
}

impl<T> OrStore<T> for std::result::Result<T, tokio_postgres::Error> {
    fn or_store(self) -> Result<T> {
        self.map_err(|e| from_postgres(&e))
    }
}

/// The same of Postgres. What the server did not say is a connection that broke.
pub(crate) fn from_postgres(e: &tokio_postgres::Error) -> StoreError {
    use tokio_postgres::error::SqlState as S;
    let Some(db) = e.as_db_error() else {
        return if e.to_string().contains("deserializ") { damaged("a column") } else { unavailable(e) };
    };
    let text = db.message().to_owned();
    let code = db.code();
    if *code == S::DISK_FULL {
        return StoreError::Unavailable("the database's disk is full".to_owned());
    }
    if *code == S::READ_ONLY_SQL_TRANSACTION {
        return StoreError::Unavailable("the database is read-only, perhaps a standby".to_owned());
    }
    if *code == S::INSUFFICIENT_PRIVILEGE {
        return StoreError::Unavailable(format!(
            "{text}: the login's role lacks a grant that this program needs; `tollgate db migrate` gives it"
        ));
    }
    if *code == S::UNDEFINED_FUNCTION {
        return StoreError::Unavailable(format!("{text}: the database lacks what this program needs; `tollgate db migrate` makes it"));
    }
    if code.code() == "TG001" {
        return StoreError::LeaseLost;
    }
    match code.code().get(..2) {
        // Connections, rollbacks that say "again", resources, operator's intervention, system errors.
        Some("08" | "40" | "53" | "55" | "57" | "58") => StoreError::Unavailable(text),
        Some("23") => StoreError::Conflict(text),
        _ => StoreError::Corrupt(format!("{text} ({})", code.code())),
    }
}

fn unavailable(e: &tokio_postgres::Error) -> StoreError {
    use std::error::Error as _;
    if let Some(why) = crate::postgres::refusal(e) {
        return StoreError::Unavailable(format!("the database is not talked to: {why}"));
    }
    let cause = e.source().map(|s| format!(": {s}")).unwrap_or_default();
    StoreError::Unavailable(format!("the connection to the database broke ({e}{cause})"))
}

/// A stored value that cannot be what was written: said so, nothing guessed.
pub(crate) fn damaged(what: &str) -> StoreError {
    StoreError::Corrupt(format!("{what} does not read back"))
}
