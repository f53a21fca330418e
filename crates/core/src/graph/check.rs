//! Faults of a graph, all of them, each with its place. What an expression reads is told from outside: `expr` compiles, not this.

use std::collections::{BTreeMap, BTreeSet};

use super::context::ROOTS;
use super::order::{Set, ancestors, in_order};
use super::spec::{EXPRESSION_MAX, GraphSpec, NAME_MAX, STEPS_MAX, Source, StepSpec, TEMPLATE_MAX};
use crate::canon::{DEPTH_MAX, too_deep};

/// Compiles a source that may read the [`ROOTS`], and answers the dotted paths that it reads, or why it does not compile.
pub type References<'a> = dyn FnMut(Source<'_>) -> Result<BTreeSet<String>, String> + 'a;

/// Something that is wrong with a graph.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{place}: {message}")]
pub struct GraphFault {
    /// Where, such as `steps[3].depends_on[0]`.
    pub place: String,
    /// What is wrong, and what to do.
    pub message: String,
}

/// Words that CEL keeps to itself: no member can have such a name.
const RESERVED: &[&str] = &[
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "void",
    "while",
];

impl GraphSpec {
    /// Every fault of the graph; none when it can run.
    pub fn validate(&self, references: &mut References<'_>) -> Vec<GraphFault> {
        check(self, references).faults
    }
}

/// What a check finds out: with no fault, all that a plan is made of.
#[derive(Default)]
pub(super) struct Checked {
    pub(super) faults: Vec<GraphFault>,
    /// By step: what it depends on.
    pub(super) depends_on: Vec<Vec<usize>>,
    /// By step: whose outputs it reads.
    pub(super) reads: Vec<Vec<usize>>,
    /// Every step after all that it depends on.
    pub(super) order: Vec<usize>,
}

pub(super) fn check(spec: &GraphSpec, references: &mut References<'_>) -> Checked {
    let mut out = Checked::default();
    if !is_name(&spec.name, true) {
        out.fault("name", format!("`{}` is not a name: {}", clip(&spec.name), name_rule("`_` or `-`")));
    }
    match spec.steps.len() {
        0 => out.fault("steps", "a graph has at least one step"),
        1..=STEPS_MAX => {
            let index = out.names(spec);
            out.edges(spec, &index);
            out.order(spec);
            // Where there is a cycle, nobody can say what a step depends on.
            let ancestors = (out.order.len() == spec.steps.len()).then(|| ancestors(&out.depends_on, &out.order));
            for (i, step) in spec.steps.iter().enumerate() {
                let reads = out.sources(i, step, &index, ancestors.as_ref().and_then(|a| a.get(i)), references);
                out.reads.push(reads.into_iter().collect());
                if step.timeout.is_some_and(|t| t.0.is_zero()) {
                    out.fault(format!("steps[{i}].timeout"), "no attempt ends in no time: write a longer one, or leave it out");
                }
            }
        }
        n => out.fault("steps", format!("a graph has at most {STEPS_MAX} steps, not {n}: split it")),
    }
    out
}

impl Checked {
    fn fault(&mut self, place: impl Into<String>, message: impl Into<String>) {
        self.faults.push(GraphFault { place: place.into(), message: message.into() });
    }

