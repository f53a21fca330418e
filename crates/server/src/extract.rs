//! Extractors with our own refusals: path segments, ids, queries, bodies. Knows no routes.

use std::str::FromStr;

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use http::request::Parts;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde_json::Value;
use tollgate_core::event::EVENT_TYPE_MAX;
use tollgate_core::id::IdError;
use tollgate_core::route::check_glob;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, PartialSchema};

use crate::body::{essence, read_body, unsupported};
use crate::deps::App;
use crate::error::{ApiError, Code};
use crate::words::reworded;

/// One segment of the path, as text.
pub(crate) struct Segment(pub String);

impl FromRequestParts<App> for Segment {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let bad = |_| ApiError::invalid("the path is not UTF-8 when its percent-encoding is undone");
        let Path(text) = Path::<String>::from_request_parts(parts, app).await.map_err(bad)?;
        Ok(Self(text))
    }
}

/// An id in the path.
pub(crate) struct Id<T>(pub T);

impl<T: FromStr<Err = IdError> + Send> FromRequestParts<App> for Id<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let Segment(text) = Segment::from_request_parts(parts, app).await?;
        Ok(Self(text.parse()?))
    }
}

/// The query. Every field is optional text; handlers judge the values.
pub(crate) struct Params<T>(pub T);

impl<T: DeserializeOwned + IntoParams + Send> FromRequestParts<App> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        if parts.uri.query().is_some_and(|q| !q.is_empty()) {
            let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
                .map_err(|_| ApiError::invalid("the query string cannot be read: it is `name=value` pairs, percent-encoded"))?;
            check_query(&pairs, &T::into_params(|| None).into_iter().map(|p| p.name).collect::<Vec<_>>())?;
        }
        let Query(query) = Query::<T>::try_from_uri(&parts.uri)
            .map_err(|e| ApiError::invalid(format!("the query string cannot be used: {}", source_text(&e))))?;
        Ok(Self(query))
    }
}

fn source_text(e: &dyn std::error::Error) -> String {
    e.source().map_or_else(|| e.to_string(), ToString::to_string)
}

fn check_query(pairs: &[(String, String)], known: &[String]) -> Result<(), ApiError> {
    for (i, (name, value)) in pairs.iter().enumerate() {
        if !known.contains(name) {
            // A filter that is passed over in silence gives a wrong answer, so that half a name counts as a slip too.
            let half = || known.iter().map(String::as_str).find(|k| k.split('_').any(|part| part == name));
            if let Some(right) = nearest(name, known.iter().map(String::as_str)).or_else(half) {
                return Err(ApiError::invalid(format!(
                    "the query parameter `{}` is not known: did you mean `{right}`?",
                    name.escape_debug()
                )));
            }
            continue;
        }
        if pairs.iter().take(i).any(|(n, _)| n == name) {
            return Err(ApiError::invalid(format!("the query parameter `{name}` is given twice")));
        }
        if value.contains('\0') {
            return Err(ApiError::invalid(format!("the query parameter `{name}` holds a NUL")));
        }
    }
    Ok(())
}

/// A JSON body.
pub(crate) struct Json<T>(pub T);

impl<T: DeserializeOwned + PartialSchema> FromRequest<App> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let kind = essence(&parts.headers);
        if !kind.as_deref().is_some_and(is_json) {
            return Err(unsupported(kind.as_deref(), "application/json"));
        }
        let bytes = read_body(&parts.headers, body, app.options.max_body, app.options.body_timeout).await?;
        from_bytes(&bytes).map(Self)
    }
}

/// A JSON body that may be left out altogether.
pub(crate) struct MaybeJson<T>(pub T);

impl<T: DeserializeOwned + PartialSchema + Default> FromRequest<App> for MaybeJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let kind = essence(&parts.headers);
        let bytes = read_body(&parts.headers, body, app.options.max_body, app.options.body_timeout).await?;
        if bytes.trim_ascii().is_empty() || bytes.trim_ascii() == b"null" {
            return Ok(Self(T::default()));
        }
        if !kind.as_deref().is_some_and(is_json) {
            return Err(unsupported(kind.as_deref(), "application/json"));
        }
        from_bytes(&bytes).map(Self)
    }
}

