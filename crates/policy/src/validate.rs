//! Strict validation of policies against the schema and the operators that exist, with each error at its place and with
//! what to do. Must not know how policies are evaluated.

use std::collections::BTreeSet;

use cedar_policy::ffi::DetailedError;
use cedar_policy::{PolicyId, PolicySet, Schema, ValidationError, ValidationMode, Validator};
use tollgate_core::spec::PolicySource;

use crate::fault::PolicyFault;
use crate::names::{ENTITY, OPERATOR, SERVICE_ACCOUNT, SYSTEM, Types, nearest};
use crate::sources::{Loaded, LoadedSet, first_place, sentence};

/// What the policies are held against, beside the schema.
pub(crate) struct World<'a> {
    pub(crate) sources: &'a [PolicySource],
    pub(crate) operators: BTreeSet<&'a str>,
    /// Names of actions and groups.
    pub(crate) actions: BTreeSet<&'a str>,
    /// Tool, path, why.
    pub(crate) unmapped: &'a [(String, String, String)],
    pub(crate) types: &'a Types,
}

/// Everything wrong with the policies, and what is only suspicious.
pub(crate) struct Findings {
    pub(crate) faults: Vec<PolicyFault>,
    pub(crate) warnings: Vec<PolicyFault>,
}

impl World<'_> {
    pub(crate) fn validate(&self, loaded: &LoadedSet, set: &PolicySet, schema: Schema) -> Findings {
        let result = Validator::new(schema).validate(set, ValidationMode::Strict);
        let place = |id: &PolicyId, error: DetailedError, kind: Option<&ValidationError>| {
            let blame = format!("for policy `{id}`, ");
            let message = sentence(error.message.trim_start_matches(&blame));
            let offset = first_place(&error);
            let said = error.help.map(|h| sentence(h.trim_start_matches(&blame)));
            let help = kind.map_or(said.clone(), |kind| self.help(kind, &message, said));
            self.at(loaded.get(id.as_ref() as &str), offset, message, help)
        };
        let mut faults: Vec<_> = result.validation_errors().map(|e| place(e.policy_id(), DetailedError::from(e), Some(e))).collect();
        let mut warnings: Vec<_> = result.validation_warnings().map(|w| place(w.policy_id(), DetailedError::from(w), None)).collect();
        faults.extend(loaded.values().flat_map(|policy| self.unknown_operators(policy)));
        for found in [&mut faults, &mut warnings] {
            found.sort();
            once_for_all_actions(found);
        }
        Findings { faults, warnings }
    }

    fn at(&self, policy: Option<&Loaded>, offset: Option<usize>, message: String, help: Option<String>) -> PolicyFault {
        match policy.and_then(|p| Some((p, self.sources.get(p.file)?))) {
            Some((policy, source)) => PolicyFault::at(&source.path, &source.text, offset.unwrap_or(policy.start), message, help),
            None => PolicyFault::whole("policies", message, help),
        }
    }

    /// The library's advice, or better one where it would lead astray: it always suggests some name, however far off.
    fn help(&self, kind: &ValidationError, message: &str, said: Option<String>) -> Option<String> {
        match kind {
            ValidationError::UnrecognizedActionId(_) => {
                let wrong = quoted(message).and_then(|uid| uid.split('"').nth(1)).unwrap_or_default();
                Some(match nearest(wrong, self.actions.iter().copied()) {
                    Some(near) => format!("did you mean `Action::\"{near}\"`?"),
                    None => "actions are tools such as `Action::\"connector.tool\"`, and the groups `read`, `write`, `connector.*` and `class:…`"
                        .to_owned(),
                })
            }
            ValidationError::UnrecognizedEntityType(_) => {
                Some(format!("principals are `{OPERATOR}`, `{SERVICE_ACCOUNT}` and `{SYSTEM}`; every resource is an `{ENTITY}`"))
            }
            ValidationError::UnsafeAttributeAccess(_) => Some(self.unseen(message, said.as_deref())),
            _ => said,
        }
    }

    /// Why an attribute is not there: not mapped, misspelt, or not on every tool that the policy is about.
    fn unseen(&self, message: &str, said: Option<&str>) -> String {
        let path = quoted(message).unwrap_or_default();
        let tool = message.split("Action::\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
        let hidden = |p: &str| path == p || path.strip_prefix(p).is_some_and(|rest| rest.starts_with('.'));
        if let Some((_, path, why)) = self.unmapped.iter().find(|(t, p, _)| t == tool && hidden(p)) {
            return format!("policies cannot see `{path}`: it {why}");
        }
        let last = path.rsplit('.').next().unwrap_or_default();
        match said.and_then(quoted).and_then(|name| nearest(last, std::iter::once(name))) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "name the tools that have it with `action == Action::\"…\"` or `action in […]`".to_owned(),
        }
    }

    /// A policy that names an operator which does not exist matches nobody: a slip, and with `forbid` a hole.
    fn unknown_operators(&self, policy: &Loaded) -> Vec<PolicyFault> {
        let literals = policy.policy.entity_literals();
        let unknown = literals.iter().filter(|uid| self.types.is_operator(uid) && !self.operators.contains(uid.id().unescaped()));
        unknown
            .map(|uid| {
                let offset = policy.text.find(&uid.to_string()).map(|at| policy.start + at);
                let help = match nearest(uid.id().unescaped(), self.operators.iter().copied()) {
                    Some(near) => format!("did you mean `Operator::\"{near}\"`?"),
                    None => "deploy the operator together with the policy, or take it out".to_owned(),
                };
                self.at(Some(policy), offset, format!("unknown operator `{uid}`"), Some(help))
            })
            .collect()
    }
}

/// The first text in backticks.
fn quoted(message: &str) -> Option<&str> {
    message.split('`').nth(1)
}

/// A policy over many actions fails in the same place for each of them, and for each kind of principal: said once.
fn once_for_all_actions(found: &mut Vec<PolicyFault>) {
    let what = |fault: &PolicyFault| {
        let subject = fault.message.split(" in context for ").next().unwrap_or_default().to_owned();
        (fault.path.clone(), fault.line, fault.column, subject)
    };
    found.dedup();
    found.dedup_by_key(|fault| what(fault));
}
