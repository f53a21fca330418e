//! The server's process under its watchdog, a shell that stops it when we are gone: it reads a pipe whose other end only we hold.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::account::{Account, clean_command};
use crate::deadline::poll;

/// An immediate shutdown takes milliseconds; Postgres itself kills what lasts longer than five seconds.
const DROPPED_WITHIN: Duration = Duration::from_secs(10);

/// `$1` is the folder to remove with an orphan, the rest the server's command line.
const WATCHDOG: &str = r#"
folder=$1; shift
exec 3<&0 </dev/null
"$@" 3<&- >&2 &
server=$!
orphan=
trap 'orphan=yes; kill -QUIT "$server" 2>/dev/null' USR1
echo "$server"
( read -r _ <&3; kill -USR1 $$ 2>/dev/null || kill -QUIT "$server" 2>/dev/null ) >/dev/null &
guard=$!
exec 3<&- >&2
wait "$server"; status=$?
[ -z "$orphan" ] || { wait "$server"; status=$?; }
kill -KILL "$guard" 2>/dev/null
wait "$guard" 2>/dev/null
[ -z "$orphan" ] || rm -rf "$folder"
exit "$status"
"#;

/// A running `postgres`.
#[derive(Debug)]
pub(crate) struct Postmaster {
    watchdog: Child,
    pid: Pid,
    /// Closed by the system when we end, in whatever way.
    _alive: Option<ChildStdin>,
}

impl Postmaster {
    /// Starts it; `folder` is removed if it has to be stopped because we ended.
    pub(crate) fn spawn(postgres: &Path, data: &Path, folder: &Path, log: File, account: &Account) -> io::Result<Self> {
        let mut command = account.command("/bin/sh");
        command.args(["-c", WATCHDOG, "private-postgres-watchdog"]).arg(folder).arg(postgres).arg("-D").arg(data);
        // A group of its own: Ctrl-C is for the command that uses the server.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut watchdog = command.spawn()?;
        let alive = watchdog.stdin.take();
        let mut line = String::new();
        if let Some(out) = watchdog.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        let pid = line.trim().parse().ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("the shell that starts postgres gave no process id"))?;
        Ok(Self { watchdog, pid, _alive: alive })
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.watchdog.try_wait()
    }

    /// Whether it ended in time.
    pub(crate) fn ends_within(&mut self, time: Duration) -> io::Result<bool> {
        Ok(poll(time, || self.ended())?.is_some())
    }

    /// Sends a signal to the server, if it runs.
    pub(crate) fn signal(&mut self, signal: Signal) -> io::Result<()> {
        if self.ended()?.is_some() {
            return Ok(());
        }
        send(self.pid, signal)
    }

    /// Kills the server and all its processes at once, as a machine that goes down would: none of them commits anything after.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        // Stopped, it forks no more while we count its children.
        self.signal(Signal::STOP)?;
        let children = children(self.pid());
        for child in children.unwrap_or_default() {
            send(child, Signal::KILL)?;
        }
        self.signal(Signal::KILL)
    }
}

impl Drop for Postmaster {
    fn drop(&mut self) {
        if self.signal(Signal::QUIT).and_then(|()| self.ends_within(DROPPED_WITHIN)).unwrap_or(false) {
            return;
        }
        let _ = self.kill();
        let _ = self.ends_within(DROPPED_WITHIN);
    }
}

fn send(pid: Pid, signal: Signal) -> io::Result<()> {
    match kill_process(pid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

fn children(parent: i32) -> io::Result<Vec<Pid>> {
    let parents = if Path::new("/proc/self/stat").exists() { parents_from_proc()? } else { parents_from_ps()? };
    Ok(parents.into_iter().filter(|(_, p)| *p == parent).filter_map(|(pid, _)| Pid::from_raw(pid)).collect())
}

/// Every process and its parent. A process that ends meanwhile is left out.
fn parents_from_proc() -> io::Result<BTreeMap<i32, i32>> {
    let mut out = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid): Option<i32> = entry.file_name().to_str().and_then(|n| n.parse().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        // `pid (name) state parent ...`, and the name may hold anything.
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        out.extend(parent.map(|parent| (pid, parent)));
    }
    Ok(out)
}

fn parents_from_ps() -> io::Result<BTreeMap<i32, i32>> {
    let out = clean_command("ps").args(["-axo", "pid=,ppid="]).output()?;
    let text = String::from_utf8_lossy(&out.stdout);
    let pair = |line: &str| {
        let mut numbers = line.split_whitespace().map(|n| n.parse().ok());
        Some((numbers.next()??, numbers.next()??))
    };
    Ok(text.lines().filter_map(pair).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]
    use super::*;

    #[test]
    fn both_ways_know_whose_child_we_are() {
        let (me, parent) = (i32::try_from(std::process::id()).unwrap(), i32::try_from(std::os::unix::process::parent_id()).unwrap());
        assert_eq!(parents_from_ps().unwrap().get(&me), Some(&parent));
        if cfg!(target_os = "linux") {
            assert_eq!(parents_from_proc().unwrap().get(&me), Some(&parent));
        }
    }
}
