//! The statements that stand in the crate's source, found by reading it: every string that begins as one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Which engine runs a statement.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum On {
    Sqlite,
    Postgres,
    Both,
}

/// A statement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// The file, from `src` on.
    pub file: String,
    pub line: usize,
    pub on: On,
    pub text: String,
}

/// A string of a file, and the constant that it is the value of.
struct Literal {
    line: usize,
    constant: Option<String>,
    text: String,
}

/// Strings that are put together by code, each with how it is covered. One that is not here fails the test.
const FORMATTED: &[(&str, &str)] = &[
    ("WITH x AS ({} RETURNING 1) SELECT expect(", "every change of Postgres is prepared in this form too"),
    ("INSERT INTO meta (k, v) VALUES ('{k}', {v})", "run by every migration"),
    ("SELECT id, {rule} AS over FROM {} WHERE", "retention's: run by the simulator's tests of it"),
    ("SELECT EXISTS (SELECT 1 FROM {} WHERE id = ?1 AND {rule})", "the same"),
    ("SELECT MAX(pos), MIN(received_at), COUNT(*) FROM (SELECT", "the same"),
    ("SELECT MAX(digest), COUNT(*) FROM (SELECT", "the same"),
    ("SELECT MAX(pos), MIN(at), COUNT(*) FROM (SELECT", "the same"),
    ("DELETE FROM events WHERE pos > ?1 AND pos <= ?2", "the same"),
    ("SELECT log, size, signed FROM checkpoints WHERE (log, size) >", "the same"),
    ("SELECT e.n FROM entries e LEFT JOIN actions a", "the same"),
    ("SELECT {}, {names} FROM {} {past} ORDER BY {names}", "a tenant's removal: run by the tests of it"),
    ("DELETE FROM {} WHERE {at} AND {}", "the same"),
    ("UPDATE {table} SET {columns} WHERE pos = ?1", "the same"),
    ("SELECT MAX(pos) FROM {name} WHERE tenant_id = ?1", "the same"),
    ("SELECT (SELECT COUNT(*) FROM runs WHERE tenant_id = ?1", "the same"),
    ("SELECT MIN(created_at) FROM runs WHERE state NOT IN", "of the statistics, which the same tests read"),
    ("SELECT COUNT(*) FROM \"{name}\"", "the same"),
    ("SELECT format('{sql}', $1::text)", "run wherever a database of its own is made"),
    ("SELECT pg_advisory_lock({LOCK})", "run wherever a login is made"),
];

/// Constants that are the beginning of statements and none by themselves.
const BEGINNINGS: &[&str] = &["ACTIONS", "COLUMNS", "ENTRY", "REASON_STEP"];

/// Statements of files that both engines share, which only one runs: whose form the other has under the same name.
const ONE_ENGINE: &[(&str, On)] = &[("= ANY($1)", On::Postgres)];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// The strings of a source text, comments and tests aside.
fn literals(source: &str) -> Vec<Literal> {
    let source = source.split("#[cfg(test)]\nmod ").next().unwrap();
    let c: Vec<char> = source.chars().collect();
    let (mut out, mut i, mut line) = (Vec::new(), 0, 1);
    let mut code = String::new();
    while i < c.len() {
        match c[i] {
            '/' if c.get(i + 1) == Some(&'/') => {
                while i < c.len() && c[i] != '\n' {
                    i += 1;
                }
            }
            // A character, or a lifetime.
            '\'' if c.get(i + 1) == Some(&'\\') => i += 4,
            '\'' if c.get(i + 2) == Some(&'\'') => i += 3,
            'r' if c.get(i + 1) == Some(&'"') || (c.get(i + 1) == Some(&'#') && c.get(i + 2) == Some(&'"')) => {
                panic!("line {line}: say here how raw strings are read")
            }
            '"' => {
                let (start, mut text) = (line, String::new());
                i += 1;
                while c[i] != '"' {
                    match (c[i], c.get(i + 1)) {
                        ('\\', Some('\n')) => {
                            i += 2;
                            line += 1;
                            while c[i].is_whitespace() {
                                line += usize::from(c[i] == '\n');
                                i += 1;
                            }
                            continue;
                        }
                        ('\\', Some('n')) => text.push('\n'),
                        ('\\', Some(x)) => text.push(*x),
                        (x, _) => {
                            line += usize::from(x == '\n');
                            text.push(x);
                            i += 1;
                            continue;
                        }
                    }
                    i += 2;
                }
                i += 1;
                out.push(Literal { line: start, constant: constant(&code), text });
            }
            x => {
                line += usize::from(x == '\n');
                code.push(x);
                i += 1;
            }
        }
    }
    out
}

