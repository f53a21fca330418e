//! Values that go into a statement, whatever the engine. Knows encodings, no statements.

use rusqlite::types::{ToSqlOutput, ValueRef};

/// One value of a statement.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Value {
    /// A number, an instant or a state.
    Int(i64),
    /// Yes or no.
    Bool(bool),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
    /// An id.
    Id([u8; 16]),
    /// A digest.
    Digest([u8; 32]),
    /// Nothing.
    Null,
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Int(n) => ValueRef::Integer(*n),
            Self::Bool(b) => ValueRef::Integer(i64::from(*b)),
            Self::Text(t) => ValueRef::Text(t.as_bytes()),
            Self::Blob(b) => ValueRef::Blob(b),
            Self::Id(b) => ValueRef::Blob(b),
            Self::Digest(b) => ValueRef::Blob(b),
            Self::Null => ValueRef::Null,
        }))
    }
}

macro_rules! from {
    ($($from:ty => |$v:ident| $to:expr),* $(,)?) => {
        $(impl From<$from> for Value {
            fn from($v: $from) -> Self {
                $to
            }
        })*
    };
}

from! {
    i64 => |v| Self::Int(v),
    u32 => |v| Self::Int(i64::from(v)),
    bool => |v| Self::Bool(v),
    &str => |v| Self::Text(v.to_owned()),
    String => |v| Self::Text(v),
    &String => |v| Self::Text(v.clone()),
    Vec<u8> => |v| Self::Blob(v),
    &Vec<u8> => |v| Self::Blob(v.clone()),
    [u8; 16] => |v| Self::Id(v),
    &[u8; 16] => |v| Self::Id(*v),
    [u8; 32] => |v| Self::Digest(v),
    tollgate_core::hash::Digest => |v| Self::Digest(v.0),
    tollgate_core::time::Timestamp => |v| Self::Int(v.as_micros()),
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(v: Option<T>) -> Self {
        v.map_or(Self::Null, Into::into)
    }
}

/// The values of a statement, in the order of their numbers.
macro_rules! values {
    ($($v:expr),* $(,)?) => { Vec::from([$($crate::value::Value::from($v)),*]) };
}
pub(crate) use values;
