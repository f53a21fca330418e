//! Where Postgres' programs are: the caller's folder, PATH, then where distributions put them.

use std::cmp::Reverse;
use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::Missing;

/// Names the folder of the programs to use, and no other.
const FOLDER: &str = "TOLLGATE_POSTGRES_BIN";
/// Tollgate's statements need it.
const OLDEST: u32 = 15;

/// Postgres' programs of one version, 15 or newer.
#[derive(Clone, Debug)]
pub struct Programs {
    /// What `postgres --version` prints.
    pub version: String,
    /// Its first number.
    pub major: u32,
    /// Makes a cluster.
    pub initdb: PathBuf,
    /// The server.
    pub postgres: PathBuf,
    /// Controls a server.
    pub pg_ctl: PathBuf,
    /// Writes a database out, when there.
    pub pg_dump: Option<PathBuf>,
    /// Reads it in again, when there.
    pub pg_restore: Option<PathBuf>,
    /// The client, when there.
    pub psql: Option<PathBuf>,
}

/// Why a folder will not do.
enum Unfit {
    Absent,
    Because(String),
}

impl Programs {
    /// Finds them in `TOLLGATE_POSTGRES_BIN` (then nowhere else), PATH, Debian's, Red Hat's and Homebrew's folders, the newest version first.
    pub fn find() -> Result<Self, Missing> {
        let path = path_folders();
        if let Some(folder) = env::var_os(FOLDER).filter(|v| !v.is_empty()).map(PathBuf::from) {
            return Self::among([folder.clone()], &path, &format!("{FOLDER} names {}, which has none", folder.display()));
        }
        Self::among(path.iter().cloned().chain(usual_folders()), &path, "looked in PATH and the usual folders")
    }

    fn among(folders: impl IntoIterator<Item = PathBuf>, path: &[PathBuf], none: &str) -> Result<Self, Missing> {
        let mut because = None;
        for folder in folders {
            match Self::inspect(&folder, path) {
                Ok(found) => return Ok(found),
                Err(Unfit::Absent) => {}
                Err(Unfit::Because(why)) => because = because.or(Some(why)),
            }
        }
        Err(Missing { found: because.unwrap_or_else(|| none.to_owned()) })
    }

    fn inspect(folder: &Path, path: &[PathBuf]) -> Result<Self, Unfit> {
        let linked = executable(folder, "postgres").ok_or(Unfit::Absent)?;
        // A link stands beside other things than the programs of its version.
        let real = fs::canonicalize(&linked).ok().and_then(|p| p.parent().map(Path::to_owned));
        let home = real.filter(|r| executable(r, "initdb").is_some()).unwrap_or_else(|| folder.to_owned());
        let needed =
            |name| executable(&home, name).ok_or_else(|| Unfit::Because(format!("{} has a postgres and no {name}", home.display())));
        let (postgres, initdb, pg_ctl) = (needed("postgres")?, needed("initdb")?, needed("pg_ctl")?);
        let version = version(&postgres).map_err(Unfit::Because)?;
        let major = major(&version).ok_or_else(|| Unfit::Because(format!("{} calls itself `{version}`", postgres.display())))?;
        if major < OLDEST {
            return Err(Unfit::Because(format!("{} is {version}", postgres.display())));
        }
        let client = |name| executable(&home, name).or_else(|| path.iter().find_map(|f| executable(f, name)));
        let (pg_dump, pg_restore, psql) = (client("pg_dump"), client("pg_restore"), client("psql"));
        Ok(Self { version, major, initdb, postgres, pg_ctl, pg_dump, pg_restore, psql })
    }
}

/// `psql` for a server that somebody else runs: the server's programs need not be there.
pub(crate) fn find_psql() -> Option<PathBuf> {
    Programs::find().ok().and_then(|p| p.psql).or_else(|| path_folders().iter().find_map(|f| executable(f, "psql")))
}

fn path_folders() -> Vec<PathBuf> {
    env::var_os("PATH").map(|p| env::split_paths(&p).filter(|f| f.is_absolute()).collect()).unwrap_or_default()
}

fn usual_folders() -> Vec<PathBuf> {
    let mut out = newest_first(Path::new("/usr/lib/postgresql"), "");
    out.extend(newest_first(Path::new("/usr"), "pgsql-"));
    for cellar in ["/opt/homebrew/opt", "/usr/local/opt", "/home/linuxbrew/.linuxbrew/opt"] {
        out.extend(newest_first(Path::new(cellar), "postgresql@"));
        out.push(Path::new(cellar).join("postgresql"));
    }
    out.iter().map(|f| f.join("bin")).collect()
}

