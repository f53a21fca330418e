//! Paths below a root, as text: what can be refused without looking at the disk.

/// Longest path, in bytes.
const MAX_BYTES: usize = 1024;
/// Longest name of one file or folder, in bytes: the bound of common file systems.
const MAX_NAME: usize = 255;
/// How names of temporary files begin; no other file may be called so.
pub(crate) const TEMP_PREFIX: &str = ".tollgate-";

/// The folders and the name of a path below the root.
pub(crate) fn split(path: &str) -> Result<(Vec<&str>, &str), String> {
    let shown = path.escape_debug();
    if path.is_empty() {
        return Err("the path is empty".into());
    }
    if path.len() > MAX_BYTES {
        return Err(format!("the path is longer than {MAX_BYTES} bytes"));
    }
    if path.contains(char::is_control) {
        return Err(format!("the path `{shown}` holds a control character"));
    }
    if path.contains('\\') {
        return Err(format!("the path `{shown}` holds a backslash: write `/` between folders"));
    }
    if path.starts_with('/') {
        return Err(format!("the path `{shown}` is absolute: write it relative to the connector's root"));
    }
    let mut parts: Vec<&str> = path.split('/').collect();
    for part in &parts {
        match *part {
            "" => return Err(format!("the path `{shown}` has an empty part")),
            "." | ".." => return Err(format!("the path `{shown}` holds `{part}`: paths only lead down from the connector's root")),
            part if part.len() > MAX_NAME => return Err(format!("a name in the path is longer than {MAX_NAME} bytes")),
            // Wherever the root lies: the keys of the service are in a folder of this name.
            ".tollgate" => return Err(format!("the path `{shown}` leads into `.tollgate`, which is the service's own")),
            part if part.starts_with(TEMP_PREFIX) => {
                return Err(format!("the path `{shown}` uses the prefix `{TEMP_PREFIX}`, which is kept for temporary files"));
            }
            _ => {}
        }
    }
    let name = parts.pop().ok_or("the path is empty")?;
    Ok((parts, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_only_lead_down() {
        assert_eq!(split("a/b/c.txt"), Ok((vec!["a", "b"], "c.txt")));
        assert_eq!(split("..a"), Ok((vec![], "..a")));
        for bad in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a/..",
            "./a",
            "a//b",
            "a/",
            "a\0b",
            "a\nb",
            "a\\b",
            ".tollgate-1",
            "x/.tollgate-2",
            ".tollgate/master.key",
            "x/.tollgate/y",
        ] {
            assert!(split(bad).is_err(), "{bad:?}");
        }
        assert!(split(&"x".repeat(256)).is_err());
        assert!(split(&"x/".repeat(1000)).is_err());
    }
}
