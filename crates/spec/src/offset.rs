//! A place inside a text value back to the file: through quotes, escapes, folds and indentation. Must not know what the text says.

use crate::fault::Pos;
use crate::node::{Data, Node, Style};

/// The position in the file of a line and column inside a text value, both from 1; `None` when it cannot be told exactly.
pub(crate) fn position(source: &str, node: &Node, line: u32, column: u32) -> Option<Pos> {
    let Data::Text(value) = &node.data else { return (line <= 1 && column <= 1).then_some(node.at) };
    if line <= 1 && column <= 1 && !matches!(node.style, Style::Literal | Style::Folded) {
        return Some(node.at);
    }
    let lines: Vec<&str> = source.split('\n').map(|l| l.strip_suffix('\r').unwrap_or(l)).collect();
    let target = (line.max(1), column.max(1));
    match node.style {
        Style::Literal => literal(&lines, node.at, value, target),
        Style::Folded => folded(&lines, node.at, value, target),
        Style::Plain | Style::Single | Style::Double => flow(&lines, node.at, node.style, value, target),
    }
}

fn at(line: usize, column: usize) -> Pos {
    Pos::new(line, column)
}

/// Every line of the value is a line of the file, moved in by the indentation.
fn literal(lines: &[&str], start: Pos, value: &str, (line, column): (u32, u32)) -> Option<Pos> {
    let wanted = value.split('\n').nth(line as usize - 1)?;
    let number = start.line as usize + line as usize;
    let here = lines.get(number - 1)?;
    if !here.ends_with(wanted) {
        return None;
    }
    let indent = here.chars().count() - wanted.chars().count();
    Some(at(number, indent + (column as usize).min(wanted.chars().count() + 1)))
}

/// Lines joined by spaces. Blank and further indented lines follow other rules: there the start must do.
fn folded(lines: &[&str], start: Pos, value: &str, (line, column): (u32, u32)) -> Option<Pos> {
    let content = lines.get(start.line as usize..)?;
    let indent = content.first()?.chars().take_while(|c| *c == ' ').count();
    let mut left = column as usize;
    let mut rest = value;
    for (i, here) in content.iter().enumerate().filter(|_| line == 1) {
        let text = here.get(indent..)?;
        rest = rest.strip_prefix(text).filter(|_| !text.is_empty() && !text.starts_with(' '))?;
        let length = text.chars().count();
        if left <= length + 1 {
            return Some(at(start.line as usize + 1 + i, indent + left));
        }
        left -= length + 1;
        rest = rest.strip_prefix(' ')?;
    }
    None
}

/// A plain or quoted scalar, walked beside its value.
fn flow(lines: &[&str], start: Pos, style: Style, value: &str, target: (u32, u32)) -> Option<Pos> {
    let (mut line, mut column) = (start.line as usize, start.column as usize);
    if style != Style::Plain {
        column += 1;
    }
    let (mut value_line, mut value_column) = (1_u32, 1_u32);
    let mut chars = value.chars().peekable();
    loop {
        let here: Vec<char> = lines.get(line - 1)?.chars().skip(column - 1).collect();
        let blank = here.iter().all(|c| c.is_whitespace());
        if blank && chars.peek().is_some() && (value_line, value_column) != target {
            // The end of a line stands for one space, or for as many line breaks as there are blank lines.
            let next = (line + 1..=lines.len()).find(|n| lines.get(n - 1).is_some_and(|l| !l.trim().is_empty()))?;
            for _ in 0..(next - line - 1).max(1) {
                advance(&mut value_line, &mut value_column, chars.next()?);
            }
            column = lines.get(next - 1)?.chars().take_while(|c| c.is_whitespace()).count() + 1;
            line = next;
            continue;
        }
        if (value_line, value_column) >= target {
            return ((value_line, value_column) == target).then(|| at(line, column));
        }
        let written = width(style, &here, *chars.peek()?)?;
        column += written;
        if written > 1 || here.first() != Some(&'\\') || style != Style::Double {
            advance(&mut value_line, &mut value_column, chars.next()?);
        }
    }
}

fn advance(line: &mut u32, column: &mut u32, c: char) {
    if c == '\n' {
        (*line, *column) = (*line + 1, 1);
    } else {
        *column += 1;
    }
}

/// How many characters of the file the next one of the value takes; `None` when they do not agree.
fn width(style: Style, here: &[char], value: char) -> Option<usize> {
    let first = *here.first()?;
    match (style, first) {
        (Style::Single, '\'') => (here.get(1) == Some(&'\'')).then_some(2),
        (Style::Double, '\\') => Some(match here.get(1)? {
            'x' => 4,
            'u' => 6,
            'U' => 10,
            _ => 2,
        }),
        _ => (first == value).then_some(1),
    }
}
