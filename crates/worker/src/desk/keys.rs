//! API keys: random, shown once, stored hashed.

use tollgate_core::hash::Digest;
use tollgate_core::id::KeyId;
use tollgate_core::ledger::Subject;
use tollgate_core::ports::{Actor, ApiKeyRecord, DeskError, IssuedKey};

use super::port::{Counter, plain};

const NAME_MAX: usize = 64;

pub(super) async fn issue(desk: &Counter, actor: &Actor, name: String, scopes: Vec<String>) -> Result<IssuedKey, DeskError> {
    if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
        return Err(DeskError::Invalid(format!("a key's name has 1 to {NAME_MAX} letters, digits, `-`, `_` or `.`")));
    }
    if scopes.is_empty() {
        return Err(DeskError::Invalid("a key needs at least one scope; `*` is every scope".to_owned()));
    }
    let ids = &desk.deps.engine.ids;
    let secret = data_encoding::BASE32_NOPAD.encode(&ids.random::<30>()).to_lowercase();
    let text = format!("sk_{}_{secret}", actor.scope.mode);
    let record = ApiKeyRecord {
        id: KeyId::from_bytes(ids.uuid()),
        scope: actor.scope,
        name,
        hash: Digest::of(text.as_bytes()),
        scopes,
        created_at: ids.now(),
        revoked_at: None,
    };
    let entry = desk.change(actor, plain(Subject::Key, &record.id.to_string(), actor, "issued"))?;
    desk.deps.registry.put_api_key(record.clone(), entry).await?;
    Ok(IssuedKey { record, text })
}
