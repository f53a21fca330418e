//! An HTTP tool compiled: everything about it that can be wrong is found here, before any call.

use std::collections::HashSet;

use ::url::{Origin, Url};
use http::Method;
use http::header::HeaderName;
use serde_json::Value;
use tollgate_core::scope::Mode;
use tollgate_core::spec::{ConnectorSpec, Effect, Grade, HttpRequestSpec, ToolSpec};
use tollgate_expr::{JsonTemplate, Template};

use super::status::StatusRules;
use super::url::UrlTemplate;
use super::{Auth, Clients, render};
use crate::fault::Fault;
use crate::schema::Schema;
use crate::template::{Placed, REQUEST_ROOTS, fault};

/// What an HTTP connector's tools share.
pub(crate) struct HttpConnector {
    pub auth: Auth,
    pub clients: Clients,
}

/// Where a tool leads in one mode.
pub(crate) struct Target {
    pub config: Value,
    pub fixed: Url,
    pub origin: Origin,
}

/// A compiled tool.
pub(crate) struct HttpTool {
    pub name: String,
    pub effect: Effect,
    pub method: Method,
    pub url: UrlTemplate,
    pub headers: Vec<(HeaderName, Placed<Template>)>,
    pub json: Option<Placed<JsonTemplate>>,
    pub idempotency_header: Option<HeaderName>,
    pub rules: StatusRules,
    pub output: Option<JsonTemplate>,
    pub output_schema: Option<Schema>,
    pub max_response: usize,
    live: Target,
    test: Option<Target>,
}

impl HttpTool {
    /// Where calls of this mode lead; none in test mode without a test transport.
    pub const fn target(&self, mode: Mode) -> Option<&Target> {
        match mode {
            Mode::Live => Some(&self.live),
            Mode::Test => self.test.as_ref(),
        }
    }

    /// Compiles a tool; all faults at once.
    pub fn compile(
        spec: &ToolSpec,
        http: &HttpRequestSpec,
        connector: &ConnectorSpec,
        shared: &HttpConnector,
        output_schema: Option<Schema>,
    ) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let method = keep(method(spec, http).map_err(|f| vec![f]), &mut faults);
        let url = keep(UrlTemplate::compile(&http.url, &http.query), &mut faults);
        let headers = keep(headers(http, &shared.auth), &mut faults);
        let json = keep(json_body(http).map_err(|f| vec![f]), &mut faults);
        let idempotency_header = keep(idempotency_header(spec, http, &shared.auth).map_err(|f| vec![f]), &mut faults);
        let rules = StatusRules::new(http).map_err(|all| all.into_iter().map(|m| Fault::new("request", m)).collect());
        let rules = keep(rules, &mut faults);
        let output = http.output.as_ref().map(|o| JsonTemplate::compile(o, &["body", "status", "headers"])).transpose();
        let output = keep(output.map_err(|e| vec![fault("request.output", &e)]), &mut faults);
        let targets = url.as_ref().map(|url| targets(url, connector, shared));
        let targets = targets.and_then(|t| keep(t, &mut faults));
        match (method, url, headers, json, idempotency_header, rules, output, targets) {
            (
                Some(method),
                Some(url),
                Some(headers),
                Some(json),
                Some(idempotency_header),
                Some(rules),
                Some(output),
                Some((live, test)),
            ) if faults.is_empty() => {
                let max_response = usize::try_from(http.max_response_bytes).unwrap_or(usize::MAX);
                let (name, effect) = (spec.name.clone(), spec.effect);
                Ok(Self {
                    name,
                    effect,
                    method,
                    url,
                    headers,
                    json,
                    idempotency_header,
                    rules,
                    output,
                    output_schema,
                    max_response,
                    live,
                    test,
                })
            }
            _ => Err(faults),
        }
    }
}

fn keep<T>(result: Result<T, Vec<Fault>>, faults: &mut Vec<Fault>) -> Option<T> {
    result.map_err(|mut new| faults.append(&mut new)).ok()
}

