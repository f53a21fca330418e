//! What a caller may choose about its server, and the configuration file that follows from it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::error::StartError;

/// Set by this crate alone: the server would not be where its address says.
const OURS: [&str; 3] = ["listen_addresses", "port", "unix_socket_directories"];

/// What a caller may choose. The default is durable: `fsync` and `synchronous_commit` are on.
#[derive(Clone, Debug)]
pub struct Options {
    fast_unsafe: bool,
    max_connections: u32,
    settings: Vec<(String, String)>,
    pub(crate) within: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { fast_unsafe: false, max_connections: 200, settings: Vec::new(), within: None }
    }
}

impl Options {
    /// A durable server with room for 200 connections, in the system's folder for temporary files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Turns `fsync`, `synchronous_commit` and `full_page_writes` off: for functional tests, never for a figure. What was committed
    /// still survives a killed server, not a power cut.
    pub fn fast_unsafe(mut self) -> Self {
        self.fast_unsafe = true;
        self
    }

    /// How many connections the server admits.
    pub fn max_connections(mut self, n: u32) -> Self {
        self.max_connections = n;
        self
    }

    /// A setting as in `postgresql.conf`; the last one of a name counts, also against the other options.
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// The folder in which the server's own folder is made: figures need one that lies on a disk.
    pub fn within(mut self, folder: impl Into<PathBuf>) -> Self {
        self.within = Some(folder.into());
        self
    }

    /// Faults of the caller's settings that Postgres would not report itself.
    pub(crate) fn check(&self) -> Result<(), StartError> {
        for (name, value) in &self.settings {
            let fault = |why| Err(StartError::Setting { name: name.clone(), why });
            if OURS.iter().any(|o| o.eq_ignore_ascii_case(name)) {
                return fault("is not the caller's: ask the server for its port and its socket's folder");
            }
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.') {
                return fault("is no name of a setting: use letters, digits, `_` and `.`");
            }
            if value.contains(['\n', '\r', '\0']) {
                return fault("has a value of several lines, which a configuration file cannot hold");
            }
        }
        Ok(())
    }

    /// The configuration file of a server at this port; the last line of a name counts.
    pub(crate) fn configuration(&self, port: u16, socket_folder: &Path) -> String {
        let durable = if self.fast_unsafe { "off" } else { "on" };
        let mut out = String::new();
        for name in ["fsync", "synchronous_commit", "full_page_writes"] {
            line(&mut out, name, durable);
        }
        line(&mut out, "max_connections", &self.max_connections.to_string());
        line(&mut out, "timezone", "UTC");
        line(&mut out, "log_timezone", "UTC");
        for (name, value) in &self.settings {
            line(&mut out, name, value);
        }
        line(&mut out, "listen_addresses", "127.0.0.1");
        line(&mut out, "port", &port.to_string());
        line(&mut out, "unix_socket_directories", &socket_folder.to_string_lossy());
        out
    }
}

fn line(out: &mut String, name: &str, value: &str) {
    let value = value.replace('\\', r"\\").replace('\'', "''");
    let _ = writeln!(out, "{name} = '{value}'");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]
    use super::*;

    #[test]
    fn values_are_quoted_and_the_callers_come_after_the_defaults() {
        let text = Options::new().setting("fsync", "off").setting("a.b", r"it's \n").configuration(5, Path::new("/s"));
        assert!(text.contains("a.b = 'it''s \\\\n'\n"), "{text}");
        assert!(text.find("fsync = 'on'").unwrap() < text.find("fsync = 'off'").unwrap(), "{text}");
    }

    #[test]
    fn durable_unless_asked() {
        let on = Options::new().configuration(5, Path::new("/s"));
        let off = Options::new().fast_unsafe().configuration(5, Path::new("/s"));
        for name in ["fsync", "synchronous_commit", "full_page_writes"] {
            assert!(on.contains(&format!("{name} = 'on'\n")), "{on}");
            assert!(off.contains(&format!("{name} = 'off'\n")), "{off}");
        }
    }

    #[test]
    fn settings_that_would_do_harm_are_refused() {
        for (name, value) in [("Port", "5432"), ("a b", "1"), ("", "1"), ("work_mem", "1\nfsync = off")] {
            assert!(Options::new().setting(name, value).check().is_err(), "{name}");
        }
        assert!(Options::new().setting("work_mem", "4MB").check().is_ok());
    }
}