    /// Steps by name; of two with one name, the first.
    fn names<'a>(&mut self, spec: &'a GraphSpec) -> BTreeMap<&'a str, usize> {
        let mut index = BTreeMap::new();
        for (i, step) in spec.steps.iter().enumerate() {
            let place = format!("steps[{i}].name");
            if !is_name(&step.name, false) {
                self.fault(place, format!("`{}` is not a name of a step: {}", clip(&step.name), name_rule("or `_`")));
            } else if RESERVED.contains(&step.name.as_str()) {
                self.fault(place, format!("`{}` is a word of the expression language: choose another name", step.name));
            } else if let Some(first) = index.get(step.name.as_str()) {
                self.fault(place, format!("`{}` is the name of steps[{first}] already: choose another", step.name));
            }
            index.entry(step.name.as_str()).or_insert(i);
        }
        index
    }

    fn edges(&mut self, spec: &GraphSpec, index: &BTreeMap<&str, usize>) {
        for (i, step) in spec.steps.iter().enumerate() {
            let mut all = BTreeSet::new();
            for (k, name) in step.depends_on.iter().enumerate() {
                let place = format!("steps[{i}].depends_on[{k}]");
                match index.get(name.as_str()) {
                    None => self.fault(place, format!("there is no step `{}`", clip(name))),
                    Some(on) if !all.insert(*on) => self.fault(place, format!("`{name}` stands here twice")),
                    Some(_) => {}
                }
            }
            self.depends_on.push(all.into_iter().collect());
        }
    }

    /// Orders the steps, and names the cycles that leave some without an order.
    fn order(&mut self, spec: &GraphSpec) {
        let (order, cycles) = in_order(&self.depends_on);
        self.order = order;
        for cycle in cycles {
            let names: Vec<&str> = cycle.iter().filter_map(|i| spec.steps.get(*i)).map(|s| s.name.as_str()).collect();
            let (first, name) = (cycle.first().copied().unwrap_or_default(), names.first().copied().unwrap_or_default());
            self.fault(
                format!("steps[{first}].depends_on"),
                format!("`{name}` depends on itself: {} -> {name}; take one of these dependencies away", names.join(" -> ")),
            );
        }
    }

    /// Checks the sources of a step; answers the steps whose outputs they read.
    fn sources(
        &mut self,
        i: usize,
        step: &StepSpec,
        index: &BTreeMap<&str, usize>,
        ancestors: Option<&Set>,
        references: &mut References<'_>,
    ) -> BTreeSet<usize> {
        let mut reads = BTreeSet::new();
        for (place, source) in step.sources() {
            let place = format!("steps[{i}].{place}");
            let paths = match oversized(source) {
                Some(message) => Err(message),
                None => references(source),
            };
            let paths = paths.unwrap_or_else(|message| {
                self.fault(&place, message);
                BTreeSet::new()
            });
            for path in paths {
                match read(&path, index) {
                    Ok(None) => {}
                    Ok(Some((on, name))) if ancestors.is_some_and(|a| !a.contains(on)) => {
                        self.fault(
                            &place,
                            format!("`{path}` is read, but `{}` does not depend on `{name}`: add it to `depends_on`", step.name),
                        );
                    }
                    Ok(Some((on, _))) => {
                        reads.insert(on);
                    }
                    Err(message) => self.fault(&place, message),
                }
            }
        }
        reads
    }
}

/// The step that a path reads, if it reads one.
fn read<'a>(path: &'a str, index: &BTreeMap<&str, usize>) -> Result<Option<(usize, &'a str)>, String> {
    let mut segments = path.split('.');
    match (segments.next().unwrap_or_default(), segments.next(), segments.next()) {
        ("input", ..) => Ok(None),
        ("steps", None, _) => {
            Err("`steps` is read as a whole: write `steps.NAME.output`, so that it is known which steps are read".to_owned())
        }
        ("steps", Some(name), rest) => match index.get(name) {
            None => Err(format!("`{path}` is read, but there is no step `{name}`")),
            Some(_) if rest.is_some_and(|r| r != "output") => {
                Err(format!("`{path}` is read, but all that can be read of a step is `steps.{name}.output`"))
            }
            Some(on) => Ok(Some((*on, name))),
        },
        (root, ..) => Err(format!("`{root}` is not known here: there is {}", ROOTS.map(|r| format!("`{r}`")).join(", "))),
    }
}

/// Why a source is not even compiled.
fn oversized(source: Source<'_>) -> Option<String> {
    match source {
        Source::Expression(text) if text.len() > EXPRESSION_MAX => {
            Some(format!("an expression has at most {EXPRESSION_MAX} bytes, not {}: split the step", text.len()))
        }
        Source::Text(text) if text.len() > TEMPLATE_MAX => Some(format!("a template has at most {TEMPLATE_MAX} bytes, not {}", text.len())),
        Source::Json(value) if too_deep(value) => Some(format!("lists and maps are nested at most {DEPTH_MAX} deep")),
        _ => None,
    }
}

fn is_name(text: &str, dash: bool) -> bool {
    text.len() <= NAME_MAX
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || (dash && b == b'-'))
}

fn name_rule(marks: &str) -> String {
    format!("write 1 to {NAME_MAX} lower-case letters, digits, {marks}, a letter first")
}

/// What is quoted of a text that somebody wrote.
fn clip(text: &str) -> String {
    text.chars().take(NAME_MAX).collect()
}
