//! The ledger: entries, exports, checkpoints. There is no way to write, change or delete one.

use axum::body::Body;
use axum::extract::State as AxumState;
use axum::response::IntoResponse as _;
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::value::RawValue;
use tollgate_core::id::EntryId;
use tollgate_core::ledger::Kind;
use tollgate_core::ports::{EntryFilter, ExportFilter, StoredEntry, VaultError, sealed_key_id};
use tollgate_core::scope::Scope;
use utoipa::IntoParams;

use crate::auth::{Caller, perm};
use crate::cursor::{Asked, List};
use crate::deps::{App, State};
use crate::docs::{ListErrors, ReadErrors};
use crate::error::ApiError;
use crate::extract::{Id, Params, id, word};
use crate::view::{CheckpointView, EntryView, raw_json};

use super::reply::{Reply, no_such, ok};

/// Which entries.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EntryQuery {
    /// Of this kind; `receipt` when left out, `all` for every kind.
    #[param(pattern = "^(all|intent|attempt|receipt|approval|resolution|evidence|change|erasure)$")]
    kind: Option<String>,
    /// About this action.
    #[param(pattern = "^act_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    action: Option<String>,
    /// How many, 1 to 100.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 20)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    #[param(min_length = 34, max_length = 34, pattern = "^[A-Za-z0-9_-]+$")]
    cursor: Option<String>,
}

/// List ledger entries. Needs `receipts:read`.
#[utoipa::path(get, path = "/v1/receipts", tag = "receipts", params(EntryQuery), security(("api_key" = [])),
    responses((status = 200, description = "Entries, newest first", body = List<EntryView>), ListErrors))]
pub(crate) async fn list_receipts(
    AxumState(app): AxumState<App>,
    caller: Caller<{ perm::RECEIPTS_READ }>,
    Params(q): Params<EntryQuery>,
) -> Reply {
    let scope = caller.scope();
    let words: Vec<&str> = Kind::ALL.iter().map(|k| k.as_str()).chain(["all"]).collect();
    let kind = match q.kind.as_deref() {
        Some("all") => None,
        given => Some(word("kind", given, Kind::parse, &words)?.unwrap_or(Kind::Receipt)),
    };
    let filter = EntryFilter { kind, action: id("action", q.action.as_deref())? };
    let filters = [q.kind.as_deref(), q.action.as_deref()];
    let asked = Asked::new("/v1/receipts", &scope, &filters, q.limit.as_deref(), q.cursor.as_deref())?;
    let rows = app.deps.lists.list_entries(scope, filter, asked.page()).await?;
    Ok(ok(&asked.list(rows, EntryView::from)))
}

/// A ledger entry of any kind, with the values that it commits to unless they were erased. Needs `receipts:read`.
#[utoipa::path(get, path = "/v1/receipts/{id}", tag = "receipts", params(("id" = String, Path, description = "An entry's id", pattern = "^rc_[0-7][0-9a-hjkmnp-tv-z]{25}$")), security(("api_key" = [])),
    responses((status = 200, description = "The entry", body = EntryView), ReadErrors))]
pub(crate) async fn get_receipt(AxumState(app): AxumState<App>, caller: Caller<{ perm::RECEIPTS_READ }>, Id(id): Id<EntryId>) -> Reply {
    let scope = caller.scope();
    let entry = app.deps.ledger.entry(scope, id).await?.ok_or_else(|| no_such("receipt", id))?;
    let opened = opened(&app, scope, &entry).await?;
    Ok(ok(&EntryView { opened, ..EntryView::from(entry) }))
}

/// The openings sealed beside an entry; none when it has none or their key was erased.
async fn opened(app: &State, scope: Scope, entry: &StoredEntry) -> Result<Option<Box<RawValue>>, ApiError> {
    let Some(sealed) = &entry.sealed else { return Ok(None) };
    let Some(key_id) = sealed_key_id(sealed) else { return Ok(None) };
    let key = app.deps.ledger.subject_key(scope, key_id).await?;
    match app.deps.sealer.open(scope, sealed, key.as_ref()) {
        Ok(bytes) => Ok(raw_json(&bytes)),
        Err(VaultError::Erased) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Which part of the ledger.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExportQuery {
    /// From this position.
    #[param(value_type = Option<u64>, minimum = 0)]
    from: Option<String>,
    /// To before this position.
    #[param(value_type = Option<u64>, minimum = 0)]
    to: Option<String>,
    /// Only entries about this action in full; the rest travels as hashes.
    #[param(pattern = "^act_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    action: Option<String>,
}

fn position(name: &str, text: Option<&str>) -> Result<Option<u64>, ApiError> {
    let bad = |t: &str| ApiError::invalid(format!("`{name}`: `{}` is not a position: a whole number from 0", t.escape_debug()));
    let read = |t: &str| t.parse::<u64>().ok().filter(|n| i64::try_from(*n).is_ok()).ok_or_else(|| bad(t));
    text.map(read).transpose()
}

/// Export the ledger as signed JSON lines, to be verified offline. Needs `receipts:read`.
#[utoipa::path(get, path = "/v1/receipts/export", tag = "receipts", params(ExportQuery), security(("api_key" = [])),
    responses((status = 200, description = "JSON lines", body = String, content_type = "application/x-ndjson"), ReadErrors))]
pub(crate) async fn export(
    AxumState(app): AxumState<App>,
    caller: Caller<{ perm::RECEIPTS_READ }>,
    Params(q): Params<ExportQuery>,
) -> Reply {
    let filter = ExportFilter {
        from: position("from", q.from.as_deref())?,
        to: position("to", q.to.as_deref())?,
        action: id("action", q.action.as_deref())?,
    };
    if let (Some(from), Some(to)) = (filter.from, filter.to)
        && from > to
    {
        return Err(ApiError::invalid(format!("`from` ({from}) lies behind `to` ({to})")));
    }
    let lines = app.deps.desk.export(&caller.actor(), filter).await?;
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::from(lines)).into_response())
}

/// The newest signed checkpoint and the key that verifies it. Needs `receipts:read`.
#[utoipa::path(get, path = "/v1/checkpoint", tag = "receipts", security(("api_key" = [])),
    responses((status = 200, description = "The checkpoint", body = CheckpointView), ListErrors))]
pub(crate) async fn checkpoint(AxumState(app): AxumState<App>, caller: Caller<{ perm::RECEIPTS_READ }>) -> Reply {
    let signed = app.deps.desk.checkpoint(&caller.actor()).await?;
    let checkpoint = signed.as_deref().and_then(|text| raw_json(text.as_bytes()));
    Ok(ok(&CheckpointView { object: "checkpoint", checkpoint, public_key: app.deps.desk.public_key() }))
}
