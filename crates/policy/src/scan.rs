//! Splits a policy file into statements, so that each keeps its text and place, and refuses what is nested so deep
//! that a recursive parser could be hurt. Must not know what statements mean.

use std::ops::Range;

use crate::limits;

/// Why a text is not even handed to the parser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScanFault {
    /// Byte offset.
    pub(crate) at: usize,
    pub(crate) message: String,
}

/// The byte ranges of the statements, each with its closing semicolon. The parser numbers policies in this order.
pub(crate) fn statements(text: &str) -> Result<Vec<Range<usize>>, ScanFault> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut open = Open::default();
    let mut i = 0;
    while let Some(&b) = bytes.get(i) {
        let next = bytes.get(i + 1).copied();
        if b == b'/' && next == Some(b'/') {
            i += bytes.get(i..).and_then(|rest| rest.iter().position(|b| *b == b'\n')).unwrap_or(bytes.len());
            continue;
        }
        // The parser counts any Unicode white space as space; the non-ASCII ones only ever start a statement late by one character.
        if b.is_ascii_whitespace() {
            i += 1;
            continue;
        }
        open.start.get_or_insert(i);
        match b {
            b'"' => i = string_end(bytes, i),
            b';' => {
                found.push(open.start.unwrap_or(i)..i + 1);
                open = Open::default();
                i += 1;
            }
            _ => i = open.token(bytes, i)?,
        }
    }
    if let Some(start) = open.start {
        found.push(start..text.len());
    }
    Ok(found)
}

/// The statement that is being read.
#[derive(Default)]
struct Open {
    start: Option<usize>,
    depth: usize,
    operators: usize,
}

impl Open {
    /// Takes one token and returns where the next one starts.
    fn token(&mut self, bytes: &[u8], i: usize) -> Result<usize, ScanFault> {
        let mut end = i + 1;
        match bytes.get(i).copied().unwrap_or_default() {
            b'(' | b'[' | b'{' => {
                self.depth += 1;
                self.operators += 1;
                if self.depth > limits::NESTING {
                    return Err(ScanFault { at: i, message: format!("brackets are nested deeper than {} levels", limits::NESTING) });
                }
            }
            b')' | b']' | b'}' => self.depth = self.depth.saturating_sub(1),
            b'&' | b'|' | b'+' | b'-' | b'*' | b'<' | b'>' | b'=' | b'!' | b'.' => {
                self.operators += 1;
                let pair = bytes.get(i..i + 2).unwrap_or_default();
                end += usize::from(matches!(pair, b"&&" | b"||" | b"<=" | b">=" | b"==" | b"!="));
            }
            b if is_word(b) => {
                end += bytes.get(end..).unwrap_or_default().iter().take_while(|b| is_word(**b)).count();
                let word = bytes.get(i..end).unwrap_or_default();
                self.operators += usize::from(matches!(word, b"if" | b"in" | b"has" | b"like" | b"is"));
            }
            _ => {}
        }
        if self.operators > limits::OPERATORS {
            let message = format!("this policy has more than {} operators: split it", limits::OPERATORS);
            return Err(ScanFault { at: self.start.unwrap_or(i), message });
        }
        Ok(end)
    }
}

const fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_' || b >= 0x80
}

/// Where the string that starts at `i` is over.
fn string_end(bytes: &[u8], i: usize) -> usize {
    let mut end = i + 1;
    while let Some(b) = bytes.get(end) {
        match b {
            b'\\' => end += 2,
            b'"' => return end + 1,
            _ => end += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<&str> {
        statements(text).unwrap().into_iter().map(|r| &text[r]).collect()
    }

    #[test]
    fn statements_are_split_outside_strings_and_comments() {
        let text = "// a; b\n@id(\"a;\\\";\") permit(principal, // ; (((\n action, resource);\n\n forbid(x) ; // end;\n rest";
        assert_eq!(texts(text), ["@id(\"a;\\\";\") permit(principal, // ; (((\n action, resource);", "forbid(x) ;", "rest"]);
        assert_eq!(texts("  // only words"), Vec::<&str>::new());
        assert_eq!(texts("\"open; string"), ["\"open; string"]);
        assert_eq!(texts("\"ends in \\"), ["\"ends in \\"]);
    }

    #[test]
    fn nesting_and_operators_are_bounded_per_statement() {
        let deep = format!("permit{};", "(".repeat(33));
        assert_eq!(statements(&deep).unwrap_err().message, "brackets are nested deeper than 32 levels");
        let long = format!("permit {};", vec!["a"; 203].join(" && "));
        assert_eq!(
            statements(&format!("x; {long}")).unwrap_err(),
            ScanFault { at: 3, message: "this policy has more than 200 operators: split it".to_owned() }
        );
        let fine = format!("permit {};", vec!["a"; 200].join(" && "));
        assert_eq!(statements(&fine.repeat(3)).unwrap().len(), 3);
    }
}
