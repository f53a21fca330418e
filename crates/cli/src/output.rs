//! What people see: tables, times, colour only on a terminal. Machines get JSON.

use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

use serde_json::Value;

/// The first failure of standard output; commands go on, and the program's end speaks of it.
/// The colours that [`Output::paint`] is asked for. Nothing that hides.
const COLOURS: [&str; 3] = ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[31m"];

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
        self.bytes(format!("{}\n", harmless(text.as_ref(), self.colour)).as_bytes());
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
            eprintln!("{}", harmless(text, true));
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
        Some(Value::String(s)) => one_line(s),
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

/// A text from outside, on one line: a line break in it would let it write lines of its own.
fn one_line(text: &str) -> String {
    harmless(&text.replace('\r', "\\r").replace('\n', "\\n").replace('\u{1b}', "\\u{1b}"), false)
}

/// What a terminal may be shown. Agents and strangers write much of what is printed here, also what a person is asked to approve: they
/// must not move the cursor, hide or reorder what stands there. Our own colours pass when there are any.
pub fn harmless(text: &str, colour: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let ours = if colour { COLOURS.iter().find(|sgr| rest.starts_with(**sgr)) } else { None };
        if let Some(sgr) = ours {
            out.push_str(sgr);
            rest = rest.get(sgr.len()..).unwrap_or_default();
            continue;
        }
        if (c.is_control() && c != '\n' && c != '\t') || is_invisible(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    out
}

/// Marks that turn the direction of writing round, and characters without any width.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_strangers_write_cannot_command_the_terminal() {
        let v =
            serde_json::json!({"key": "refund:1\u{1b}[2K\u{1b}[1mALLOW\n  value   1 EUR\u{9b}8m\u{202e}003\u{200b}", "fine": "Zoë 5 €"});
        assert_eq!(text(&v, "/key"), r"refund:1\u{1b}[2K\u{1b}[1mALLOW\n  value   1 EUR\u{9b}8m\u{202e}003\u{200b}");
        assert_eq!(text(&v, "/fine"), "Zoë 5 €");
        let ours = Output { json: false, colour: true };
        let line = format!("{}\tnext\nline \u{1b}[8m\u{1b}]0;title\u{7}", ours.paint(1, "id"));
        assert_eq!(harmless(&line, true), "\u{1b}[1mid\u{1b}[0m\tnext\nline \\u{1b}[8m\\u{1b}]0;title\\u{7}");
        assert!(!harmless(&line, false).contains('\u{1b}'));
    }
}
