//! The words that policies, schema and requests share: entity types, action groups, annotations, the evaluator.
//! Must not know how any of them is evaluated.

use std::str::FromStr;

use cedar_policy::{EntityId, EntityTypeName, EntityUid};
use tollgate_core::spec::ToolSpec;
use tollgate_core::verdict::Principal;

/// What evaluates policies, as artifacts name it. A test holds it against the library that is linked.
pub const EVALUATOR: &str = "cedar-policy 4.14.1";
/// Artifacts of this family recompute here: Cedar keeps the meaning of policies within a major version.
pub(crate) const EVALUATOR_FAMILY: &str = "cedar-policy 4.";

pub(crate) const OPERATOR: &str = "Operator";
pub(crate) const SERVICE_ACCOUNT: &str = "ServiceAccount";
pub(crate) const SYSTEM: &str = "System";
pub(crate) const ENTITY: &str = "Entity";
pub(crate) const ACTION: &str = "Action";

/// The classes that policies may name even when no tool carries them, so that a scaffold holds in every project.
pub(crate) const STANDARD_CLASSES: [&str; 3] = ["customer_facing", "destructive", "financial"];

/// The queue of a bare `@require_approval`.
pub(crate) const DEFAULT_QUEUE: &str = "default";
pub(crate) const ANNOTATION_ID: &str = "id";
pub(crate) const ANNOTATION_APPROVAL: &str = "require_approval";
pub(crate) const ANNOTATIONS: [&str; 3] = ["description", ANNOTATION_ID, ANNOTATION_APPROVAL];

/// The group of a connector's tools. The `.*` keeps it apart from effects, whatever the connector is called.
pub(crate) fn connector_group(connector: &str) -> String {
    format!("{connector}.*")
}

/// The group of a class.
pub(crate) fn class_group(class: &str) -> String {
    format!("class:{class}")
}

/// The groups that a tool's action belongs to, sorted.
pub(crate) fn groups_of(tool: &ToolSpec) -> Vec<String> {
    let mut groups: Vec<String> = tool.classes.iter().map(|c| class_group(c)).collect();
    groups.push(connector_group(&tool.connector));
    groups.push(tool.effect.as_str().to_owned());
    groups.sort();
    groups
}

/// The entity types, parsed once: parsing a name costs more than evaluating a small policy.
#[derive(Debug, Clone)]
pub(crate) struct Types {
    operator: EntityTypeName,
    service_account: EntityTypeName,
    system: EntityTypeName,
    entity: EntityTypeName,
    action: EntityTypeName,
}

impl Types {
    /// The message says what could not be parsed; with the constants above that cannot happen.
    pub(crate) fn new() -> Result<Self, String> {
        let parse = |name| EntityTypeName::from_str(name).map_err(|e| format!("the entity type `{name}` is not usable: {e}"));
        Ok(Self {
            operator: parse(OPERATOR)?,
            service_account: parse(SERVICE_ACCOUNT)?,
            system: parse(SYSTEM)?,
            entity: parse(ENTITY)?,
            action: parse(ACTION)?,
        })
    }

    pub(crate) fn principal(&self, principal: &Principal) -> EntityUid {
        let (kind, name) = match principal {
            Principal::Operator(n) => (&self.operator, n),
            Principal::ServiceAccount(n) => (&self.service_account, n),
            Principal::System(n) => (&self.system, n),
        };
        uid(kind, name)
    }

    pub(crate) fn entity(&self, id: &str) -> EntityUid {
        uid(&self.entity, id)
    }

    pub(crate) fn action(&self, id: &str) -> EntityUid {
        uid(&self.action, id)
    }

    pub(crate) fn is_operator(&self, uid: &EntityUid) -> bool {
        *uid.type_name() == self.operator
    }

    pub(crate) fn is_principal(&self, uid: &EntityUid) -> bool {
        [&self.operator, &self.service_account, &self.system].contains(&uid.type_name())
    }

    pub(crate) fn is_entity(&self, uid: &EntityUid) -> bool {
        *uid.type_name() == self.entity
    }
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

/// The name nearest to a misspelt one, when one is near enough to be meant.
pub(crate) fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names
        .map(|name| (strsim::jaro_winkler(&wrong.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_evaluator_named_in_artifacts_is_the_one_linked() {
        assert_eq!(EVALUATOR, format!("cedar-policy {}", cedar_policy::get_sdk_version()));
        assert!(EVALUATOR.starts_with(EVALUATOR_FAMILY));
    }

    #[test]
    fn nearest_finds_slips_and_nothing_far_away() {
        assert_eq!(nearest("requires_approval", ANNOTATIONS.into_iter()), Some("require_approval"));
        assert_eq!(nearest("ID", ANNOTATIONS.into_iter()), Some("id"));
        assert_eq!(nearest("xyzzy", ANNOTATIONS.into_iter()), None);
    }
}
