//! The files of a project: found in a fixed order, bounded, never through a link that leads out. Must not know what they say.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::fault::{Fault, Pos};

/// Longest file, in bytes.
const BYTES_MAX: u64 = 1024 * 1024;
/// Most files of a project.
const FILES_MAX: usize = 2000;
/// Deepest folder below `specs` and `policies`.
const DEPTH_MAX: usize = 16;

/// The file with the settings.
pub(crate) const SETTINGS_FILE: &str = "tollgate.toml";

/// A text file of a project.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// Inside the project, with `/`.
    pub path: String,
    pub text: String,
}

/// All files of a project, sorted by path.
#[derive(Default, Debug)]
pub(crate) struct Sources {
    pub settings: Option<Source>,
    pub specs: Vec<Source>,
    pub policies: Vec<Source>,
}

/// Reads a project folder. `None` when there is no project to read.
pub(crate) fn read(root: &Path, faults: &mut Vec<Fault>) -> Option<Sources> {
    let shown = root.display().to_string();
    let init = format!("`tollgate init {shown}` makes a project");
    if !root.is_dir() {
        let what = if root.exists() { "this is not a folder" } else { "this folder does not exist" };
        faults.push(Fault::whole(shown, what).help(init));
        return None;
    }
    let real = match root.canonicalize() {
        Ok(real) => real,
        Err(e) => {
            faults.push(Fault::whole(shown, format!("this folder cannot be opened: {}", words(&e))));
            return None;
        }
    };
    let has = |name: &str| root.join(name).symlink_metadata().is_ok();
    if !has(SETTINGS_FILE) && !has("specs") {
        let message = "this folder is not a project: it holds neither `tollgate.toml` nor `specs`";
        faults.push(Fault::whole(shown, message).help(init));
        return None;
    }
    let mut reader = Reader { root, real, faults, count: 0, entered: BTreeSet::new() };
    let settings = if has(SETTINGS_FILE) { reader.file(Path::new(SETTINGS_FILE)) } else { None };
    let specs = if has("specs") { reader.folder("specs", &["yaml", "yml"]) } else { Vec::new() };
    let policies = if has("policies") { reader.folder("policies", &["cedar"]) } else { Vec::new() };
    Some(Sources { settings, specs, policies })
}

struct Reader<'a> {
    root: &'a Path,
    /// The root without links.
    real: PathBuf,
    faults: &'a mut Vec<Fault>,
    count: usize,
    /// Folders already entered, without links: a link to one of them would be a circle, or its files twice.
    entered: BTreeSet<PathBuf>,
}

