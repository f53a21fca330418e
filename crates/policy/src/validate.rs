//! Strict validation of policies against the schema and the operators that exist, with each error at its place.
//! Must not know how policies are evaluated.

use std::collections::BTreeSet;

use cedar_policy::ffi::DetailedError;
use cedar_policy::{PolicyId, PolicySet, Schema, ValidationError, ValidationMode, Validator};
use tollgate_core::spec::PolicySource;

use crate::fault::PolicyFault;
use crate::names::{Types, nearest};
use crate::sources::{Loaded, LoadedSet, first_place, sentence};

/// Everything wrong with the policies, and what is only suspicious.
pub(crate) struct Findings {
    pub(crate) faults: Vec<PolicyFault>,
    pub(crate) warnings: Vec<PolicyFault>,
}

pub(crate) fn validate(
    sources: &[PolicySource],
    loaded: &LoadedSet,
    set: &PolicySet,
    schema: Schema,
    operators: &BTreeSet<&str>,
    types: &Types,
) -> Findings {
    let result = Validator::new(schema).validate(set, ValidationMode::Strict);
    let place = |id: &PolicyId, error: DetailedError, advice: Option<&str>| {
        let policy = loaded.get(id.as_ref() as &str);
        let message = error.message.strip_prefix(&format!("for policy `{id}`, ")).unwrap_or(&error.message);
        let (place, message) = (first_place(&error), sentence(message));
        at(sources, policy, place, message, error.help.or_else(|| advice.map(str::to_owned)))
    };
    let mut faults: Vec<_> = result.validation_errors().map(|e| place(e.policy_id(), DetailedError::from(e), advice(e))).collect();
    let mut warnings: Vec<_> = result.validation_warnings().map(|w| place(w.policy_id(), DetailedError::from(w), None)).collect();
    for policy in loaded.values() {
        faults.extend(unknown_operators(sources, policy, operators, types));
    }
    for found in [&mut faults, &mut warnings] {
        found.sort();
        // A policy over many actions fails in the same way for each of them.
        found.dedup();
    }
    Findings { faults, warnings }
}

fn at(sources: &[PolicySource], policy: Option<&Loaded>, offset: Option<usize>, message: String, help: Option<String>) -> PolicyFault {
    match policy.and_then(|p| Some((p, sources.get(p.file)?))) {
        Some((policy, source)) => PolicyFault::at(&source.path, &source.text, offset.unwrap_or(policy.start), message, help),
        None => PolicyFault::whole("", message, help),
    }
}

/// What to do where the library only says what is wrong.
const fn advice(error: &ValidationError) -> Option<&'static str> {
    match error {
        ValidationError::UnsafeAttributeAccess(_) => {
            Some("name one tool with `action == Action::\"…\"`, or test with `has` first; unmapped arguments are not visible to policies")
        }
        ValidationError::UnsafeOptionalAttributeAccess(_) => Some("test with `has` first"),
        _ => None,
    }
}

/// A policy that names an operator which does not exist matches nobody: a slip, and with `forbid` a hole.
fn unknown_operators(sources: &[PolicySource], policy: &Loaded, operators: &BTreeSet<&str>, types: &Types) -> Vec<PolicyFault> {
    let literals = policy.policy.entity_literals();
    let unknown = literals.iter().filter(|uid| types.is_operator(uid) && !operators.contains(uid.id().unescaped()));
    unknown
        .map(|uid| {
            let offset = policy.text.find(&uid.to_string()).map(|at| policy.start + at);
            let help = match nearest(uid.id().unescaped(), operators.iter().copied()) {
                Some(near) => Some(format!("did you mean `Operator::\"{near}\"`?")),
                None => Some("deploy the operator together with the policy, or take it out".to_owned()),
            };
            at(sources, Some(policy), offset, format!("unknown operator `{uid}`"), help)
        })
        .collect()
}
