//! Policy files to policies: parsed one file at a time, known by their `@id` from then on, with their text, place and
//! queue. Must not know the schema or how policies are evaluated.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::str::FromStr;

use cedar_policy::ffi::DetailedError;
use cedar_policy::{Effect, Policy, PolicyId, PolicySet};
use tollgate_core::spec::PolicySource;

use crate::fault::{PolicyFault, position};
use crate::names::{ANNOTATION_APPROVAL, ANNOTATION_ID, ANNOTATIONS, DEFAULT_QUEUE, nearest};
use crate::{limits, scan};

/// Longest policy id and queue name, in bytes.
const NAME_BYTES: usize = 128;

/// A policy under its own name.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) policy: Policy,
    /// Its text, annotations included.
    pub(crate) text: String,
    /// Index of its file.
    pub(crate) file: usize,
    /// Byte offset of its text in the file.
    pub(crate) start: usize,
    /// The queue that a match of this permit asks.
    pub(crate) queue: Option<String>,
}

/// All policies by id.
pub(crate) type LoadedSet = BTreeMap<String, Loaded>;

/// Loads all files, or says everything that is wrong with them.
pub(crate) fn load(sources: &[PolicySource]) -> Result<LoadedSet, Vec<PolicyFault>> {
    let (all, faults) = read(sources);
    if faults.is_empty() { Ok(all) } else { Err(faults) }
}

/// What can be read, so that it can be looked at further, and everything that is wrong.
pub(crate) fn read(sources: &[PolicySource]) -> (LoadedSet, Vec<PolicyFault>) {
    let mut faults = too_much(sources);
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut all = LoadedSet::new();
    if !faults.is_empty() {
        return (all, faults);
    }
    for (file, source) in sources.iter().enumerate() {
        if seen.insert(&source.path, file).is_some() {
            faults.push(PolicyFault::whole(&source.path, "this path is given twice", None));
            continue;
        }
        match parse(source) {
            Err(more) => faults.extend(more),
            Ok(policies) => {
                for (policy, span) in policies {
                    let loaded = named(source, file, &policy, span, &mut faults);
                    insert(&mut all, loaded, sources, &mut faults);
                }
            }
        }
        if all.len() > limits::POLICIES {
            faults.push(PolicyFault::whole(&source.path, format!("there are more than {} policies", limits::POLICIES), None));
            break;
        }
    }
    (all, faults)
}

fn too_much(sources: &[PolicySource]) -> Vec<PolicyFault> {
    if sources.len() > limits::FILES {
        return vec![PolicyFault::whole("", format!("there are more than {} policy files", limits::FILES), None)];
    }
    let mut bytes = 0_usize;
    for source in sources {
        bytes = bytes.saturating_add(source.text.len());
        if bytes > limits::TEXT_BYTES {
            let message = format!("the policy files together are longer than {} bytes", limits::TEXT_BYTES);
            return vec![PolicyFault::whole(&source.path, message, None)];
        }
    }
    Vec::new()
}

/// The policies of one file, each with the range of its text.
fn parse(source: &PolicySource) -> Result<Vec<(Policy, Range<usize>)>, Vec<PolicyFault>> {
    let fault = |at, message: String, help| PolicyFault::at(&source.path, &source.text, at, message, help);
    let spans = scan::statements(&source.text).map_err(|e| vec![fault(e.at, e.message, None)])?;
    let set = PolicySet::from_str(&source.text).map_err(|errors| {
        let each = errors.iter().map(DetailedError::from);
        each.map(|e| fault(first_place(&e).unwrap_or(0), sentence(&e.message), e.help)).collect::<Vec<_>>()
    })?;
    // The parser numbers statements by position, whatever their kind.
    let span = |id: &PolicyId| {
        let number = id.to_string().strip_prefix("policy").and_then(|n| n.parse::<usize>().ok());
        number.and_then(|n| spans.get(n).cloned()).unwrap_or(0..source.text.len())
    };
    let mut faults: Vec<_> = set
        .templates()
        .map(|t| {
            let message = "templates are not supported: a policy cannot contain `?principal` or `?resource`";
            fault(span(t.id()).start, message.to_owned(), Some("write one policy for each principal or resource".to_owned()))
        })
        .collect();
    let mut policies: Vec<_> = set.policies().map(|p| (p.clone(), span(p.id()))).collect();
    policies.sort_by_key(|(_, span)| span.start);
    if faults.is_empty() {
        Ok(policies)
    } else {
        faults.sort();
        Err(faults)
    }
}

