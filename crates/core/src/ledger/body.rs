//! The body of an entry, whichever kind it is of. Must not know the frame round it.

use serde::Serialize;
use serde_json::Value;

use super::kinds::{ActionRef, Approval, AttemptEnd, Change, Committed, Decided, Erasure, Evidence, Intent, Kind, Receipt, Resolution};

/// What an entry says, by kind.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(untagged)]
pub enum Body {
    /// Written before an outside call.
    Intent(Box<Intent>),
    /// How a call ended.
    Attempt(Box<AttemptEnd>),
    /// How an action ended.
    Receipt(Box<Receipt>),
    /// A step of an approval request.
    Approval(Box<Approval>),
    /// A person's word on an `unknown`.
    Resolution(Box<Resolution>),
    /// A late answer.
    Evidence(Box<Evidence>),
    /// A change.
    Change(Box<Change>),
    /// An erasure.
    Erasure(Box<Erasure>),
}

impl Body {
    /// Its kind.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Intent(_) => Kind::Intent,
            Self::Attempt(_) => Kind::Attempt,
            Self::Receipt(_) => Kind::Receipt,
            Self::Approval(_) => Kind::Approval,
            Self::Resolution(_) => Kind::Resolution,
            Self::Evidence(_) => Kind::Evidence,
            Self::Change(_) => Kind::Change,
            Self::Erasure(_) => Kind::Erasure,
        }
    }

    /// The action it is about, where it is about one.
    pub fn of(&self) -> Option<&ActionRef> {
        match self {
            Self::Intent(b) => Some(&b.of),
            Self::Attempt(b) => Some(&b.of),
            Self::Receipt(b) => Some(&b.of),
            Self::Approval(b) => Some(&b.of),
            Self::Resolution(b) => Some(&b.of),
            Self::Evidence(b) => Some(&b.of),
            Self::Change(_) | Self::Erasure(_) => None,
        }
    }

    /// What policy said, where the entry records it.
    pub fn decision(&self) -> Option<&Decided> {
        match self {
            Self::Intent(b) => Some(&b.decision),
            Self::Receipt(b) => b.decision.as_ref(),
            _ => None,
        }
    }

    /// The commitments it makes, the decision's request apart.
    pub fn committed(&self) -> Option<&Committed> {
        match self {
            Self::Intent(b) => Some(&b.committed),
            Self::Attempt(b) => Some(&b.committed),
            Self::Receipt(b) => Some(&b.committed),
            Self::Approval(b) => Some(&b.committed),
            Self::Resolution(b) => Some(&b.committed),
            Self::Evidence(b) => Some(&b.committed),
            Self::Change(_) | Self::Erasure(_) => None,
        }
    }

    pub(super) fn read(kind: Kind, body: Value) -> Result<Self, serde_json::Error> {
        use serde_json::from_value;
        Ok(match kind {
            Kind::Intent => Self::Intent(from_value(body)?),
            Kind::Attempt => Self::Attempt(from_value(body)?),
            Kind::Receipt => Self::Receipt(from_value(body)?),
            Kind::Approval => Self::Approval(from_value(body)?),
            Kind::Resolution => Self::Resolution(from_value(body)?),
            Kind::Evidence => Self::Evidence(from_value(body)?),
            Kind::Change => Self::Change(from_value(body)?),
            Kind::Erasure => Self::Erasure(from_value(body)?),
        })
    }
}