fn method(spec: &ToolSpec, http: &HttpRequestSpec) -> Result<Method, Fault> {
    let place = "request.method";
    let method = match http.method.as_str() {
        "GET" => Method::GET,
        "HEAD" => Method::HEAD,
        "POST" => Method::POST,
        "PUT" => Method::PUT,
        "PATCH" => Method::PATCH,
        "DELETE" => Method::DELETE,
        other => {
            return Err(Fault::new(
                place,
                format!("`{}` is not a method: use GET, HEAD, POST, PUT, PATCH or DELETE", other.escape_debug()),
            ));
        }
    };
    if matches!(method, Method::GET | Method::HEAD) && http.json.is_some() {
        return Err(Fault::new("request.json", format!("a {method} request has no body: use `query`, or another method")));
    }
    if matches!(method, Method::GET | Method::HEAD) && spec.effect == Effect::Write {
        tracing::debug!(tool = %spec.name, "a GET is treated as a write, as its spec says");
    }
    Ok(method)
}

fn headers(http: &HttpRequestSpec, auth: &Auth) -> Result<Vec<(HeaderName, Placed<Template>)>, Vec<Fault>> {
    let (mut out, mut faults, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    for (name, value) in &http.headers {
        let place = format!("request.headers.{name}");
        let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
            faults.push(Fault::new(place, format!("`{}` is not a header name: use letters, digits and dashes", name.escape_debug())));
            continue;
        };
        if render::is_reserved(&header) || auth.header() == Some(&header) {
            faults.push(Fault::new(
                place,
                format!("`{header}` cannot be written here: authentication belongs under `auth`, the rest is the client's"),
            ));
        } else if http.idempotency_header.as_deref().is_some_and(|h| h.eq_ignore_ascii_case(name)) {
            faults.push(Fault::new(place, format!("`{header}` is the `idempotency_header`, whose value is computed: remove it here")));
        } else if !seen.insert(header.clone()) {
            faults.push(Fault::new(place, format!("`{header}` is written twice, in different cases: keep one")));
        } else {
            match Placed::text(&place, value, REQUEST_ROOTS) {
                Ok(template) => out.push((header, template)),
                Err(fault) => faults.push(fault),
            }
        }
    }
    if faults.is_empty() { Ok(out) } else { Err(faults) }
}

fn json_body(http: &HttpRequestSpec) -> Result<Option<Placed<JsonTemplate>>, Fault> {
    http.json.as_ref().map(|json| Placed::json("request.json", json, REQUEST_ROOTS)).transpose()
}

fn idempotency_header(spec: &ToolSpec, http: &HttpRequestSpec, auth: &Auth) -> Result<Option<HeaderName>, Fault> {
    let place = "request.idempotency_header";
    let Some(name) = &http.idempotency_header else { return Ok(None) };
    let header = HeaderName::from_bytes(name.as_bytes());
    let header =
        header.map_err(|_| Fault::new(place, format!("`{}` is not a header name: use letters, digits and dashes", name.escape_debug())))?;
    if render::is_reserved(&header) || auth.header() == Some(&header) {
        return Err(Fault::new(
            place,
            format!("`{header}` cannot carry the key: use the header that the remote documents, such as `Idempotency-Key`"),
        ));
    }
    if spec.grade != Grade::Keyed {
        return Err(Fault::new(place, "only a tool of grade `keyed` sends a key: add `grade: keyed` and `key_ttl`, or remove the header"));
    }
    Ok(Some(header))
}

/// Where the tool leads, live and in test mode.
fn targets(url: &UrlTemplate, connector: &ConnectorSpec, shared: &HttpConnector) -> Result<(Target, Option<Target>), Vec<Fault>> {
    let target = |config: &serde_json::Map<String, Value>| {
        let config = Value::Object(config.clone());
        let fixed = url.fixed_part(&config)?;
        if shared.auth.secret().is_some() && fixed.scheme() == "http" && !shared.clients.is_named(&fixed) {
            let host = fixed.host_str().unwrap_or_default();
            let message = format!(
                "the connector's secret would travel unencrypted to `{host}`: use https, or name the host in `egress.allow_private` if the network is yours"
            );
            return Err(Fault::new("request.url", message));
        }
        Ok(Target { origin: fixed.origin(), config, fixed })
    };
    let live = target(&connector.config).map_err(|f| vec![f])?;
    let test = connector.test_config.as_ref().map(target).transpose().map_err(|mut f| {
        f.message = format!("with `test_config`: {}", f.message);
        vec![f]
    })?;
    Ok((live, test))
}
