//! Secrets: values go in and never come out.

use axum::extract::State as AxumState;
use axum::response::IntoResponse as _;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::auth::{Caller, perm};
use crate::cursor::{Asked, List};
use crate::deps::App;
use crate::docs::{ChangeErrors, ListErrors, ReadErrors, WriteErrors};
use crate::error::ApiError;
use crate::extract::{Json, Params, Segment};
use crate::view::SecretView;

use super::replays::PageQuery;
use super::reply::{Reply, no_such, ok};

const NAME_MAX: usize = 64;
const VALUE_MAX: usize = 64 * 1024;

/// List the names of secrets. Needs `secrets:read`.
#[utoipa::path(get, path = "/v1/secrets", tag = "secrets", params(PageQuery), security(("api_key" = [])),
    responses((status = 200, description = "Secrets by name, without values", body = List<SecretView>), ListErrors))]
pub(crate) async fn list_secrets(
    AxumState(app): AxumState<App>,
    caller: Caller<{ perm::SECRETS_READ }>,
    Params(q): Params<PageQuery>,
) -> Reply {
    let asked = Asked::new("/v1/secrets", &caller.scope(), &[], q.limit.as_deref(), q.cursor.as_deref())?;
    let all = app.deps.desk.secrets(&caller.actor()).await?;
    Ok(ok(&asked.list(asked.of_all(all), SecretView::from)))
}

/// Whether a secret is set, and its version. Needs `secrets:read`.
#[utoipa::path(get, path = "/v1/secrets/{name}", tag = "secrets", params(("name" = String, Path, description = "Its name")), security(("api_key" = [])),
    responses((status = 200, description = "The secret, without its value", body = SecretView), ReadErrors))]
pub(crate) async fn get_secret(AxumState(app): AxumState<App>, caller: Caller<{ perm::SECRETS_READ }>, Segment(name): Segment) -> Reply {
    let all = app.deps.desk.secrets(&caller.actor()).await?;
    let found = all.into_iter().find(|s| s.name == name).ok_or_else(|| no_such("secret", name.escape_debug()))?;
    Ok(ok(&SecretView::from(found)))
}

/// A secret's new value.
#[derive(Deserialize, ToSchema)]
#[serde(expecting = "an object with `value`")]
pub(crate) struct SecretIn {
    /// The value. It is encrypted at once and never shown.
    #[schema(min_length = 1, max_length = 65536, write_only)]
    value: String,
}

/// Set a secret. Needs `secrets:write`.
#[utoipa::path(put, path = "/v1/secrets/{name}", tag = "secrets", request_body = SecretIn, security(("api_key" = [])),
    params(("name" = String, Path, description = "Its name", pattern = "^[a-z][a-z0-9_]*$", max_length = 64)),
    responses((status = 200, description = "Set", body = SecretView), WriteErrors))]
pub(crate) async fn put_secret(
    AxumState(app): AxumState<App>,
    caller: Caller<{ perm::SECRETS_WRITE }>,
    Segment(name): Segment,
    Json(body): Json<SecretIn>,
) -> Reply {
    check_name(&name)?;
    if body.value.is_empty() || body.value.len() > VALUE_MAX {
        return Err(ApiError::invalid(format!("`value` has 1 to {VALUE_MAX} bytes")));
    }
    let version = app.deps.desk.set_secret(&caller.actor(), name.clone(), body.value.into_bytes()).await?;
    Ok(ok(&SecretView { name, object: "secret", version, updated_at: None }))
}

fn check_name(name: &str) -> Result<(), ApiError> {
    let fits = name.len() <= NAME_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if fits {
        Ok(())
    } else {
        let shown: String = name.chars().take(60).collect();
        Err(ApiError::invalid(format!(
            "`{}` is not a secret's name: a lower-case letter, then letters, digits and `_`, at most {NAME_MAX} in all",
            shown.escape_debug()
        )))
    }
}

/// Remove a secret. Needs `secrets:write`.
#[utoipa::path(delete, path = "/v1/secrets/{name}", tag = "secrets", params(("name" = String, Path, description = "Its name")), security(("api_key" = [])),
    responses((status = 204, description = "Removed"), ChangeErrors))]
pub(crate) async fn delete_secret(
    AxumState(app): AxumState<App>,
    caller: Caller<{ perm::SECRETS_WRITE }>,
    Segment(name): Segment,
) -> Reply {
    if app.deps.desk.remove_secret(&caller.actor(), name.clone()).await? {
        Ok(StatusCode::NO_CONTENT.into_response())
    } else {
        Err(no_such("secret", name.escape_debug()))
    }
}