fn is_json(essence: &str) -> bool {
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn from_bytes<T: DeserializeOwned + PartialSchema>(bytes: &[u8]) -> Result<T, ApiError> {
    let value: Value = serde_json::from_slice(bytes).map_err(|e| crate::intake::json_fault(&e, None))?;
    let Value::Object(map) = &value else {
        return Err(ApiError::invalid("the body is not a JSON object"));
    };
    if let RefOr::T(Schema::Object(object)) = T::schema() {
        for name in map.keys().filter(|k| !object.properties.contains_key(*k)) {
            if let Some(right) = nearest(name, object.properties.keys().map(String::as_str)) {
                return Err(ApiError::invalid(format!("the field `{}` is not known: did you mean `{right}`?", name.escape_debug())));
            }
        }
    }
    serde_path_to_error::deserialize(value).map_err(|e| {
        let path = e.path().to_string();
        ApiError::invalid(reworded(&e.inner().to_string(), Some(path.as_str()).filter(|p| *p != ".")))
    })
}

/// Integers as JSON knows them: `456597.0` is one too.
///
/// # Errors
/// When the value is not a whole number within ±2^53.
pub(crate) fn whole<'de, D: Deserializer<'de>>(d: D) -> Result<i64, D::Error> {
    let number = serde_json::Number::deserialize_number(d)?;
    let exact = number.as_i64().or_else(|| {
        let f = number.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 9_007_199_254_740_992.0)?;
        // Whole and within 2^53, so that its shortest text is the integer.
        format!("{f:.0}").parse().ok()
    });
    exact
        .filter(|n| n.unsigned_abs() <= tollgate_core::canon::INTEGER_MAX)
        .ok_or_else(|| D::Error::custom(format_args!("`{number}` is not a whole number within 2^53 either side of zero")))
}

/// Numbers with an expectation in plain words.
trait DeserializeNumber: Sized {
    fn deserialize_number<'de, D: Deserializer<'de>>(d: D) -> Result<Self, D::Error>;
}

impl DeserializeNumber for serde_json::Number {
    fn deserialize_number<'de, D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl Visitor<'_> for V {
            type Value = serde_json::Number;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a whole number")
            }
            fn visit_i64<E>(self, n: i64) -> Result<Self::Value, E> {
                Ok(n.into())
            }
            fn visit_u64<E>(self, n: u64) -> Result<Self::Value, E> {
                Ok(n.into())
            }
            fn visit_f64<E: serde::de::Error>(self, f: f64) -> Result<Self::Value, E> {
                serde_json::Number::from_f64(f).ok_or_else(|| E::custom("the number is not finite"))
            }
        }
        d.deserialize_any(V)
    }
}

/// The same for a field that may be left out or null.
pub(crate) fn maybe_whole<'de, D: Deserializer<'de>>(d: D) -> Result<Option<i64>, D::Error> {
    #[derive(serde::Deserialize)]
    struct W(#[serde(deserialize_with = "whole")] i64);
    Ok(<Option<W> as serde::Deserialize>::deserialize(d)?.map(|w| w.0))
}

/// Reads a word of a fixed set.
pub(crate) fn word<T>(name: &str, text: Option<&str>, parse: impl Fn(&str) -> Option<T>, all: &[&str]) -> Result<Option<T>, ApiError> {
    text.map(|t| parse(t).ok_or_else(|| ApiError::invalid(format!("`{name}`: `{}` is not one of {}", t.escape_debug(), all.join(", ")))))
        .transpose()
}

/// Judges a glob over event types.
pub(crate) fn glob(name: &str, text: Option<&str>) -> Result<(), ApiError> {
    let Some(text) = text else { return Ok(()) };
    if text.len() > EVENT_TYPE_MAX {
        return Err(ApiError::invalid(format!("`{name}` has {} bytes: at most {EVENT_TYPE_MAX} are taken", text.len())));
    }
    check_glob(text).map_err(|m| ApiError::invalid(format!("`{name}`: {m}")))
}

/// Reads an id of a query or body.
pub(crate) fn id<T: FromStr<Err = IdError>>(name: &str, text: Option<&str>) -> Result<Option<T>, ApiError> {
    text.map(|t| t.parse().map_err(|e: IdError| ApiError::new(Code::InvalidParameter, format!("`{name}`: {e}")))).transpose()
}

/// The known word that another looks like a misspelling of.
pub(crate) fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let given: String = given.to_lowercase().chars().filter(|c| c.is_alphanumeric()).take(64).collect();
    if given.is_empty() {
        return None;
    }
    let score = |word: &'a str| {
        let plain: String = word.chars().filter(|c| c.is_alphanumeric()).collect();
        (strsim::damerau_levenshtein(&given, &plain), word)
    };
    let (distance, word) = known.map(score).min_by_key(|(d, _)| *d)?;
    // One slip in a short word, two in a longer one.
    let allowed = match given.len() {
        0..=2 => 0,
        3..=5 => 1,
        _ => 2,
    };
    (distance <= allowed).then_some(word)
}
