//! Statuses of operators and connectors, and secrets.

use tollgate_core::ledger::Subject;
use tollgate_core::ports::{Actor, DeskError, VaultError};

use super::port::{Counter, plain};

pub(super) async fn set_status(desk: &Counter, actor: &Actor, kind: String, name: String, status: String) -> Result<(), DeskError> {
    let Some(active) = desk.deps.engine.bundles.active(actor.scope) else {
        return Err(DeskError::Unavailable("no bundle is deployed".to_owned()));
    };
    let spec = &active.bundle.spec;
    let (subject, known) = match kind.as_str() {
        "operator" => (Subject::Operator, spec.operators.contains_key(&name)),
        "connector" => (Subject::Connector, spec.connectors.contains_key(&name)),
        _ => return Err(DeskError::Invalid(format!("`{kind}` has no status: `operator` or `connector`"))),
    };
    if !known {
        return Err(DeskError::NotFound(format!("there is no {kind} `{name}`")));
    }
    if !matches!(status.as_str(), "active" | "paused") {
        return Err(DeskError::Invalid(format!("`{status}` is not a status: `active` or `paused`")));
    }
    let entry = desk.change(actor, plain(subject, &name, actor, &status))?;
    desk.deps.registry.set_status(actor.scope, kind, name, status, entry).await?;
    Ok(desk.deps.engine.bundles.refresh(actor.scope).await?)
}

pub(super) async fn set_secret(desk: &Counter, actor: &Actor, name: &str, value: &[u8]) -> Result<u32, DeskError> {
    let (registry, sealer) = (&desk.deps.registry, &desk.deps.engine.sealer);
    let before = registry.secret_row(actor.scope, name.to_owned()).await?;
    let version = before.map_or(1, |s| s.version + 1);
    let ciphertext = sealer.encrypt_secret(actor.scope, name, version, value).map_err(vault)?;
    let mut change = plain(Subject::Secret, name, actor, "set");
    change.version = Some(version);
    let entry = desk.change(actor, change)?;
    let put = registry.put_secret(actor.scope, ciphertext, entry, desk.deps.engine.ids.now()).await;
    // Whatever the answer: one that was lost may have been a yes, and the old value must not serve on.
    sealer.secret_changed(actor.scope, name);
    put?;
    Ok(version)
}

fn vault(e: VaultError) -> DeskError {
    match e {
        VaultError::Setup(m) => DeskError::Invalid(m),
        e => DeskError::Unavailable(e.to_string()),
    }
}
