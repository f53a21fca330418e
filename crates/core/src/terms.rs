//! On what terms a step waits: which workers may take it, how much of a head start it has, and the limits that it counts under. Pure data,
//! made where a step's spec is known and kept with the step. Must not know how steps are claimed.

use std::collections::BTreeSet;

use crate::hash::Digest;
use crate::scope::Scope;
use crate::spec::{BundleSpec, ConcurrencySpec, DispatchSpec};

/// The highest priority.
pub const PRIORITY_MAX: u8 = 9;
/// How much earlier a step counts as having come for each point of its priority. A head start in time and no more: whatever waits long
/// enough is the oldest, so that nothing starves.
pub const HEAD_START_MICROS: i64 = 30_000_000;
/// Limits that one step counts under: its key or tool, its operator, its tenant.
pub const LIMITS_MAX: usize = 3;
/// Bytes of a limit as it is stored.
const LIMIT_LEN: usize = 32;

/// A limit that a step counts under.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Limit {
    /// Whose maximum holds: a tool's, an operator's, a tenant's. Deployments set it, whatever a step was made under.
    pub class: [u8; 16],
    /// What is counted together: the class, or one key of it.
    pub id: [u8; 16],
}

/// The terms of one step.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Terms {
    /// The set of labels that its worker must have; 0 is none.
    pub label: i64,
    /// 0 to 9.
    pub priority: u8,
    /// The narrowest first.
    limits: [Option<Limit>; LIMITS_MAX],
}

/// What a worker has. Without a set it takes everything.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Labels(pub Option<BTreeSet<String>>);

impl Labels {
    /// Whether a worker that has these may take what requires a set.
    pub fn cover(&self, set: &BTreeSet<String>) -> bool {
        self.0.as_ref().is_none_or(|have| set.is_subset(have))
    }

    /// As the store keeps them: in order, with commas.
    pub fn stored(&self) -> Option<String> {
        self.0.as_ref().map(joined)
    }
}

/// Labels as the store keeps them.
pub fn joined(labels: &BTreeSet<String>) -> String {
    labels.iter().map(String::as_str).collect::<Vec<_>>().join(",")
}

/// What is wrong with a label, if anything.
///
/// # Errors
/// In words.
pub fn check_label(label: &str) -> Result<(), String> {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.' | '/');
    if !label.is_empty() && label.len() <= 63 && label.chars().all(fine) {
        return Ok(());
    }
    Err("a label has 1 to 63 characters of `a` to `z`, `0` to `9`, `-`, `_`, `.` and `/`".to_owned())
}

/// The number of a set of labels: the same everywhere, so that nobody has to give it out. 0 for none.
pub fn label_of(labels: &BTreeSet<String>) -> i64 {
    if labels.is_empty() {
        return 0;
    }
    let parts: Vec<&[u8]> = labels.iter().map(String::as_bytes).collect();
    let bytes: [u8; 8] = first(&Digest::of_parts("labels", &parts));
    (i64::from_be_bytes(bytes) & i64::MAX).max(1)
}

fn first<const N: usize>(digest: &Digest) -> [u8; N] {
    let mut out = [0; N];
    out.iter_mut().zip(digest.0).for_each(|(to, from)| *to = from);
    out
}

/// The class of limits of a tenant and mode.
fn class(scope: &Scope, kind: &str, name: &str) -> [u8; 16] {
    let mode = [u8::from(scope.mode.as_int() != 0)];
    first(&Digest::of_parts("limit", &[scope.tenant_id.as_bytes(), &mode, kind.as_bytes(), name.as_bytes()]))
}

impl Limit {
    fn of(scope: &Scope, kind: &str, name: &str, key: Option<&str>) -> Self {
        let class = class(scope, kind, name);
        let id = key.map_or(class, |k| first(&Digest::of_parts("limit key", &[&class, k.as_bytes()])));
        Self { class, id }
    }

    /// Of an operator.
    pub fn operator(scope: &Scope, name: &str, key: Option<&str>) -> Self {
        Self::of(scope, "operator", name, key)
    }

    /// Of a tool.
    pub fn tool(scope: &Scope, name: &str, key: Option<&str>) -> Self {
        Self::of(scope, "tool", name, key)
    }

    /// Of a tenant and mode.
    pub fn tenant(scope: &Scope) -> Self {
        Self::of(scope, "tenant", "", None)
    }
}

impl Terms {
    /// The terms under these limits; those beyond the third are left out.
    pub fn new(label: i64, priority: u8, limits: impl IntoIterator<Item = Limit>) -> Self {
        let mut out = Self { label, priority: priority.min(PRIORITY_MAX), limits: [None; LIMITS_MAX] };
        out.limits.iter_mut().zip(limits).for_each(|(to, from)| *to = Some(from));
        out
    }

    /// Its limits, the narrowest first.
    pub fn limits(&self) -> impl Iterator<Item = Limit> {
        self.limits.into_iter().flatten()
    }