/// The folders called `<prefix><version>` in `parent`, the newest first.
fn newest_first(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let names = fs::read_dir(parent).into_iter().flatten().flatten().filter_map(|e| e.file_name().into_string().ok());
    let mut versions: Vec<(Vec<u32>, String)> = names
        .filter_map(|name| {
            let numbers = name.strip_prefix(prefix)?.split('.').map(|n| n.parse().ok()).collect::<Option<Vec<u32>>>()?;
            Some((numbers, name))
        })
        .collect();
    versions.sort_by_key(|(numbers, _)| Reverse(numbers.clone()));
    versions.into_iter().map(|(_, name)| parent.join(name)).collect()
}

fn executable(folder: &Path, name: &str) -> Option<PathBuf> {
    let path = folder.join(name);
    let meta = fs::metadata(&path).ok()?;
    (meta.is_file() && meta.permissions().mode() & 0o111 != 0).then_some(path)
}

fn version(postgres: &Path) -> Result<String, String> {
    let answer = Command::new(postgres).arg("--version").stdin(Stdio::null()).output();
    match answer {
        Ok(out) if out.status.success() => Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned()),
        Ok(out) => Err(format!("{} does not run ({})", postgres.display(), out.status)),
        Err(e) => Err(format!("{} does not run: {e}", postgres.display())),
    }
}

/// `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`, `... 18devel`.
fn major(version: &str) -> Option<u32> {
    let number = version.split_once(" (PostgreSQL) ")?.1;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]
    use super::*;

    fn install(folder: &Path, version: &str) {
        fs::create_dir_all(folder).unwrap();
        for name in ["postgres", "initdb", "pg_ctl"] {
            let file = folder.join(name);
            // Written by another process: a file that this one holds open for writing while a test beside it forks cannot be run.
            let script = format!("printf '#!/bin/sh\\necho \"{name} (PostgreSQL) {version}\"\\n' > \"$0\" && chmod 755 \"$0\"");
            assert!(Command::new("sh").args(["-c", &script]).arg(&file).status().unwrap().success());
        }
    }

    #[test]
    fn numbers_of_versions() {
        assert_eq!(major("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)"), Some(15));
        assert_eq!(major("postgres (PostgreSQL) 18devel"), Some(18));
        assert_eq!(major("something else"), None);
    }

    #[test]
    fn the_newest_folder_comes_first_by_number() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["pgsql-9.6", "pgsql-15", "pgsql-17", "pgsql-100", "pgsql-", "pgsql-x", "other"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let names: Vec<_> =
            newest_first(dir.path(), "pgsql-").iter().map(|p| p.file_name().unwrap().to_str().unwrap().to_owned()).collect();
        assert_eq!(names, ["pgsql-100", "pgsql-17", "pgsql-15", "pgsql-9.6"]);
    }

    #[test]
    fn an_old_version_is_passed_over_and_named_when_there_is_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("old"), dir.path().join("new"));
        install(&old, "14.9");
        install(&new, "16.1");
        let found = Programs::among([dir.path().join("none"), old.clone(), new.clone()], &[], "none").unwrap();
        assert_eq!((found.major, found.initdb), (16, fs::canonicalize(new).unwrap().join("initdb")));
        assert!(found.psql.is_none());
        let missing = Programs::among([old], &[], "none").unwrap_err().to_string();
        assert!(missing.contains("14.9") && !missing.contains('\n'), "{missing}");
    }

    #[test]
    fn a_link_leads_to_the_programs_of_its_version_and_clients_may_lie_in_path() {
        let dir = tempfile::tempdir().unwrap();
        let (real, links) = (dir.path().join("real"), dir.path().join("links"));
        install(&real, "15.2");
        fs::create_dir(&links).unwrap();
        std::os::unix::fs::symlink(real.join("postgres"), links.join("postgres")).unwrap();
        install(&dir.path().join("clients"), "15.2");
        fs::rename(dir.path().join("clients/initdb"), dir.path().join("clients/psql")).unwrap();
        let found = Programs::among([links], &[dir.path().join("clients")], "none").unwrap();
        assert_eq!(found.pg_ctl, fs::canonicalize(real).unwrap().join("pg_ctl"));
        assert_eq!(found.psql, Some(dir.path().join("clients/psql")));
    }

    #[test]
    fn half_an_installation_says_what_it_lacks() {
        let dir = tempfile::tempdir().unwrap();
        install(dir.path(), "15.2");
        fs::remove_file(dir.path().join("pg_ctl")).unwrap();
        let missing = Programs::among([dir.path().to_owned()], &[], "none").unwrap_err().to_string();
        assert!(missing.contains("no pg_ctl"), "{missing}");
    }
}
