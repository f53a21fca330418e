//! How errors of the ports become errors of the API.

use tollgate_core::id::IdError;
use tollgate_core::ports::{DeskError, StoreError, VaultError, WebhookError};

use super::{ApiError, Code};

impl From<StoreError> for ApiError {
    fn from(e: StoreError) -> Self {
        match e {
            StoreError::NotFound => Self::not_found("there is no such thing in this tenant and mode"),
            StoreError::Conflict(m) => Self::new(Code::StateConflict, m),
            StoreError::LeaseLost | StoreError::Stale => Self::unavailable("what governs this request kept changing: repeat it"),
            StoreError::AnswerLost => {
                Self::unavailable("the answer to a commit was lost, so this may have been done: repeat it with the same idempotency key")
            }
            StoreError::Held(_) => Self::unavailable(e.to_string()),
            StoreError::Unavailable(why) => {
                tracing::warn!(%why, "the store is unavailable");
                Self::unavailable("the store cannot do this at the moment: try again later")
            }
            StoreError::Corrupt(why) => {
                tracing::error!(%why, "the store is damaged");
                Self::new(Code::InternalError, "the store is damaged: tell the operator of this service the request id")
            }
        }
    }
}

impl From<DeskError> for ApiError {
    fn from(e: DeskError) -> Self {
        let message = e.to_string();
        match e {
            DeskError::NotFound(_) => Self::not_found(message),
            DeskError::Invalid(_) => Self::invalid(message),
            DeskError::Conflict(_) => Self::new(Code::StateConflict, message),
            DeskError::KeyReused(_) => Self::new(Code::IdempotencyConflict, message),
            DeskError::EntityLocked(_) => Self::new(Code::EntityLocked, message),
            DeskError::Unavailable(_) => Self::unavailable(message),
        }
    }
}

impl From<VaultError> for ApiError {
    fn from(e: VaultError) -> Self {
        match e {
            VaultError::NotSet(_) => Self::new(Code::SecretNotSet, e.to_string()),
            VaultError::Unavailable(_) => Self::unavailable("the vault cannot be read at the moment: try again later"),
            VaultError::CannotDecrypt(_) | VaultError::Erased | VaultError::Setup(_) => {
                tracing::error!(why = %e, "the vault cannot serve");
                Self::unavailable("the vault cannot open this secret: tell the operator of this service the request id")
            }
        }
    }
}

impl From<WebhookError> for ApiError {
    fn from(e: WebhookError) -> Self {
        let message = e.to_string();
        match e {
            WebhookError::UnknownConnector(_) => Self::not_found(message),
            WebhookError::MissingSignature(_) | WebhookError::BadSignature | WebhookError::Stale { .. } => {
                Self::new(Code::SignatureInvalid, message)
            }
            WebhookError::BadBody(_) => Self::invalid(message),
        }
    }
}

impl From<IdError> for ApiError {
    fn from(e: IdError) -> Self {
        Self::invalid(e.to_string())
    }
}
