//! One server of our own: its folder, its port, its life.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::account::Account;
use crate::deadline::poll;
use crate::error::{SqlError, StartError, StopError};
use crate::folder;
use crate::options::Options;
use crate::port::Port;
use crate::postmaster::Postmaster;
use crate::programs::Programs;
use crate::psql;
use crate::shared::Shared;
use crate::template::Template;

/// The role that may do everything.
pub(crate) const SUPERUSER: &str = "postgres";
/// Recovery after a kill is part of it.
const START_WITHIN: Duration = Duration::from_secs(120);
/// A fast stop writes a checkpoint.
const STOP_WITHIN: Duration = Duration::from_secs(120);
/// How long the processes of a killed server may take to let go of its memory, or another program of its port.
const FREE_WITHIN: Duration = Duration::from_secs(20);
/// How often a port may be snatched away.
const PORTS: u32 = 10;
/// Lines of the log in an error.
const LINES: usize = 20;

/// How a server is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Clients are sent away, everything is written out.
    Fast,
    /// Dropped as it is; the next start recovers.
    Immediate,
}

/// A server of our own. Dropped, it is stopped and its folder removed; it also goes when this process ends in any other way.
#[derive(Debug)]
pub struct Server {
    // Dropped in this order: stopped first, then removed.
    postmaster: Option<Postmaster>,
    port: Port,
    folder: TempDir,
    password: String,
    programs: Programs,
    account: Account,
}

/// Why one try to start did not succeed.
enum Failure {
    /// Something else holds what it needs, for now.
    Taken(String),
    Final(StartError),
}

impl From<StartError> for Failure {
    fn from(e: StartError) -> Self {
        Self::Final(e)
    }
}

impl Server {
    /// Makes a cluster and starts a server on it; it is ready when this returns.
    pub fn start(options: &Options) -> Result<Self, StartError> {
        Self::start_on(options, Port::free)
    }

    /// The server that `TOLLGATE_TEST_POSTGRES` names, or one of our own that lasts as long as somebody in this process uses it.
    pub fn shared() -> Result<Shared, StartError> {
        Shared::find()
    }

    fn start_on(options: &Options, mut port: impl FnMut() -> io::Result<Port>) -> Result<Self, StartError> {
        options.check()?;
        let programs = Programs::find()?;
        let account = Account::find()?;
        let base = folder::base(options.within.as_deref(), &account)?;
        let folder =
            tempfile::Builder::new().prefix(folder::PREFIX).tempdir_in(&base).map_err(StartError::io("making a folder in", &base))?;
        account.give(folder.path())?;
        let password = Template::new(&base, &programs, &account).copy_to(&folder.path().join("data"))?;
        let mut next = || port().map_err(StartError::io("taking a port of", Path::new("127.0.0.1")));
        let mut server = Self { postmaster: None, port: next()?, folder, password, programs, account };
        folder::make_private(&server.socket_folder(), &account)?;
        append(&server.data_dir().join("postgresql.conf"), "\ninclude 'private.conf'\n")?;
        let mut tried = 0;
        loop {
            server.configure(options)?;
            tried += 1;
            match server.launch() {
                Ok(()) => return Ok(server),
                Err(Failure::Taken(log)) if tried == PORTS => return Err(StartError::NoPort { tried, log }),
                Err(Failure::Taken(_)) => server.port = next()?,
                Err(Failure::Final(e)) => return Err(e),
            }
        }
    }

    /// The superuser's address of a database.
    pub fn url(&self, database: &str) -> String {
        psql::with_database(&format!("postgres://{SUPERUSER}:{}@{}:{}", self.password, self.host(), self.port()), database)
    }

    /// Where it listens.
    pub fn host(&self) -> Ipv4Addr {
        Ipv4Addr::LOCALHOST
    }

    /// Its port, the same after a restart.
    pub fn port(&self) -> u16 {
        self.port.number
    }

