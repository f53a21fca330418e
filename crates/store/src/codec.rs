//! Stored forms of domain values. Knows encodings, no statements.

use tollgate_core::hash::Digest;
use tollgate_core::terms::Terms;
use tollgate_core::verdict::Principal;

use crate::error::{Result, damaged};

/// Reads a principal.
pub(crate) fn read_principal(text: &str) -> Result<Principal> {
    let (kind, name) = text.split_once(':').ok_or_else(|| damaged("a principal"))?;
    match kind {
        "operator" => Ok(Principal::Operator(name.to_owned())),
        "service_account" => Ok(Principal::ServiceAccount(name.to_owned())),
        "system" => Ok(Principal::System(name.to_owned())),
        _ => Err(damaged("a principal")),
    }
}

/// An unsigned number as the engines keep it.
pub(crate) fn int(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// A digest from raw bytes.
pub(crate) fn digest_of(bytes: &[u8]) -> Result<Digest> {
    bytes.try_into().map(Digest).map_err(|_| damaged("a digest"))
}

/// The terms that are kept with an action or a run.
pub(crate) fn terms(bytes: Option<Vec<u8>>) -> Result<Terms> {
    Terms::from_bytes(bytes.as_deref()).ok_or_else(|| damaged("the terms of a step"))
}
