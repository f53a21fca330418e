//! Typed, prefixed identifiers. One macro registers every prefix; an id of another kind does not parse.
//!
//! Underneath each id is a UUIDv7 (time first, so that rows written together lie together); as text it is
//! `prefix_` and 26 characters of lower-case Crockford base32.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Length of the base32 part of an id.
const TEXT_LEN: usize = 26;

/// Why a text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text carries the prefix of another kind, or none.
    #[error("`{got}` is not {article} {kind} id: {kind} ids start with `{want}_`")]
    WrongPrefix {
        /// What was given.
        got: String,
        /// The prefix of the wanted kind.
        want: &'static str,
        /// The wanted kind in words.
        kind: &'static str,
        /// `a` or `an`.
        article: &'static str,
    },
    /// The prefix is right, the rest is not 26 characters of base32.
    #[error("`{got}` is not a valid id: after `{want}_` come 26 characters of lower-case base32 (0-9, a-z without i, l, o, u)")]
    Malformed {
        /// What was given.
        got: String,
        /// The prefix of the wanted kind.
        want: &'static str,
    },
}

/// Writes 16 bytes as 26 characters of lower-case Crockford base32.
pub fn encode_base32(bytes: &[u8; 16]) -> String {
    let n = u128::from_be_bytes(*bytes);
    (0..TEXT_LEN)
        .map(|i| {
            let shift = 5 * (TEXT_LEN - 1 - i);
            char::from(ALPHABET[((n >> shift) & 31) as usize])
        })
        .collect()
}

/// Reads what [`encode_base32`] wrote; anything else is `None`.
pub fn decode_base32(text: &str) -> Option<[u8; 16]> {
    if text.len() != TEXT_LEN {
        return None;
    }
    let mut n: u128 = 0;
    for (i, c) in text.bytes().enumerate() {
        let digit = ALPHABET.iter().position(|a| *a == c)? as u128;
        // 26 characters hold 130 bits: the first may only carry three.
        if i == 0 && digit > 7 {
            return None;
        }
        n = (n << 5) | digit;
    }
    Some(n.to_be_bytes())
}

/// A UUIDv7 from a time in milliseconds and ten random bytes.
pub fn uuid_v7(unix_ms: u64, random: [u8; 10]) -> [u8; 16] {
    *uuid::Builder::from_unix_timestamp_millis(unix_ms, &random).into_uuid().as_bytes()
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident, $prefix:literal, $article:literal, $kind:literal;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub struct $name([u8; 16]);

            impl $name {
                /// What ids of this kind start with, without the underscore.
                pub const PREFIX: &'static str = $prefix;

                /// From the stored form.
                pub const fn from_bytes(bytes: [u8; 16]) -> Self { Self(bytes) }

                /// The stored form.
                pub const fn as_bytes(&self) -> &[u8; 16] { &self.0 }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    write!(f, "{}_{}", $prefix, encode_base32(&self.0))
                }
            }

            impl fmt::Debug for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Display::fmt(self, f) }
            }

            impl FromStr for $name {
                type Err = IdError;
                fn from_str(text: &str) -> Result<Self, IdError> {
                    let rest = text.strip_prefix(concat!($prefix, "_")).ok_or_else(|| IdError::WrongPrefix {
                        got: clip(text), want: $prefix, kind: $kind, article: $article,
                    })?;
                    decode_base32(rest).map(Self).ok_or_else(|| IdError::Malformed { got: clip(text), want: $prefix })
                }
            }

            impl Serialize for $name {
                fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> { s.collect_str(self) }
            }

            impl<'de> Deserialize<'de> for $name {
                fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                    let text = String::deserialize(d)?;
                    text.parse().map_err(serde::de::Error::custom)
                }
            }
        )*

        /// Every registered prefix with the kind it stands for.
        pub const PREFIXES: &[(&str, &str)] = &[$(($prefix, $kind)),*];
    };
}

ids! {
    /// A stored event.
    EventId, "ev", "an", "event";
    /// A run: durable execution of a graph of steps.
    RunId, "run", "a", "run";
    /// A step of a run that is not an action (the reasoning step).
    StepId, "stp", "a", "step";
    /// A plan an operator proposed.
    PlanId, "pl", "a", "plan";
    /// One action of a plan.
    ActionId, "act", "an", "action";
    /// A ledger entry of any kind: intents, attempt results, receipts, and the rest.
    EntryId, "rc", "a", "receipt";
    /// An approval request.
    ApprovalId, "apr", "an", "approval";
    /// A replay of a range of events.
    ReplayId, "rpl", "a", "replay";
    /// A tenant.
    TenantId, "t", "a", "tenant";
    /// A reseller.
    ResellerId, "rs", "a", "reseller";
    /// An API key.
    KeyId, "key", "an", "API key";
    /// A stored secret.
    SecretId, "sec", "a", "secret";
    /// One HTTP request.
    RequestId, "req", "a", "request";
    /// A deployment of a bundle.
    DeploymentId, "dep", "a", "deployment";
    /// A worker session.
    SessionId, "ses", "a", "worker session";
    /// An installation of the service.
    InstallId, "ins", "an", "installation";
}

/// Long input is shortened before it is quoted in a message.
fn clip(text: &str) -> String {
    if text.chars().count() <= 60 { text.to_owned() } else { text.chars().take(57).chain("...".chars()).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text() {
        let id = EventId::from_bytes(uuid_v7(1_700_000_000_000, [7; 10]));
        let text = id.to_string();
        assert!(text.starts_with("ev_") && text.len() == 29, "{text}");
        assert_eq!(text.parse::<EventId>(), Ok(id));
    }

    #[test]
    fn an_id_of_another_kind_does_not_parse() {
        let text = RunId::from_bytes([9; 16]).to_string();
        let err = text.parse::<EventId>().unwrap_err();
        assert!(matches!(err, IdError::WrongPrefix { want: "ev", .. }), "{err}");
    }

    #[test]
    fn only_the_canonical_spelling_parses() {
        for bad in ["ev_", "ev_ZZZZZZZZZZZZZZZZZZZZZZZZZZ", "ev_8zzzzzzzzzzzzzzzzzzzzzzzzz", "ev_01", "", "ev"] {
            assert!(bad.parse::<EventId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn prefixes_are_unique() {
        let mut seen = std::collections::BTreeSet::new();
        assert!(PREFIXES.iter().all(|(p, _)| seen.insert(*p)));
    }
}
