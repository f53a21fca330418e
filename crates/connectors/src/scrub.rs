//! Takes a secret out of whatever a remote sends back, in every form that a header or URL gives it.
//!
//! A remote may echo the request it got, in an error page or in its answer. Nothing leaves this crate unscrubbed.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use data_encoding::{HEXLOWER, HEXUPPER};
use serde_json::Value;
use zeroize::Zeroizing;

/// What stands where a secret stood.
pub(crate) const REDACTED: &str = "[redacted]";

/// Shorter forms would blot out ordinary words without hiding anything worth guessing.
const SHORTEST: usize = 4;

/// Every written form of one secret. Wiped when dropped.
#[derive(Default)]
pub(crate) struct Scrubber {
    needles: Vec<Zeroizing<String>>,
}

impl Scrubber {
    /// The forms of a secret; none for no secret.
    pub fn new(secret: Option<&[u8]>) -> Self {
        let Some(secret) = secret.filter(|s| s.len() >= SHORTEST) else { return Self::default() };
        let mut forms: Vec<String> = Vec::with_capacity(24);
        if let Ok(text) = std::str::from_utf8(secret) {
            forms.push(text.to_owned());
            let escaped = Value::from(text).to_string();
            forms.push(escaped.trim_matches('"').to_owned());
            forms.push(crate::http::encode::component(text));
            forms.push(lower_escapes(&crate::http::encode::component(text)));
        }
        forms.push(HEXLOWER.encode(secret));
        forms.push(HEXUPPER.encode(secret));
        forms.extend([STANDARD.encode(secret), URL_SAFE.encode(secret), STANDARD_NO_PAD.encode(secret)]);
        for shift in 0..3 {
            forms.push(inside_base64(secret, shift, &STANDARD_NO_PAD));
            forms.push(inside_base64(secret, shift, &URL_SAFE_NO_PAD));
        }
        forms.retain(|f| f.len() >= SHORTEST);
        // Longer forms first, so that no tail of one stays behind when a shorter one is cut out of it.
        forms.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        forms.dedup();
        Self { needles: forms.into_iter().map(Zeroizing::new).collect() }
    }

    /// The text without the secret.
    pub fn text(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for needle in &self.needles {
            if out.contains(needle.as_str()) {
                out = out.replace(needle.as_str(), REDACTED);
            }
        }
        out
    }

    /// Takes the secret out of every string and key of a value.
    pub fn value(&self, value: &mut Value) {
        if self.needles.is_empty() {
            return;
        }
        match value {
            Value::String(s) if self.holds(s) => *s = self.text(s),
            // A numeric secret may come back as a number.
            Value::Number(n) if self.holds(&n.to_string()) => *value = Value::from(REDACTED),
            Value::Array(items) => items.iter_mut().for_each(|v| self.value(v)),
            Value::Object(map) => {
                map.values_mut().for_each(|v| self.value(v));
                if map.keys().any(|k| self.holds(k)) {
                    *map = std::mem::take(map).into_iter().map(|(k, v)| (self.text(&k), v)).collect();
                }
            }
            _ => {}
        }
    }

    fn holds(&self, text: &str) -> bool {
        self.needles.iter().any(|n| text.contains(n.as_str()))
    }
}

/// What the secret looks like inside the base64 of a longer text (`user:secret`, `Bearer secret`), where it begins
/// `shift` bytes into a group: the characters that depend on nothing but the secret.
fn inside_base64(secret: &[u8], shift: usize, engine: &impl base64::Engine) -> String {
    let mut padded = Zeroizing::new(vec![0_u8; shift]);
    padded.extend_from_slice(secret);
    let text = engine.encode(padded.as_slice());
    let from = (shift * 8).div_ceil(6);
    let to = (padded.len() * 8) / 6;
    text.get(from..to).unwrap_or_default().to_owned()
}

/// `%2F` as `%2f`.
fn lower_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut hex_left = 0_u8;
    for c in text.chars() {
        out.push(if hex_left > 0 { c.to_ascii_lowercase() } else { c });
        hex_left = if c == '%' { 2 } else { hex_left.saturating_sub(1) };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "s3cr/et+Key?=Z9";

    #[test]
    fn every_form_is_taken_out() {
        let scrub = Scrubber::new(Some(SECRET.as_bytes()));
        let percent = crate::http::encode::component(SECRET);
        for form in [
            SECRET.to_owned(),
            STANDARD.encode(SECRET),
            URL_SAFE_NO_PAD.encode(SECRET),
            HEXLOWER.encode(SECRET.as_bytes()),
            HEXUPPER.encode(SECRET.as_bytes()),
            percent.clone(),
            lower_escapes(&percent),
        ] {
            let shown = scrub.text(&format!("you sent <{form}>, which is wrong"));
            assert_eq!(shown, format!("you sent <{REDACTED}>, which is wrong"), "{form}");
        }
    }

    #[test]
    fn base64_of_a_longer_text_gives_nothing_away() {
        let scrub = Scrubber::new(Some(SECRET.as_bytes()));
        for user in ["", "u", "us", "use", "user"] {
            for tail in ["", "x", "xy"] {
                let shown = scrub.text(&STANDARD.encode(format!("{user}:{SECRET}{tail}")));
                assert!(shown.contains(REDACTED), "{user} {tail}: {shown}");
            }
        }
    }

    #[test]
    fn values_are_scrubbed_to_the_leaves() {
        let scrub = Scrubber::new(Some(b"12345678"));
        let mut value = serde_json::json!({"a": ["x12345678y", {"k12345678": 1}], "n": 12_345_678, "other": 7});
        scrub.value(&mut value);
        assert_eq!(value, serde_json::json!({"a": ["x[redacted]y", {"k[redacted]": 1}], "n": REDACTED, "other": 7}));
    }

    #[test]
    fn no_secret_and_tiny_secrets_change_nothing() {
        for scrub in [Scrubber::new(None), Scrubber::new(Some(b"abc"))] {
            assert_eq!(scrub.text("abc abcd"), "abc abcd");
        }
    }

    proptest::proptest! {
        #[test]
        fn the_secret_never_survives(before in ".{0,12}", secret in "[!-~]{6,40}", after in ".{0,12}") {
            let scrub = Scrubber::new(Some(secret.as_bytes()));
            let shown = scrub.text(&format!("{before}{secret}{after}"));
            proptest::prop_assert!(!shown.contains(&secret) || REDACTED.contains(&secret));
        }
    }
}
