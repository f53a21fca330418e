//! `tollgate init`: a small project that runs.

use std::path::Path;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// Runs it.
///
/// # Errors
/// When anything would be overwritten.
pub fn run(cx: &Context, dir: Option<&Path>, name: Option<String>) -> Result<(), Failure> {
    let dir = dir.unwrap_or(&cx.project);
    let folder = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let name = name.or_else(|| folder.file_name().map(|n| n.to_string_lossy().into_owned())).unwrap_or_else(|| "project".to_owned());
    if name.trim().is_empty() {
        return Err(Failure::new(Exit::Usage, "--name is empty: give the project a name"));
    }
    let files = tollgate_spec::scaffold(dir, &name).map_err(Failure::plain)?;
    if cx.out.json {
        cx.out.value(&serde_json::json!({"files": files}));
        return Ok(());
    }
    for file in &files {
        cx.out.line(format!("  {}", file.display()));
    }
    let project = if dir == Path::new(".") { String::new() } else { format!(" --project={}", shell(&dir.display().to_string())) };
    cx.out.line(format!(
        "\nNext, the second one in another terminal:\n  tollgate{project} dev\n  tollgate{project} events send demo.hello --payload '{{\"name\": \"Ada\"}}'"
    ));
    Ok(())
}

/// A text as a shell takes it for one word.
fn shell(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::shell;

    #[test]
    fn folders_are_quoted_where_a_shell_would_split_them() {
        assert_eq!([shell("a/b-c"), shell("my shop"), shell("it's")], ["a/b-c", "'my shop'", r"'it'\''s'"]);
    }
}
