//! `tollgate check`: every fault of a project at once, each with its place.

use std::sync::Arc;

use serde_json::json;
use tollgate_core::spec::BundleSpec;
use tollgate_spec::{Fault, Pos, Project, merge};

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::node::{Assembled, Faults, assemble};

/// A project and what it compiles to, or every fault.
pub fn compile(cx: &Context) -> Result<(Project, Assembled), Vec<Fault>> {
    let (project, faults) = Project::load_lenient(&cx.project);
    let Some(project) = project else { return Err(faults) };
    match assemble(Arc::new(project.bundle.clone()), &project.root) {
        Ok(assembled) if faults.is_empty() => Ok((project, assembled)),
        Ok(_) => Err(faults),
        Err(more) => {
            let found = place(&project, more);
            Err(merge(faults, found))
        }
    }
}

/// Places of parts become places of files.
fn place(project: &Project, found: Faults) -> Vec<Fault> {
    let mut into = Vec::new();
    let fault = |(file, at): (String, Pos), message| Fault::at(file, at, message);
    for f in found.operators {
        into.push(fault(project.locate_operator(&f.operator, &f.place, f.line, f.column), format!("{}: {}", f.place, f.message)));
    }
    for f in found.connectors {
        let at = project.locate_connector(&f.connector, f.tool.as_deref(), &f.place, f.line, f.column);
        into.push(fault(at, format!("{}: {}", f.place, f.message)));
    }
    for f in found.policies {
        into.push(Fault { file: f.path, line: f.line, column: f.column, message: f.message, help: f.help });
    }
    into
}

/// What a bundle has, in words. The check that a files `write` brings along is nobody's tool.
pub fn counts(b: &BundleSpec) -> String {
    let tools = b.tools.keys().filter(|name| name.matches('.').count() == 1).count();
    let of = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    [of(b.connectors.len(), "connector"), of(tools, "tool"), of(b.operators.len(), "operator"), of(b.cedar.len(), "policy file")].join(", ")
}

/// Faults as a failure.
pub fn failure(faults: &[Fault]) -> Failure {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    let count = if lines.len() == 1 { "1 fault".to_owned() } else { format!("{} faults", lines.len()) };
    Failure::new(Exit::Faults, format!("the project has {count}\n  {}", lines.join("\n  ")))
}

/// Runs it.
///
/// # Errors
/// Every fault.
pub fn run(cx: &Context) -> Result<(), Failure> {
    match compile(cx) {
        Ok((project, assembled)) => {
            let unseen = assembled.policy.unmapped_paths();
            let mut warnings: Vec<String> = assembled.policy.warnings().iter().map(ToString::to_string).collect();
            if project.bundle.cedar.is_empty() {
                warnings.push("there are no policies: every action will be blocked".to_owned());
            }
            if cx.out.json {
                let unseen: Vec<_> = unseen.iter().map(|(tool, path, why)| json!({"tool": tool, "path": path, "why": why})).collect();
                cx.out
                    .value(&json!({"faults": [], "bundle": assembled.bundle.digest, "policies_cannot_see": unseen, "warnings": warnings}));
                return Ok(());
            }
            cx.out.line(format!("{}: {}; no faults", project.settings.name, counts(&project.bundle)));
            for (tool, path, why) in unseen {
                cx.out.line(format!("  note: policies cannot see `{path}` of `{tool}`: {why}"));
            }
            for warning in warnings {
                cx.out.line(format!("  warning: {warning}"));
            }
            Ok(())
        }
        Err(faults) => {
            if cx.out.json {
                let all: Vec<_> = faults
                    .iter()
                    .map(|f| json!({"file": f.file, "line": f.line, "column": f.column, "message": f.message, "help": f.help}))
                    .collect();
                cx.out.value(&json!({"faults": all}));
            }
            Err(failure(&faults))
        }
    }
}