/// The name in `const NAME: &str =` at the end of what comes before a string.
fn constant(before: &str) -> Option<String> {
    let name = before.trim_end().strip_suffix('=')?.trim_end().strip_suffix(": &str")?;
    let start = name.rfind("const ")?;
    Some(name[start + 6..].to_owned())
}

fn is_statement(text: &str) -> bool {
    let text = text.trim();
    let word = text.split(|c: char| c.is_whitespace() || c == '(').next().unwrap_or_default();
    // A journal mode of SQLite has a name like that.
    if word == text {
        return false;
    }
    ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"].contains(&word)
}

/// The strings of one file.
pub fn strings(file: &str) -> Vec<String> {
    literals(&fs::read_to_string(root().join(file)).unwrap()).into_iter().map(|l| l.text).collect()
}

/// Every statement of the crate.
pub fn statements() -> Vec<Found> {
    let mut paths = Vec::new();
    files(&root(), &mut paths);
    paths.sort();
    let read: Vec<(String, Vec<Literal>)> = paths
        .iter()
        .map(|p| (p.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(), literals(&fs::read_to_string(p).unwrap())))
        .collect();
    let constants: BTreeMap<(&str, &str), &str> = read
        .iter()
        .flat_map(|(file, all)| all.iter().filter_map(move |l| Some(((l.constant.as_deref()?, file.as_str()), l.text.as_str()))))
        .collect();
    let mut out = Vec::new();
    for (file, all) in &read {
        for l in all {
            let text = expand(&l.text, file, &constants);
            let beginning = l.constant.as_deref().is_some_and(|c| BEGINNINGS.contains(&c));
            if !is_statement(&text) || beginning {
                continue;
            }
            if text.contains('{') {
                let known = FORMATTED.iter().any(|(start, _)| text.starts_with(start));
                assert!(known, "{file}:{}: this statement is put together by code: say in FORMATTED how it is tested: {text}", l.line);
                continue;
            }
            let own = ONE_ENGINE.iter().find(|(part, _)| text.contains(part)).map(|(_, on)| *on);
            let on = match file.split('/').next().unwrap() {
                "sqlite" => On::Sqlite,
                "postgres" | "testing.rs" => On::Postgres,
                _ => own.unwrap_or(On::Both),
            };
            out.push(Found { file: file.clone(), line: l.line, on, text });
        }
    }
    out
}

/// Puts constants in their places.
fn expand(text: &str, file: &str, constants: &BTreeMap<(&str, &str), &str>) -> String {
    let mut out = text.to_owned();
    for _ in 0..4 {
        let Some(name) = out
            .split('{')
            .skip(1)
            .filter_map(|t| t.split_once('}'))
            .map(|(n, _)| n.to_owned())
            .find(|n| !n.is_empty() && n.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
        else {
            break;
        };
        let here = constants.get(&(name.as_str(), file)).copied();
        let anywhere = || constants.iter().find(|((n, _), _)| *n == name).map(|(_, t)| *t);
        let Some(value) = here.or_else(anywhere) else { break };
        out = out.replace(&format!("{{{name}}}"), value);
    }
    out
}

/// How many values a statement takes.
pub fn parameters(text: &str) -> usize {
    numbers(text).into_iter().max().unwrap_or(0)
}

/// The numbers of its parameters, as they come.
pub fn numbers(text: &str) -> Vec<usize> {
    let number = |t: &str| t.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok();
    text.split(['$', '?']).skip(1).filter_map(number).collect()
}
