//! Which action is in which groups: the only entities a policy of ours can ask about. Made from tools when compiling
//! and from an exported schema when recomputing, by the same code from there on. Must not know policies.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use cedar_policy::{ActionConstraint, Entities, Entity, Policy};

use crate::names::Types;

/// Actions with their groups, one level deep.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    /// Action to groups.
    pub(crate) actions: BTreeMap<String, BTreeSet<String>>,
}

impl Hierarchy {
    /// The entities an evaluation needs.
    pub(crate) fn entities(&self, types: &Types) -> Result<Entities, String> {
        let groups: BTreeSet<&String> = self.actions.values().flatten().collect();
        let of_groups = groups.into_iter().filter(|g| !self.actions.contains_key(*g));
        let all = of_groups.map(|g| (g, None)).chain(self.actions.iter().map(|(a, g)| (a, Some(g))));
        let entities = all.map(|(name, parents)| {
            let parents: HashSet<_> = parents.into_iter().flatten().map(|g| types.action(g)).collect();
            Entity::new_no_attrs(types.action(name), parents)
        });
        Entities::from_entities(entities, None).map_err(|e| format!("the action groups do not form a hierarchy: {e}"))
    }

    /// Whether a policy's scope leaves room for this action. What it rules out could not match, so that leaving the
    /// policy out of the action's slice changes no verdict.
    pub(crate) fn concerns(&self, policy: &Policy, action: &str, types: &Types) -> bool {
        let own = types.action(action);
        let within = |uid: &cedar_policy::EntityUid| {
            *uid == own
                || (uid.type_name() == own.type_name()
                    && self.actions.get(action).is_some_and(|groups| groups.contains(uid.id().unescaped())))
        };
        match policy.action_constraint() {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(uid) => uid == own,
            ActionConstraint::In(uids) => uids.iter().any(within),
        }
    }
}