impl Reader<'_> {
    fn fault(&mut self, path: &Path, message: impl Into<String>) {
        self.faults.push(Fault::whole(slashed(path), message));
    }

    /// The files below a folder whose names end so, sorted by path.
    fn folder(&mut self, name: &str, endings: &[&str]) -> Vec<Source> {
        let mut found = Vec::new();
        self.walk(Path::new(name), endings, 0, &mut found);
        found.sort();
        found.iter().filter_map(|path| self.file(path)).collect()
    }

    fn walk(&mut self, folder: &Path, endings: &[&str], depth: usize, found: &mut Vec<PathBuf>) {
        if depth > DEPTH_MAX {
            return self.fault(folder, format!("folders are nested more than {DEPTH_MAX} deep"));
        }
        let Some(real) = self.inside(folder) else { return };
        if !self.entered.insert(real.clone()) {
            return self.fault(folder, "this is a link to a folder that is read already: remove it");
        }
        let entries = match std::fs::read_dir(&real) {
            Ok(entries) => entries,
            Err(e) => return self.fault(folder, format!("this folder cannot be read: {}", words(&e))),
        };
        let mut paths: Vec<PathBuf> = entries.filter_map(Result::ok).map(|e| folder.join(e.file_name())).collect();
        paths.sort();
        for path in paths {
            // Names that begin with a dot belong to editors and tools.
            let hidden = path.file_name().is_none_or(|n| n.to_string_lossy().starts_with('.'));
            let wanted = path.extension().is_some_and(|e| endings.iter().any(|end| e == *end));
            if hidden {
                continue;
            }
            if self.root.join(&path).is_dir() {
                self.walk(&path, endings, depth + 1, found);
            } else if wanted {
                self.count += 1;
                if self.count > FILES_MAX {
                    return self.fault(folder, format!("a project has at most {FILES_MAX} files"));
                }
                found.push(path);
            }
        }
    }

    /// Where a path leads without links, when that is inside the project.
    fn inside(&mut self, path: &Path) -> Option<PathBuf> {
        match self.root.join(path).canonicalize() {
            Ok(real) if real.starts_with(&self.real) => return Some(real),
            Ok(_) => self.fault(path, "this link leads out of the project: copy what it leads to into the project"),
            Err(e) => self.fault(path, format!("this cannot be opened: {}", words(&e))),
        }
        None
    }

    fn file(&mut self, path: &Path) -> Option<Source> {
        let real = self.inside(path)?;
        let meta = match std::fs::metadata(&real) {
            Ok(meta) => meta,
            Err(e) => {
                self.fault(path, format!("this file cannot be read: {}", words(&e)));
                return None;
            }
        };
        if !meta.is_file() {
            self.fault(path, "this is not a file");
            return None;
        }
        if meta.len() > BYTES_MAX {
            self.fault(path, format!("this file is longer than {BYTES_MAX} bytes: split it"));
            return None;
        }
        let bytes = match std::fs::read(&real) {
            Ok(bytes) => bytes,
            Err(e) => {
                self.fault(path, format!("this file cannot be read: {}", words(&e)));
                return None;
            }
        };
        let path = slashed(path);
        text(&path, bytes).map_err(|fault| self.faults.push(fault)).ok().map(|text| Source { path, text })
    }
}

/// Bytes as text that people can see: UTF-8 without control characters.
pub(crate) fn text(path: &str, bytes: Vec<u8>) -> Result<String, Fault> {
    let place = |before: &str| crate::toml_tree::position(before, before.len());
    let text = String::from_utf8(bytes).map_err(|e| {
        let valid = e.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(e.as_bytes().get(..valid).unwrap_or_default()).into_owned();
        Fault::at(path, place(&before), "this is not UTF-8 text").help("save the file as UTF-8")
    })?;
    let text = text.strip_prefix('\u{feff}').map_or(text.clone(), str::to_owned);
    let odd = text.char_indices().find(|(_, c)| c.is_control() && !matches!(c, '\n' | '\r' | '\t'));
    match odd {
        None => Ok(text),
        Some((at, c)) => {
            let message = format!("here stands the control character U+{:04X}", u32::from(c));
            Err(Fault::at(path, place(text.get(..at).unwrap_or_default()), message)
                .help("remove it; inside double quotes it can be written as an escape"))
        }
    }
}

fn slashed(path: &Path) -> String {
    path.components().map(|c| c.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

fn words(e: &std::io::Error) -> String {
    match e.kind() {
        std::io::ErrorKind::NotFound => "it does not exist".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission is denied".to_owned(),
        _ => e.to_string().to_lowercase(),
    }
}

/// A place inside the text, whatever a parser said of it.
pub(crate) fn within(text: &str, at: Pos) -> Pos {
    if at.line == 0 {
        return at;
    }
    let lines: Vec<&str> = text.split('\n').collect();
    let last = u32::try_from(lines.len()).unwrap_or(u32::MAX);
    let line = at.line.clamp(1, last);
    let length = lines.get(line as usize - 1).map_or(0, |l| l.chars().count());
    let column = if at.line > last { u32::MAX } else { at.column };
    Pos { line, column: column.clamp(1, u32::try_from(length).unwrap_or(u32::MAX).saturating_add(1)) }
}
