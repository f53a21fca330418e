//! API keys: list, make, revoke. A key is shown once.

use axum::extract::State as AxumState;
use axum::response::IntoResponse as _;
use http::StatusCode;
use serde::Deserialize;
use tollgate_core::id::KeyId;
use utoipa::ToSchema;

use crate::auth::{Caller, KeyEntry, perm};
use crate::cursor::{Asked, List};
use crate::deps::App;
use crate::docs::{ChangeErrors, ListErrors, ReadErrors, WriteErrors};
use crate::error::{ApiError, Code};
use crate::extract::{Id, Json, Params, nearest};
use crate::view::{KeyView, NewKeyView};

use super::replays::PageQuery;
use super::reply::{Reply, json, no_such, ok};

/// List API keys of this tenant and mode, revoked ones too. Needs `keys:read`.
#[utoipa::path(get, path = "/v1/api_keys", tag = "keys", params(PageQuery), security(("api_key" = [])),
    responses((status = 200, description = "Keys, newest first", body = List<KeyView>), ListErrors))]
pub(crate) async fn list_keys(AxumState(app): AxumState<App>, caller: Caller<{ perm::KEYS_READ }>, Params(q): Params<PageQuery>) -> Reply {
    let scope = caller.scope();
    let asked = Asked::new("/v1/api_keys", &scope, &[], q.limit.as_deref(), q.cursor.as_deref())?;
    let mut all = app.deps.registry.api_keys().await?;
    all.retain(|k| k.scope == scope);
    all.sort_by_key(|k| std::cmp::Reverse(k.id));
    Ok(ok(&asked.list(asked.of_all(all), KeyView::from)))
}

/// An API key's record, never the key. Needs `keys:read`.
#[utoipa::path(get, path = "/v1/api_keys/{id}", tag = "keys", params(("id" = String, Path, description = "A key's id", pattern = "^key_[0-7][0-9a-hjkmnp-tv-z]{25}$")), security(("api_key" = [])),
    responses((status = 200, description = "The record", body = KeyView), ReadErrors))]
pub(crate) async fn get_key(AxumState(app): AxumState<App>, caller: Caller<{ perm::KEYS_READ }>, Id(id): Id<KeyId>) -> Reply {
    let all = app.deps.registry.api_keys().await?;
    let found = all.into_iter().find(|k| k.id == id && k.scope == caller.scope()).ok_or_else(|| no_such("API key", id))?;
    Ok(ok(&KeyView::from(found)))
}

/// What a key may do, in a word.
#[derive(ToSchema)]
#[schema(as = ApiKeyScope, pattern = "^(\\*|(events|runs|approvals|config|secrets|keys):(read|write)|actions:write|receipts:read)$")]
#[expect(dead_code, reason = "names the words for the description of the API")]
pub(crate) struct ScopeWord(String);

/// A new API key.
#[derive(Deserialize, ToSchema)]
#[serde(expecting = "an object")]
pub(crate) struct KeyIn {
    /// The service account's name, as receipts will show it.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    name: String,
    /// What it may do: scopes such as `events:write`, or `*`. No more than the key that makes it.
    #[schema(min_items = 1, max_items = 32, value_type = Vec<ScopeWord>)]
    scopes: Vec<String>,
}

impl KeyIn {
    fn check(&self, by: &KeyEntry) -> Result<(), ApiError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
        let starts_well = self.name.starts_with(|c: char| c.is_ascii_alphanumeric());
        if self.name.len() > 64 || !starts_well || !self.name.bytes().all(plain) {
            return Err(ApiError::invalid("`name` is 1 to 64 letters, digits, `_`, `.` and `-`, and starts with a letter or digit"));
        }
        if self.scopes.is_empty() || self.scopes.len() > 32 {
            return Err(ApiError::invalid("`scopes` holds 1 to 32 scopes, such as `events:write`"));
        }
        self.scopes.iter().try_for_each(|s| check_scope(s, by))
    }
}

/// A key makes no key that may do more than itself.
fn check_scope(scope: &str, by: &KeyEntry) -> Result<(), ApiError> {
    let allowed = if scope == "*" {
        by.scopes.iter().any(|s| s == "*")
    } else {
        let Some(place) = perm::WORDS.iter().position(|w| *w == scope) else {
            let hint = nearest(scope, perm::WORDS.iter().copied())
                .map_or_else(|| format!("`*` or one of {}", perm::WORDS.join(", ")), |w| format!("did you mean `{w}`?"));
            return Err(ApiError::invalid(format!("`scopes`: `{}` is not known: {hint}", scope.escape_debug())));
        };
        u8::try_from(place).is_ok_and(|p| by.may(p))
    };
    if allowed {
        Ok(())
    } else {
        Err(ApiError::new(Code::InsufficientScope, format!("this API key may not give away `{scope}`: it does not have it itself")))
    }
}

/// Policies know a service account by its name: a second key under the name of another one may do what that one may, whatever its
/// scopes. Only a key that may do everything gives such a name away.
async fn check_taken(app: &crate::deps::State, by: &KeyEntry, name: &str) -> Result<(), ApiError> {
    if by.name == name || by.scopes.iter().any(|s| s == "*") {
        return Ok(());
    }
    let all = app.deps.registry.api_keys().await?;
    if all.iter().any(|k| k.scope == by.scope && k.name == name) {
        let message =
            format!("`name`: the service account `{name}` has a key already, and only a key with the scope `*` makes another one for it");
        return Err(ApiError::new(Code::InsufficientScope, message));
    }
    Ok(())
}

/// Make an API key of this tenant and mode. Needs `keys:write`, and every scope that it gives; and `*` for a name that another key has.
#[utoipa::path(post, path = "/v1/api_keys", tag = "keys", request_body = KeyIn, security(("api_key" = [])),
    responses((status = 201, description = "The key, shown this once", body = NewKeyView), WriteErrors))]
pub(crate) async fn post_key(AxumState(app): AxumState<App>, caller: Caller<{ perm::KEYS_WRITE }>, Json(body): Json<KeyIn>) -> Reply {
    body.check(&caller.key)?;
    check_taken(&app, &caller.key, &body.name).await?;
    let issued = app.deps.desk.issue_key(&caller.actor(), body.name, body.scopes).await?;
    refresh(&app).await;
    Ok(json(StatusCode::CREATED, &NewKeyView { record: issued.record.into(), key: issued.text }))
}

/// Revoke an API key. Needs `keys:write`.
#[utoipa::path(delete, path = "/v1/api_keys/{id}", tag = "keys", params(("id" = String, Path, description = "A key's id", pattern = "^key_[0-7][0-9a-hjkmnp-tv-z]{25}$")), security(("api_key" = [])),
    responses((status = 204, description = "Revoked"), ChangeErrors))]
pub(crate) async fn delete_key(AxumState(app): AxumState<App>, caller: Caller<{ perm::KEYS_WRITE }>, Id(id): Id<KeyId>) -> Reply {
    if id == caller.key.id {
        return Err(ApiError::new(Code::StateConflict, "a key cannot revoke itself: revoke it with another one"));
    }
    if !app.deps.desk.revoke_key(&caller.actor(), id).await? {
        return Err(no_such("API key", id));
    }
    refresh(&app).await;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The change is durable; the table of this process follows at once, or within seconds when the store does not answer now.
async fn refresh(app: &crate::deps::State) {
    if let Err(e) = app.reload_keys().await {
        tracing::warn!(error = %e, "the table of API keys could not be read again");
    }
}
