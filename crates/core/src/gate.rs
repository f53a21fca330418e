//! The gate's pure decisions on keys, lanes and bindings. Policy is behind its own port; the store asks these inside its transactions.

use serde_json::{Map, Value};

use crate::canon::canonical;
use crate::hash::Digest;
use crate::id::{ActionId, EntryId};
use crate::plan::ProposedAction;
use crate::scope::Scope;
use crate::spec::ToolSpec;

/// Where an effect key stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyState {
    /// An action's intent holds it.
    Reserved(ActionId),
    /// An action was disposed `unknown` under it.
    InDoubt(ActionId),
    /// It took effect, for ever.
    Consumed {
        /// The action that did it.
        by: ActionId,
        /// The receipt or resolution that says so.
        receipt: EntryId,
    },
}

/// The row of one effect key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyRow {
    /// Where it stands.
    pub state: KeyState,
    /// What it stands for.
    pub fingerprint: Digest,
}

/// What an action sees when it looks at its key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyLook {
    /// Nobody has it: go on.
    Free,
    /// This action has it already: go on.
    Mine,
    /// DEDUP.
    Consumed {
        /// The action that did it.
        by: ActionId,
        /// The receipt or resolution that says so.
        receipt: EntryId,
    },
    /// Wait: neither DEDUP nor a second call.
    Held {
        /// Who has it.
        by: ActionId,
    },
    /// BLOCK `key_conflict`: it stands for another operation.
    Conflict,
    /// A person said no to this operation under this key, in this ledger entry, and nobody lifted it: nobody is asked again.
    Denied(EntryId),
}

/// Looks at a key. Another fingerprint is a conflict in every state: a key spent on a harmless tool must not make a refund "succeed".
pub fn look_at_key(row: Option<&KeyRow>, me: ActionId, fingerprint: &Digest) -> KeyLook {
    let Some(row) = row else { return KeyLook::Free };
    if row.fingerprint != *fingerprint {
        return KeyLook::Conflict;
    }
    match row.state {
        KeyState::Reserved(by) | KeyState::InDoubt(by) if by == me => KeyLook::Mine,
        KeyState::Reserved(by) | KeyState::InDoubt(by) => KeyLook::Held { by },
        KeyState::Consumed { by, receipt } => KeyLook::Consumed { by, receipt },
    }
}

/// The row name of an effect key: scoped to tenant and mode, not to the connector.
pub fn effect_key(scope: &Scope, key: &str) -> Digest {
    Digest::of_parts("tollgate/effect-key/v1", &[scope.tenant_id.as_bytes(), scope.mode.as_str().as_bytes(), key.as_bytes()])
}

/// The row name of a lane.
pub fn lane_key(scope: &Scope, entity_key: &str) -> Digest {
    Digest::of_parts("tollgate/lane/v1", &[scope.tenant_id.as_bytes(), scope.mode.as_str().as_bytes(), entity_key.as_bytes()])
}

/// What a remote recognises a repetition by: H(tenant, mode, key, generation), in hex.
pub fn remote_key(scope: &Scope, key: &str, generation: u32) -> String {
    let parts: [&[u8]; 4] = [scope.tenant_id.as_bytes(), scope.mode.as_str().as_bytes(), key.as_bytes(), &generation.to_be_bytes()];
    Digest::of_parts("tollgate/remote-key/v1", &parts).to_hex()
}

/// What makes two actions the same operation: capability or tool, entity, and the arguments that the tool names as identity.
pub fn fingerprint(tool: &ToolSpec, action: &ProposedAction) -> Digest {
    let operation = action.capability.as_deref().unwrap_or(&tool.name);
    let mut identity = Map::new();
    for name in &tool.identity {
        identity.insert(name.clone(), action.args.get(name).cloned().unwrap_or(Value::Null));
    }
    let identity = canonical(&Value::Object(identity)).unwrap_or_default();
    let entity = action.entity_key.as_deref().unwrap_or_default();
    Digest::of_parts("tollgate/fingerprint/v1", &[operation.as_bytes(), entity.as_bytes(), &identity])
}

/// What an approval is bound to: tool, arguments, entity, key, value, and the text of the determining policies.
pub fn approval_binding(tool: &ToolSpec, action: &ProposedAction, determining_text: &Digest) -> Digest {
    let value = serde_json::to_value(&action.value).unwrap_or_default();
    Digest::of_parts(
        "tollgate/approval/v1",
        &[
            &tool.digest().0,
            &canonical(&action.args).unwrap_or_default(),
            action.entity_key.as_deref().unwrap_or_default().as_bytes(),
            action.idempotency_key.as_deref().unwrap_or_default().as_bytes(),
            &canonical(&value).unwrap_or_default(),
            &determining_text.0,
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_answers_each_asker_rightly() {
        let (me, other) = (ActionId::from_bytes([1; 16]), ActionId::from_bytes([2; 16]));
        let (f, g) = (Digest::of(b"f"), Digest::of(b"g"));
        let receipt = EntryId::from_bytes([3; 16]);
        let row = |state| KeyRow { state, fingerprint: f };
        assert_eq!(look_at_key(None, me, &f), KeyLook::Free);
        assert_eq!(look_at_key(Some(&row(KeyState::Reserved(me))), me, &f), KeyLook::Mine);
        assert_eq!(look_at_key(Some(&row(KeyState::InDoubt(me))), me, &f), KeyLook::Mine);
        assert_eq!(look_at_key(Some(&row(KeyState::Reserved(other))), me, &f), KeyLook::Held { by: other });
        assert_eq!(look_at_key(Some(&row(KeyState::InDoubt(other))), me, &f), KeyLook::Held { by: other });
        let consumed = row(KeyState::Consumed { by: other, receipt });
        assert_eq!(look_at_key(Some(&consumed), me, &f), KeyLook::Consumed { by: other, receipt });
        assert_eq!(look_at_key(Some(&consumed), me, &g), KeyLook::Conflict);
    }
}
