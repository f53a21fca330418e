//! Authentication: added to the request when it is made, and kept nowhere.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use tollgate_core::ports::SecretLease;
use tollgate_core::spec::AuthSpec;
use zeroize::Zeroizing;

use super::render::is_reserved;

/// How a connector's calls authenticate, with the header's name already checked.
#[derive(Clone, Debug)]
pub(crate) struct Auth {
    spec: AuthSpec,
    header: Option<HeaderName>,
}

impl Auth {
    /// Checks the header's name.
    pub fn new(spec: &AuthSpec) -> Result<Self, String> {
        let header = match spec {
            AuthSpec::None => None,
            AuthSpec::Bearer { .. } => Some(AUTHORIZATION),
            AuthSpec::Basic { username, .. } if username.contains(|c: char| c == ':' || c.is_control()) => {
                return Err(format!("the user name `{}` holds a colon or a control character", username.escape_debug()));
            }
            AuthSpec::Basic { .. } => Some(AUTHORIZATION),
            AuthSpec::ApiKey { header, .. } => Some(key_header(header)?),
        };
        Ok(Self { spec: spec.clone(), header })
    }

    /// Name of the secret that calls lease.
    pub fn secret(&self) -> Option<&str> {
        self.spec.secret()
    }

    /// The header that carries the secret.
    pub const fn header(&self) -> Option<&HeaderName> {
        self.header.as_ref()
    }

    /// The header and its value for one call. Errors name the secret, never its value.
    pub fn apply(&self, lease: Option<&SecretLease>) -> Result<Option<(HeaderName, HeaderValue)>, String> {
        let (Some(header), Some(name)) = (&self.header, self.secret()) else { return Ok(None) };
        let Some(lease) = lease else { return Err(format!("the secret `{name}` was not leased for this call")) };
        let secret = lease.expose();
        if secret.is_empty() {
            return Err(format!("the secret `{name}` is empty: set it again"));
        }
        let value = Zeroizing::new(match &self.spec {
            AuthSpec::Bearer { .. } => [b"Bearer ", secret].concat(),
            AuthSpec::Basic { username, .. } => {
                let pair = Zeroizing::new([username.as_bytes(), b":", secret].concat());
                let encoded = Zeroizing::new(STANDARD.encode(pair.as_slice()));
                [b"Basic ", encoded.as_bytes()].concat()
            }
            AuthSpec::ApiKey { .. } | AuthSpec::None => secret.to_vec(),
        });
        let mut value = HeaderValue::from_bytes(&value)
            .map_err(|_| format!("the secret `{name}` holds a line break or another control character: set it again without"))?;
        value.set_sensitive(true);
        Ok(Some((header.clone(), value)))
    }
}

/// A header that can carry a key. What the client says for itself would be taken out again, and the call would go without its key.
fn key_header(text: &str) -> Result<HeaderName, String> {
    let name = HeaderName::from_bytes(text.as_bytes())
        .map_err(|_| format!("`{}` is not a header name: use letters, digits and dashes", text.escape_debug()))?;
    let for_keys = matches!(name.as_str(), "authorization" | "proxy-authorization" | "cookie");
    if is_reserved(&name) && !for_keys {
        return Err(format!("`{name}` cannot carry a key: it is the client's own; use the header that the remote documents"));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(text: &str) -> SecretLease {
        SecretLease::new(text.as_bytes().to_vec(), 1)
    }

    #[test]
    fn each_scheme_writes_its_header() {
        let secret = "pass".to_owned();
        for (spec, name, value) in [
            (AuthSpec::Bearer { secret: secret.clone() }, "authorization", "Bearer Open sesame"),
            (AuthSpec::Basic { username: "Aladdin".into(), secret: secret.clone() }, "authorization", "Basic QWxhZGRpbjpPcGVuIHNlc2FtZQ=="),
            (AuthSpec::ApiKey { secret: secret.clone(), header: "X-Key".into() }, "x-key", "Open sesame"),
        ] {
            let (header, got) = Auth::new(&spec).unwrap().apply(Some(&lease("Open sesame"))).unwrap().unwrap();
            assert_eq!((header.as_str(), got.as_bytes()), (name, value.as_bytes()));
            assert!(got.is_sensitive());
            assert!(!format!("{got:?}").contains("sesame"));
        }
        assert!(Auth::new(&AuthSpec::None).unwrap().apply(None).unwrap().is_none());
    }

    #[test]
    fn faults_name_the_secret_and_never_show_it() {
        let auth = Auth::new(&AuthSpec::Bearer { secret: "token".into() }).unwrap();
        for bad in [None, Some(lease("")), Some(lease("canary-7\n"))] {
            let message = auth.apply(bad.as_ref()).unwrap_err();
            assert!(message.contains("`token`") && !message.contains("canary"), "{message}");
        }
        assert!(Auth::new(&AuthSpec::ApiKey { secret: "s".into(), header: "a b".into() }).is_err());
        assert!(Auth::new(&AuthSpec::Basic { secret: "s".into(), username: "a:b".into() }).is_err());
        for (header, can) in [("Host", false), ("Content-Length", false), ("transfer-encoding", false), ("Cookie", true), ("X-Key", true)] {
            assert_eq!(Auth::new(&AuthSpec::ApiKey { secret: "s".into(), header: header.into() }).is_ok(), can, "{header}");
        }
    }
}
