//! Requests that no route takes: an unknown path, or a known one with another method. Both answer like every other error.

use std::sync::OnceLock;

use axum::extract::MatchedPath;
use http::{Method, Uri};

use crate::error::{ApiError, Code};

use super::table::openapi;

/// Longest path that is quoted or compared.
const SHOWN: usize = 120;
/// How many slips still look like a misspelling.
const SLIPS: usize = 2;

/// A documented path and its methods, in upper case.
struct Known {
    path: String,
    methods: Vec<String>,
}

fn known() -> &'static [Known] {
    static KNOWN: OnceLock<Vec<Known>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let api = openapi();
        let paths = api.get("paths").and_then(|p| p.as_object()).into_iter().flatten();
        paths
            .map(|(path, item)| Known {
                path: path.clone(),
                methods: item.as_object().into_iter().flatten().map(|(m, _)| m.to_ascii_uppercase()).collect(),
            })
            .collect()
    })
}

/// The answer to a path that no route has.
pub(super) async fn no_route(method: Method, uri: Uri) -> ApiError {
    let shown: String = uri.path().chars().take(SHOWN).collect();
    let hint = nearest_path(&shown).map_or_else(|| "see `/openapi.json` for what there is".to_owned(), |p| format!("did you mean `{p}`?"));
    ApiError::not_found(format!("there is no route `{method} {}`: {hint}", shown.escape_debug()))
}

/// The answer to a method that a route does not take.
pub(super) async fn no_method(method: Method, path: MatchedPath) -> ApiError {
    let methods = known().iter().find(|k| k.path == path.as_str()).map(|k| k.methods.join(", ")).unwrap_or_default();
    ApiError::new(Code::MethodNotAllowed, format!("`{}` takes no {method}: it takes {methods}", path.as_str()))
}

/// The documented path that another looks like. Segments that stand for an id fit anything.
fn nearest_path(given: &str) -> Option<&'static str> {
    let with_prefix = format!("/v1{given}");
    let score = |k: &'static Known| {
        let plain = slips(given, &k.path);
        let unprefixed = slips(&with_prefix, &k.path);
        (plain.into_iter().chain(unprefixed).min(), k.path.as_str())
    };
    let best = known().iter().map(score).filter_map(|(s, p)| Some((s?, p))).min_by_key(|(s, _)| *s)?;
    (best.0 <= SLIPS).then_some(best.1)
}

/// How many characters differ; none when the paths are of different shape.
fn slips(given: &str, known: &str) -> Option<usize> {
    let given: Vec<&str> = given.split('/').filter(|s| !s.is_empty()).collect();
    let known: Vec<&str> = known.split('/').filter(|s| !s.is_empty()).collect();
    if given.len() != known.len() {
        return None;
    }
    let cost = |(g, k): (&&str, &&str)| if k.starts_with('{') { 0 } else { strsim::damerau_levenshtein(g, k) };
    Some(given.iter().zip(&known).map(cost).sum())
}
