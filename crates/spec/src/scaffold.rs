//! A small project that runs, for `tollgate init`. Must not overwrite anything.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The files of a new project. `NAME` stands for the project's name.
const FILES: [(&str, &str); 5] = [
    ("tollgate.toml", include_str!("../scaffold/tollgate.toml")),
    ("specs/notes.yaml", include_str!("../scaffold/notes.yaml")),
    ("specs/greeter.yaml", include_str!("../scaffold/greeter.yaml")),
    ("policies/main.cedar", include_str!("../scaffold/main.cedar")),
    (".gitignore", include_str!("../scaffold/gitignore")),
];

/// Why nothing was made.
#[derive(Debug, thiserror::Error)]
pub enum ScaffoldError {
    /// Files of that name are there already.
    #[error("`{}` is there already, and nothing was written: choose an empty folder", .0.display())]
    Exists(PathBuf),
    /// The disk said no.
    #[error("`{}` cannot be written: {}", .0.display(), .1)]
    Io(PathBuf, std::io::Error),
}

/// Makes a project in `root` and gives the files in the order to read them.
///
/// # Errors
/// When one of its files is there already, before anything is written; when the disk refuses.
pub fn scaffold(root: &Path, name: &str) -> Result<Vec<PathBuf>, ScaffoldError> {
    let paths = FILES.map(|(path, _)| root.join(path));
    if let Some(taken) = paths.iter().find(|p| p.symlink_metadata().is_ok()) {
        return Err(ScaffoldError::Exists(taken.clone()));
    }
    for (path, (_, text)) in paths.iter().zip(FILES) {
        let text = text.replace("NAME", &name.replace(['\\', '"'], "").replace(char::is_control, " "));
        write(path, &text).map_err(|e| ScaffoldError::Io(path.clone(), e))?;
    }
    Ok(paths.to_vec())
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}