/// Re-keys a policy to its `@id` and reads its annotations. One without a usable id gets a stand-in, so that the rest of it is looked at.
fn named(source: &PolicySource, file: usize, policy: &Policy, span: Range<usize>, faults: &mut Vec<PolicyFault>) -> Loaded {
    let text = source.text.get(span.clone()).unwrap_or_default();
    let mut usable = true;
    let mut fault = |word: &str, message: String, help: Option<String>| {
        let at = span.start + annotation_at(text, word).unwrap_or(0);
        faults.push(PolicyFault::at(&source.path, &source.text, at, message, help));
    };
    for (name, _) in policy.annotations().filter(|(name, _)| !ANNOTATIONS.contains(name)) {
        let help = match nearest(name, ANNOTATIONS.into_iter()) {
            Some(near) => format!("did you mean `@{near}`?"),
            None => format!("known annotations are {}", ANNOTATIONS.map(|a| format!("`@{a}`")).join(", ")),
        };
        fault(name, format!("unknown annotation `@{name}`"), Some(help));
    }
    let id = policy.annotation(ANNOTATION_ID).unwrap_or_default();
    if id.is_empty() {
        let help = "add `@id(\"…\")` before `permit` or `forbid`: receipts and approvals cite policies by it";
        fault(ANNOTATION_ID, "this policy has no `@id`".to_owned(), Some(help.to_owned()));
        usable = false;
    } else if id.len() > NAME_BYTES || id.chars().any(char::is_control) {
        let message = format!("the id of a policy has at most {NAME_BYTES} bytes and no control characters");
        fault(ANNOTATION_ID, message, None);
        usable = false;
    }
    let queue = policy.annotation(ANNOTATION_APPROVAL).map(|given| queue_name(given, text));
    match &queue {
        Some(_) if policy.effect() == Effect::Forbid => {
            let help = "a forbid always blocks: put the annotation on a permit".to_owned();
            fault(ANNOTATION_APPROVAL, "`@require_approval` has no meaning on a forbid".to_owned(), Some(help));
        }
        Some(name) if !is_slug(name) => {
            let help = "use lower-case letters, digits, `-` and `_`, such as `@require_approval(\"finance\")`".to_owned();
            fault(ANNOTATION_APPROVAL, format!("`{name}` is not the name of a queue"), Some(help));
        }
        _ => {}
    }
    let id = if usable { id.to_owned() } else { format!("policy without an id, {file}:{}", span.start) };
    Loaded { policy: policy.new_id(PolicyId::new(id)), text: text.to_owned(), file, start: span.start, queue }
}

fn insert(all: &mut LoadedSet, loaded: Loaded, sources: &[PolicySource], faults: &mut Vec<PolicyFault>) {
    let id = loaded.policy.id().to_string();
    let Some(first) = all.get(&id) else {
        all.insert(id, loaded);
        return;
    };
    let (Some(here), Some(there)) = (sources.get(loaded.file), sources.get(first.file)) else { return };
    let (line, column) = position(&there.text, first.start);
    let message = format!("the id `{id}` is already used at {}:{line}:{column}", there.path);
    faults.push(PolicyFault::at(&here.path, &here.text, loaded.start, message, Some("give each policy an id of its own".to_owned())));
}

/// A bare annotation and an empty one read the same through the parser; the text tells them apart.
fn queue_name(given: &str, text: &str) -> String {
    let bare = given.is_empty()
        && annotation_at(text, ANNOTATION_APPROVAL)
            .and_then(|at| text.get(at + 1 + ANNOTATION_APPROVAL.len()..))
            .is_some_and(|rest| !rest.trim_start().starts_with('('));
    if bare { DEFAULT_QUEUE.to_owned() } else { given.to_owned() }
}

/// Where `@word` stands in a policy's text.
fn annotation_at(text: &str, word: &str) -> Option<usize> {
    let wanted = format!("@{word}");
    text.match_indices(&wanted).map(|(at, _)| at).find(|at| {
        let after = text.get(at + wanted.len()..).and_then(|rest| rest.chars().next());
        !after.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

fn is_slug(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    name.len() <= NAME_BYTES && name.bytes().next().is_some_and(plain) && name.bytes().all(|b| plain(b) || b == b'-' || b == b'_')
}

/// Where an error of the library points to.
pub(crate) fn first_place(error: &DetailedError) -> Option<usize> {
    error.source_locations.iter().map(|l| l.loc.start).min()
}

/// The library's message without what the place already says.
pub(crate) fn sentence(message: &str) -> String {
    message.trim().trim_end_matches('.').to_owned()
}
