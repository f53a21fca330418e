//! Signature schemes of webhooks. Works on raw bytes only: nothing here parses a body.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER_PERMISSIVE;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tollgate_core::ports::{SecretLease, WebhookError};
use tollgate_core::spec::{SignatureEncoding, WebhookScheme};
use tollgate_core::time::Timestamp;
use zeroize::Zeroizing;

/// Longest delivery id, in bytes.
const ID_MAX: usize = 255;

/// Reads a header by its lower-case name.
pub(crate) type Headers<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Verifies a body under a scheme. Returns the delivery id where the signature covers one in the headers.
pub(crate) fn verify(
    scheme: &WebhookScheme,
    headers: Headers<'_>,
    body: &[u8],
    secret: &SecretLease,
    now: Timestamp,
) -> Result<Option<String>, WebhookError> {
    match scheme {
        WebhookScheme::Github => github(headers, body, secret).map(|()| None),
        WebhookScheme::StandardWebhooks { tolerance } => standard(headers, body, secret, now, tolerance.0).map(Some),
        WebhookScheme::Hmac { signature_header, prefix, encoding, timestamp_header, tolerance, .. } => {
            let given = header(headers, signature_header)?;
            let given = given.strip_prefix(prefix.as_str()).ok_or_else(|| {
                WebhookError::MissingSignature(format!(
                    "the header `{}` does not begin with `{prefix}`",
                    signature_header.to_ascii_lowercase()
                ))
            })?;
            let given = decode(given, *encoding, signature_header)?;
            let Some(timestamp_header) = timestamp_header else { return check(key(secret)?, &[body], &given).map(|()| None) };
            let stamp = header(headers, timestamp_header)?;
            let at = seconds(&stamp, timestamp_header)?;
            check(key(secret)?, &[stamp.as_bytes(), b".", body], &given)?;
            fresh(at, now, tolerance.0).map(|()| None)
        }
    }
}

fn github(headers: Headers<'_>, body: &[u8], secret: &SecretLease) -> Result<(), WebhookError> {
    const HEADER: &str = "x-hub-signature-256";
    let given = header(headers, HEADER)?;
    let given = given
        .strip_prefix("sha256=")
        .ok_or_else(|| WebhookError::MissingSignature(format!("the header `{HEADER}` does not begin with `sha256=`")))?;
    check(key(secret)?, &[body], &decode(given, SignatureEncoding::Hex, HEADER)?)
}

fn standard(headers: Headers<'_>, body: &[u8], secret: &SecretLease, now: Timestamp, tolerance: Duration) -> Result<String, WebhookError> {
    let id = header(headers, "webhook-id")?;
    if id.len() > ID_MAX || id.contains(char::is_control) {
        return Err(WebhookError::MissingSignature(format!("the header `webhook-id` is longer than {ID_MAX} bytes or not plain text")));
    }
    let stamp = header(headers, "webhook-timestamp")?;
    let at = seconds(&stamp, "webhook-timestamp")?;
    let given = header(headers, "webhook-signature")?;
    let key = standard_key(secret)?;
    let parts = [id.as_bytes(), b".", stamp.as_bytes(), b".", body];
    // Several signatures stand side by side while a secret is rotated; other versions than `v1` are not ours to judge.
    let mut of_v1 = given.split(' ').filter_map(|s| s.strip_prefix("v1,")).peekable();
    if of_v1.peek().is_none() {
        return Err(WebhookError::MissingSignature("the header `webhook-signature` holds no `v1,` signature".into()));
    }
    let held = of_v1.any(|s| STANDARD.decode(s).is_ok_and(|given| check(key.clone(), &parts, &given).is_ok()));
    if !held {
        return Err(WebhookError::BadSignature);
    }
    fresh(at, now, tolerance)?;
    Ok(id)
}

/// `whsec_<base64>`; the prefix may be left out.
fn standard_key(secret: &SecretLease) -> Result<Hmac<Sha256>, WebhookError> {
    let bad =
        || WebhookError::BadBody("the webhook's secret is not written as `whsec_` and base64: set it again as the sender shows it".into());
    let text = std::str::from_utf8(secret.expose()).map_err(|_| bad())?;
    let bytes = Zeroizing::new(STANDARD.decode(text.strip_prefix("whsec_").unwrap_or(text)).map_err(|_| bad())?);
    keyed(&bytes)
}

fn key(secret: &SecretLease) -> Result<Hmac<Sha256>, WebhookError> {
    keyed(secret.expose())
}

fn keyed(bytes: &[u8]) -> Result<Hmac<Sha256>, WebhookError> {
    // Anyone can sign under an empty key.
    if bytes.is_empty() {
        return Err(WebhookError::BadBody("the webhook's secret is empty: set it again".into()));
    }
    Hmac::new_from_slice(bytes).map_err(|_| WebhookError::BadBody("the webhook's secret cannot be used as a key".into()))
}

/// In constant time.
fn check(mut mac: Hmac<Sha256>, parts: &[&[u8]], given: &[u8]) -> Result<(), WebhookError> {
    parts.iter().for_each(|part| mac.update(part));
    mac.verify_slice(given).map_err(|_| WebhookError::BadSignature)
}

fn header(headers: Headers<'_>, name: &str) -> Result<String, WebhookError> {
    let name = name.to_ascii_lowercase();
    let value = headers(&name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
    value.ok_or_else(|| WebhookError::MissingSignature(format!("the header `{name}` is missing")))
}

fn decode(text: &str, encoding: SignatureEncoding, header: &str) -> Result<Vec<u8>, WebhookError> {
    let (decoded, kind) = match encoding {
        SignatureEncoding::Hex => (HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok(), "hexadecimal"),
        SignatureEncoding::Base64 => (STANDARD.decode(text).ok(), "base64"),
    };
    decoded.ok_or_else(|| WebhookError::MissingSignature(format!("the header `{}` is not {kind}", header.to_ascii_lowercase())))
}

fn seconds(text: &str, header: &str) -> Result<i64, WebhookError> {
    let digits = (1..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let bad = || WebhookError::MissingSignature(format!("the header `{}` is not a time in Unix seconds", header.to_ascii_lowercase()));
    if digits { text.parse().map_err(|_| bad()) } else { Err(bad()) }
}

/// Both ways: a time ahead of ours would extend how long a delivery can be replayed.
fn fresh(at_s: i64, now: Timestamp, tolerance: Duration) -> Result<(), WebhookError> {
    let at = Timestamp::from_micros(at_s.saturating_mul(1_000_000));
    if at.since(now).max(now.since(at)) > tolerance {
        return Err(WebhookError::Stale { tolerance_s: tolerance.as_secs() });
    }
    Ok(())
}
