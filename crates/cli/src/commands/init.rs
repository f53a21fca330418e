//! `tollgate init`: a small project that runs.

use std::path::Path;

use crate::context::Context;
use crate::failure::Failure;

/// Runs it.
///
/// # Errors
/// When anything would be overwritten.
pub fn run(cx: &Context, dir: &Path, name: Option<String>) -> Result<(), Failure> {
    let folder = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let name = name.or_else(|| folder.file_name().map(|n| n.to_string_lossy().into_owned())).unwrap_or_else(|| "project".to_owned());
    let files = tollgate_spec::scaffold(dir, &name).map_err(Failure::plain)?;
    if cx.out.json {
        cx.out.value(&serde_json::json!({"files": files}));
        return Ok(());
    }
    for file in &files {
        cx.out.line(format!("  {}", file.display()));
    }
    let shown = dir.display();
    cx.out.line(format!(
        "\nNext:\n  tollgate --project {shown} dev\n  tollgate --project {shown} events send demo.hello --payload '{{\"name\": \"Ada\"}}'"
    ));
    Ok(())
}