    /// Whether a commit may hand the step to the session that commits, past the queue: any worker may have it, and nothing counts it.
    pub fn is_free(&self) -> bool {
        self.label == 0 && self.limits().next().is_none()
    }

    /// Microseconds that it counts as having come earlier.
    pub fn lead(&self) -> i64 {
        i64::from(self.priority) * HEAD_START_MICROS
    }

    /// Its limits as dispatch rows carry them: class and id of each.
    pub fn limit_bytes(&self) -> Option<Vec<u8>> {
        let bytes: Vec<u8> = self.limits().flat_map(|l| [l.class, l.id]).flatten().collect();
        (!bytes.is_empty()).then_some(bytes)
    }

    /// Reads what dispatch rows carry.
    pub fn of_row(label: i64, priority: u8, limits: Option<&[u8]>) -> Option<Self> {
        let bytes = limits.unwrap_or_default();
        if !bytes.len().is_multiple_of(LIMIT_LEN) || bytes.len() > LIMIT_LEN * LIMITS_MAX {
            return None;
        }
        let limits = bytes.chunks_exact(LIMIT_LEN).filter_map(|b| {
            let (class, id) = b.split_at(LIMIT_LEN / 2);
            Some(Limit { class: class.try_into().ok()?, id: id.try_into().ok()? })
        });
        Some(Self::new(label, priority, limits))
    }

    /// As it is kept with its action or run; none for the ordinary terms.
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        if *self == Self::default() {
            return None;
        }
        let mut out = self.label.to_be_bytes().to_vec();
        out.push(self.priority);
        out.extend(self.limit_bytes().unwrap_or_default());
        Some(out)
    }

    /// Reads it back.
    pub fn from_bytes(bytes: Option<&[u8]>) -> Option<Self> {
        let Some(bytes) = bytes else { return Some(Self::default()) };
        let (label, rest) = bytes.split_first_chunk::<8>()?;
        let (priority, limits) = rest.split_first()?;
        Self::of_row(i64::from_be_bytes(*label), *priority, Some(limits))
    }
}

/// What a deployment says about dispatch.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rules {
    /// The maximum of each class.
    pub maxima: Vec<([u8; 16], u32)>,
    /// Every set of labels that something requires.
    pub labels: Vec<BTreeSet<String>>,
}

impl Rules {
    /// Of a bundle in one tenant and mode.
    pub fn of(scope: &Scope, spec: &BundleSpec) -> Self {
        let max = |d: &DispatchSpec| d.concurrency.as_ref().map(|c| c.limit);
        let tools = spec.tools.values().filter_map(|t| Some((Limit::tool(scope, &t.name, None).class, max(&t.dispatch)?)));
        let operators = spec.operators.values().filter_map(|o| Some((Limit::operator(scope, &o.name, None).class, max(&o.dispatch)?)));
        let tenant = spec.concurrency.map(|n| (Limit::tenant(scope).class, n));
        let requires = spec.tools.values().map(|t| &t.dispatch).chain(spec.operators.values().map(|o| &o.dispatch));
        let labels: BTreeSet<&BTreeSet<String>> = requires.map(|d| &d.requires).filter(|r| !r.is_empty()).collect();
        Self { maxima: tools.chain(operators).chain(tenant).collect(), labels: labels.into_iter().cloned().collect() }
    }
}

/// The limits that a bundle puts on a step, by what it is of.
#[derive(Clone, Copy, Debug)]
pub struct Governed<'a> {
    /// Whose it is.
    pub scope: Scope,
    /// The bundle that is active: terms are never pinned.
    pub spec: &'a BundleSpec,
}

/// A limited part of a bundle: its name, what it says, and its key for one step.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// The operator's or tool's name.
    pub name: &'a str,
    /// What it says.
    pub dispatch: &'a DispatchSpec,
    /// The key of its limit for one step.
    pub key: Option<&'a str>,
}

impl Part<'_> {
    fn limit(&self, of: impl FnOnce(&str, Option<&str>) -> Limit) -> Option<Limit> {
        let ConcurrencySpec { key, .. } = self.dispatch.concurrency.as_ref()?;
        // A key that has no value counts with all that have none.
        Some(of(self.name, key.as_ref().map(|_| self.key.unwrap_or_default())))
    }
}

