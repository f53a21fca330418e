//! Where the root of a `files` connector may lie: not over the project that says what is allowed. Knows no operations.

use std::path::{Component, Path, PathBuf};

/// What is in a project beside its data: whoever writes there writes the rules, whoever reads there reads the keys.
const OF_THE_PROJECT: [&str; 3] = ["specs", "policies", ".tollgate"];

/// Where a path leads, links followed as far as it exists already.
pub(crate) fn real(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            // Behind a followed link this is the parent of where the link leads, as for the system.
            Component::ParentDir => {
                out.pop();
            }
            part => {
                out.push(part);
                out = out.canonicalize().unwrap_or(out);
            }
        }
    }
    out
}

/// Says why a root cannot be: it holds the project, or is part of what the project consists of.
pub(crate) fn check(root: &Path, project: &Path) -> Result<(), String> {
    let (root, project) = (real(root), real(project));
    if project.starts_with(&root) {
        return Err("it holds the project itself, with its specs, policies and keys: name a folder that is for the tools alone".into());
    }
    match OF_THE_PROJECT.iter().find(|own| root.starts_with(project.join(own))) {
        Some(own) => Err(format!("it lies in `{own}`, which is part of the project itself: name a folder that is for the tools alone")),
        None => Ok(()),
    }
}