    /// The folder of its unix socket, over which nobody is asked for a password; only the account it runs as (and root) can enter.
    pub fn socket_folder(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// The cluster's files.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What they take on the disk, in bytes.
    pub fn disk_usage(&self) -> io::Result<u64> {
        folder::disk_usage(&self.data_dir())
    }

    /// The programs it was started from.
    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// Makes an empty database.
    pub fn create_database(&self, name: &str) -> Result<(), SqlError> {
        self.psql("postgres", &psql::create(name)?).map(drop)
    }

    /// Runs statements in a database as the superuser; gives the rows, columns parted by `|`.
    pub fn psql(&self, database: &str, sql: &str) -> Result<String, SqlError> {
        psql::run(self.programs.psql.as_deref(), &self.url(database), sql)
    }

    /// Stops it if it runs, and starts it on the same files and port.
    pub fn restart(&mut self, mode: Mode) -> Result<(), StartError> {
        self.stop(mode)?;
        let mut why = String::new();
        let started = poll(FREE_WITHIN, || match self.launch() {
            Ok(()) => Ok(Some(())),
            Err(Failure::Taken(log)) => {
                why = log;
                Ok(None)
            }
            Err(Failure::Final(e)) => Err(e),
        })?;
        started.ok_or(StartError::Slow { seconds: FREE_WITHIN.as_secs(), log: why })
    }

    /// Stops it; `restart` starts it again. Nothing happens if it does not run.
    pub fn stop(&mut self, mode: Mode) -> Result<(), StopError> {
        let signal = match mode {
            Mode::Fast => Signal::INT,
            Mode::Immediate => Signal::QUIT,
        };
        self.end(|postmaster| postmaster.signal(signal))
    }

    /// Kills it and all its processes with SIGKILL; `restart` starts it again.
    pub fn kill9(&mut self) -> Result<(), StopError> {
        self.end(Postmaster::kill)
    }

    /// The last lines of its log.
    pub fn log_tail(&self, lines: usize) -> String {
        let text = self.log_from(0).unwrap_or_else(|e| format!("{}: {e}", self.log().display()));
        tail(&text, lines)
    }

    fn end(&mut self, how: impl FnOnce(&mut Postmaster) -> io::Result<()>) -> Result<(), StopError> {
        let Some(postmaster) = self.postmaster.as_mut() else { return Ok(()) };
        how(postmaster)?;
        if !postmaster.ends_within(STOP_WITHIN)? {
            return Err(StopError::Slow { seconds: STOP_WITHIN.as_secs(), log: self.log_tail(LINES) });
        }
        self.postmaster = None;
        Ok(())
    }

    /// The file of its log, which goes on over restarts.
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn configure(&self, options: &Options) -> Result<(), StartError> {
        let file = self.data_dir().join("private.conf");
        fs::write(&file, options.configuration(self.port(), &self.socket_folder())).map_err(StartError::io("writing", &file))?;
        self.account.give(&file)
    }

    /// One try, until the server is ready or has ended.
    fn launch(&mut self) -> Result<(), Failure> {
        let log = OpenOptions::new().create(true).append(true).open(self.log()).map_err(StartError::io("opening", &self.log()))?;
        let before = log.metadata().map_err(StartError::io("reading", &self.log()))?.len();
        let postgres = &self.programs.postgres;
        let mut postmaster = Postmaster::spawn(postgres, &self.data_dir(), self.folder.path(), log, &self.account)
            .map_err(StartError::io("starting", postgres))?;
        let status_file = self.data_dir().join("postmaster.pid");
        let found = poll(START_WITHIN, || {
            let ended = postmaster.ended()?.map(Err);
            Ok::<_, io::Error>(ended.or_else(|| is_ready(&status_file, postmaster.pid()).then_some(Ok(()))))
        });
        match found.map_err(StartError::io("waiting for", postgres))? {
            Some(Ok(())) => {
                self.postmaster = Some(postmaster);
                Ok(())
            }
            Some(Err(status)) => {
                let log = self.log_from(before).map_err(StartError::io("reading", &self.log()))?;
                let end = tail(&log, LINES);
                if is_taken(&log) { Err(Failure::Taken(end)) } else { Err(StartError::Ended { status, log: end }.into()) }
            }
            None => Err(StartError::Slow { seconds: START_WITHIN.as_secs(), log: self.log_tail(LINES) }.into()),
        }
    }

    /// The log from there on, at most its last 64 KiB.
    fn log_from(&self, offset: u64) -> io::Result<String> {
        let mut file = File::open(self.log())?;
        let start = offset.max(file.metadata()?.len().saturating_sub(64 * 1024));
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// `postmaster.pid` holds the process id in its first line and the state in its eighth; a killed server's is still there.
fn is_ready(status_file: &Path, pid: i32) -> bool {
    let Ok(text) = fs::read_to_string(status_file) else { return false };
    let mut lines = text.lines().map(str::trim);
    lines.next() == Some(pid.to_string().as_str()) && lines.nth(6) == Some("ready")
}

/// Somebody took the port, or a dying process still holds the memory or the lock file: another try may succeed.
fn is_taken(log: &str) -> bool {
    let signs = ["could not create any TCP/IP sockets", "pre-existing shared memory block", "Is another postmaster ("];
    log.lines().any(|line| signs.iter().any(|sign| line.contains(sign)))
}

fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
}

fn append(path: &Path, text: &str) -> Result<(), StartError> {
    use std::io::Write as _;
    let file = OpenOptions::new().append(true).open(path);
    file.and_then(|mut f| f.write_all(text.as_bytes())).map_err(StartError::io("writing", path))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_port_that_was_snatched_away_is_replaced() {
        let snatched = Port::free().unwrap();
        let number = snatched.number;
        let _thief = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, number)).unwrap();
        let mut first = Some(snatched);
        let server = Server::start_on(&Options::new().fast_unsafe(), || first.take().map_or_else(Port::free, Ok)).unwrap();
        assert!(first.is_none());
        assert_ne!(server.port(), number);
        assert!(server.log_tail(100).contains("could not create any TCP/IP sockets"), "the first port was not tried");
        assert_eq!(server.psql("postgres", "SELECT 1").unwrap(), "1");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn ports_that_are_always_snatched_away_end_in_an_error() {
        let mut thieves = Vec::new();
        let stolen = || {
            let port = Port::free()?;
            thieves.push(std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port.number))?);
            Ok(port)
        };
        let refused = Server::start_on(&Options::new().fast_unsafe(), stolen).unwrap_err();
        assert!(matches!(refused, StartError::NoPort { tried: PORTS, .. }), "{refused}");
        assert_eq!(thieves.len(), PORTS as usize);
    }

    #[test]
    fn the_tail_is_the_end() {
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc");
        assert_eq!(tail("a", 2), "a");
        assert_eq!(tail("", 2), "");
    }
}