impl Governed<'_> {
    fn tenant(&self) -> Option<Limit> {
        self.spec.concurrency.map(|_| Limit::tenant(&self.scope))
    }

    /// Terms of a step that is of nothing but its tenant.
    pub fn plain(&self) -> Terms {
        Terms::new(0, 0, self.tenant())
    }

    /// Terms of asking an operator.
    pub fn asking(&self, operator: Part<'_>) -> Terms {
        let own = operator.limit(|name, key| Limit::operator(&self.scope, name, key));
        Terms::new(
            label_of(&operator.dispatch.requires),
            operator.dispatch.priority.unwrap_or_default(),
            own.into_iter().chain(self.tenant()),
        )
    }

    /// Terms of an action: of its tool, of the operator that proposed it, with the priority that it was proposed with.
    pub fn acting(&self, tool: Option<Part<'_>>, operator: Option<Part<'_>>, priority: Option<u8>) -> Terms {
        let priority = priority.or_else(|| operator.and_then(|o| o.dispatch.priority)).or_else(|| tool.and_then(|t| t.dispatch.priority));
        let by_tool = tool.and_then(|t| t.limit(|name, key| Limit::tool(&self.scope, name, key)));
        let by_operator = operator.and_then(|o| o.limit(|name, key| Limit::operator(&self.scope, name, key)));
        let label = tool.map_or(0, |t| label_of(&t.dispatch.requires));
        Terms::new(label, priority.unwrap_or_default(), by_tool.into_iter().chain(by_operator).chain(self.tenant()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "test code")]
mod tests {
    use super::*;

    #[test]
    fn terms_come_back_as_they_were_stored() {
        let limit = |n: u8| Limit { class: [n; 16], id: [n + 100; 16] };
        for n in 0..=3 {
            let terms = Terms::new(i64::from(n) * 7, n, (0..n).map(limit));
            assert_eq!(Terms::from_bytes(terms.to_bytes().as_deref()), Some(terms));
            assert_eq!(Terms::of_row(terms.label, terms.priority, terms.limit_bytes().as_deref()), Some(terms));
            assert_eq!(terms.is_free(), n == 0);
        }
        assert_eq!(Terms::default().to_bytes(), None);
        assert_eq!(Terms::from_bytes(Some(&[1, 2, 3])), None);
        assert_eq!(Terms::of_row(0, 0, Some(&[1; 31])), None);
    }

    #[test]
    fn a_set_of_labels_has_one_number_whatever_its_order() {
        let set = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(label_of(&set(&[])), 0);
        assert_eq!(label_of(&set(&["gpu", "eu"])), label_of(&set(&["eu", "gpu"])));
        assert_ne!(label_of(&set(&["gpu", "eu"])), label_of(&set(&["gpu"])));
        assert!(Labels(Some(set(&["eu", "gpu"]))).cover(&set(&["gpu"])));
        assert!(!Labels(Some(set(&["eu"]))).cover(&set(&["gpu"])));
        assert!(Labels::default().cover(&set(&["gpu"])));
        for (label, fine) in [("gpu", true), ("eu/west-1", true), ("", false), ("a,b", false), ("GPU", false)] {
            assert_eq!(check_label(label).is_ok(), fine, "{label}");
        }
    }

    #[test]
    fn a_step_has_the_terms_of_its_tool_operator_and_tenant() {
        use crate::id::{ResellerId, TenantId};
        let scope = Scope {
            reseller_id: ResellerId::from_bytes([1; 16]),
            tenant_id: TenantId::from_bytes([2; 16]),
            mode: crate::scope::Mode::Live,
        };
        let spec = BundleSpec { concurrency: Some(9), ..BundleSpec::default() };
        let governed = Governed { scope, spec: &spec };
        let limited = |limit, key: Option<&str>, priority| DispatchSpec {
            requires: BTreeSet::from(["gpu".to_owned()]),
            priority,
            concurrency: Some(ConcurrencySpec { limit, key: key.map(str::to_owned) }),
        };
        let (tool, operator) = (limited(5, Some("args.c"), Some(1)), limited(2, None, Some(4)));
        let tool = Part { name: "t.x", dispatch: &tool, key: Some("c1") };
        let operator = Part { name: "op", dispatch: &operator, key: None };
        let terms = governed.acting(Some(tool), Some(operator), None);
        let expected = [Limit::tool(&scope, "t.x", Some("c1")), Limit::operator(&scope, "op", None), Limit::tenant(&scope)];
        assert_eq!(terms.limits().collect::<Vec<_>>(), expected);
        assert_eq!((terms.priority, terms.label), (4, label_of(&BTreeSet::from(["gpu".to_owned()]))));
        assert_eq!(governed.acting(Some(tool), Some(operator), Some(9)).priority, 9, "its own goes first");
        assert_eq!(governed.acting(Some(tool), None, None).priority, 1);
        assert_eq!(governed.asking(operator).limits().count(), 2);
        assert!(Governed { scope, spec: &BundleSpec::default() }.plain().is_free());
        // Another tenant, mode or key is another limit; another key of the same tool is under the same maximum.
        let other = Scope { mode: crate::scope::Mode::Test, ..scope };
        assert_ne!(Limit::tool(&scope, "t.x", None), Limit::tool(&other, "t.x", None));
        let (a, b) = (Limit::tool(&scope, "t.x", Some("a")), Limit::tool(&scope, "t.x", Some("b")));
        assert_eq!((a.class == b.class, a.id == b.id), (true, false));
    }
}
