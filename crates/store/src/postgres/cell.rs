//! Columns and values of Postgres. Ids are `uuid`, digests and bytes `bytea`, numbers of any width integers.

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::error::{OrStore, Result, damaged};
use crate::value::Value;

type Fault = Box<dyn std::error::Error + Sync + Send>;

/// The bytes of a column as they came.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> std::result::Result<Self, Fault> {
        Ok(Self(raw))
    }
    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Whether a column is null.
pub(crate) fn is_null(row: &tokio_postgres::Row, at: usize) -> Result<bool> {
    Ok(row.try_get::<_, Option<Raw<'_>>>(at).or_store()?.is_none())
}

/// A number of any width.
pub(crate) fn int(row: &tokio_postgres::Row, at: usize) -> Result<i64> {
    let Raw(b) = row.try_get(at).or_store()?;
    match *b {
        [a, b] => Ok(i64::from(i16::from_be_bytes([a, b]))),
        [a, b, c, d] => Ok(i64::from(i32::from_be_bytes([a, b, c, d]))),
        [a, b, c, d, e, f, g, h] => Ok(i64::from_be_bytes([a, b, c, d, e, f, g, h])),
        _ => Err(damaged("a number")),
    }
}

/// An id.
pub(crate) fn id(row: &tokio_postgres::Row, at: usize) -> Result<[u8; 16]> {
    let Raw(b) = row.try_get(at).or_store()?;
    b.try_into().map_err(|_| damaged("an id"))
}

/// A digest.
pub(crate) fn digest(row: &tokio_postgres::Row, at: usize) -> Result<[u8; 32]> {
    let Raw(b) = row.try_get(at).or_store()?;
    b.try_into().map_err(|_| damaged("a digest"))
}

impl ToSql for Value {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> std::result::Result<IsNull, Fault> {
        match self {
            Self::Null => return Ok(IsNull::Yes),
            Self::Int(n) => match *ty {
                Type::INT2 => out.put_i16(i16::try_from(*n)?),
                Type::INT4 => out.put_i32(i32::try_from(*n)?),
                Type::INT8 => out.put_i64(*n),
                _ => return Err(format!("a number does not go into a column of type {ty}").into()),
            },
            Self::Bool(b) if *ty == Type::BOOL => out.put_u8(u8::from(*b)),
            Self::Bool(_) => return Err(format!("a yes or no does not go into a column of type {ty}").into()),
            Self::Text(t) => out.put_slice(t.as_bytes()),
            Self::Blob(b) => out.put_slice(b),
            Self::Id(b) => out.put_slice(b),
            Self::Digest(b) => out.put_slice(b),
        }
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::INT2 | Type::INT4 | Type::INT8 | Type::BOOL | Type::TEXT | Type::VARCHAR | Type::BYTEA | Type::UUID)
    }

    to_sql_checked!();
}
