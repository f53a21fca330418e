//! What people see: tables, times, colour only on a terminal. Machines get JSON.

use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

use serde_json::Value;

/// The first failure of standard output; commands go on, and the program's end speaks of it.
static BROKEN: OnceLock<io::Error> = OnceLock::new();

/// How a command prints.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// JSON instead of text.
    pub json: bool,
    /// Colour is wanted and understood.
    pub colour: bool,
}

impl Output {
    /// From the command line, the terminal and `NO_COLOR`.
    pub fn new(json: bool) -> Self {
        let colour = !json && io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { json, colour }
    }

    /// Text in a colour by its SGR number, where colour is wanted.
    pub fn paint(self, sgr: u8, text: &str) -> String {
        if self.colour { format!("\u{1b}[{sgr}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Prints a line. A reader that went away ends the output, not the program.
    pub fn line(self, text: impl AsRef<str>) {
        self.bytes(format!("{}\n", text.as_ref()).as_bytes());
    }

    /// Prints bytes as they are.
    pub fn bytes(self, bytes: &[u8]) {
        if BROKEN.get().is_some() {
            return;
        }
        let mut out = io::stdout().lock();
        if let Err(e) = out.write_all(bytes).and_then(|()| out.flush()) {
            // Only the first failure counts; another thread may have been quicker.
            let _ = BROKEN.set(e);
        }
    }

    /// Nobody reads any more: what only prints may end.
    pub fn unread() -> bool {
        BROKEN.get().is_some()
    }

    /// Why standard output took not everything. A reader that had enough, such as `head`, is no failure.
    pub fn lost() -> Option<&'static io::Error> {
        BROKEN.get().filter(|e| e.kind() != io::ErrorKind::BrokenPipe)
    }

    /// Says something beside the output, for people: scripts that read standard output never meet it.
    pub fn aside(self, text: &str) {
        if !self.json {
            eprintln!("{text}");
        }
    }

    /// Prints JSON, whole and readable.
    pub fn value(self, value: &Value) {
        let text = serde_json::to_string_pretty(value).unwrap_or_default();
        self.line(text);
    }

    /// Prints a table: a header, then rows, in columns as wide as they need.
    pub fn table(self, header: &[&str], rows: &[Vec<String>]) {
        let widths: Vec<usize> = header
            .iter()
            .enumerate()
            .map(|(i, h)| rows.iter().filter_map(|r| r.get(i)).map(|c| c.chars().count()).chain([h.chars().count()]).max().unwrap_or(0))
            .collect();
        let render = |cells: &[String]| {
            let cells = cells.iter().zip(&widths).map(|(c, w)| format!("{c}{}", " ".repeat(w.saturating_sub(c.chars().count()))));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let head: Vec<String> = header.iter().map(|h| (*h).to_owned()).collect();
        self.line(self.paint(1, &render(&head)));
        for row in rows {
            self.line(render(row));
        }
    }
}

/// A string field, `-` when it is not there.
pub fn text(v: &Value, pointer: &str) -> String {
    match v.pointer(pointer) {
        Some(Value::String(s)) => s.clone(),
        Some(Value::Null) | None => "-".to_owned(),
        Some(other) => other.to_string(),
    }
}

/// A time to the second, as people read it; `Z` says that it is UTC.
pub fn time(v: &Value, pointer: &str) -> String {
    let full = text(v, pointer);
    match full.get(..19) {
        Some(s) if full.ends_with('Z') => format!("{}Z", s.replace('T', " ")),
        _ => full,
    }
}
