//! `${…}` in texts, and in the strings of JSON values.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::error::{CompileError, EvalError};
use crate::expression::Expression;
use crate::inputs::Inputs;

/// Longest template, in bytes.
const TEMPLATE_MAX: usize = 16 * 1024;

/// A stretch of a template.
#[derive(Debug)]
pub enum Part {
    /// Text as it stands, escapes resolved.
    Text(String),
    /// An interpolation.
    Expr(Expression),
}

/// A text with `${…}` parts; `$${` writes a literal `${`.
#[derive(Debug)]
pub struct Template {
    parts: Vec<Part>,
}

impl Template {
    /// Compiles a text whose interpolations may read these roots.
    ///
    /// # Errors
    /// When an interpolation is not closed or does not compile; the place is that inside the whole text.
    pub fn compile(source: &str, roots: &[&str]) -> Result<Self, CompileError> {
        if source.len() > TEMPLATE_MAX {
            return Err(place(source, 0, format!("a template has at most {TEMPLATE_MAX} bytes")));
        }
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut at = 0;
        while let Some(rest) = source.get(at..).filter(|r| !r.is_empty()) {
            if let Some(escaped) = rest.strip_prefix("$${") {
                text.push_str("${");
                at = source.len() - escaped.len();
            } else if let Some(inner) = rest.strip_prefix("${") {
                let start = source.len() - inner.len();
                let len = end_of(inner).ok_or_else(|| place(source, at, "`${` is not closed by `}`".to_owned()))?;
                if !text.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut text)));
                }
                let expression = Expression::compile(inner.get(..len).unwrap_or_default(), roots).map_err(|e| moved(source, start, e))?;
                parts.push(Part::Expr(expression));
                at = start + len + 1;
            } else {
                let c = rest.chars().next().unwrap_or_default();
                text.push(c);
                at += c.len_utf8();
            }
        }
        if !text.is_empty() || parts.is_empty() {
            parts.push(Part::Text(text));
        }
        Ok(Self { parts })
    }

    /// Its stretches.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Whether it reads nothing.
    pub fn is_constant(&self) -> bool {
        self.parts.iter().all(|p| matches!(p, Part::Text(_)))
    }

    /// Dotted paths that it reads.
    pub fn references(&self) -> BTreeSet<String> {
        self.parts.iter().flat_map(|p| if let Part::Expr(e) = p { e.references() } else { BTreeSet::new() }).collect()
    }

    /// The value: what a lone interpolation yields, with its type, or text.
    ///
    /// # Errors
    /// When an interpolation fails, or yields what cannot stand in a text.
    pub fn eval(&self, inputs: &Inputs<'_>) -> Result<Value, EvalError> {
        match self.parts.as_slice() {
            [Part::Expr(e)] => e.eval(inputs),
            _ => self.eval_text(inputs).map(Value::String),
        }
    }

    /// The text.
    ///
    /// # Errors
    /// As [`Self::eval`]; null, lists and maps cannot stand in a text.
    pub fn eval_text(&self, inputs: &Inputs<'_>) -> Result<String, EvalError> {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(t) => out.push_str(t),
                Part::Expr(e) => match e.eval(inputs)? {
                    Value::String(s) => out.push_str(&s),
                    Value::Bool(b) => out.push_str(if b { "true" } else { "false" }),
                    Value::Number(n) => out.push_str(&n.to_string()),
                    Value::Null => return Err(EvalError::new(format!("`${{{}}}` is null and cannot stand in a text", e.source()))),
                    Value::Array(_) | Value::Object(_) => {
                        return Err(EvalError::new(format!("`${{{}}}` is a list or a map and cannot stand in a text", e.source())));
                    }
                },
            }
        }
        Ok(out)
    }
}

/// Where the closing brace of an interpolation stands; quotes and braces inside are respected.
fn end_of(text: &str) -> Option<usize> {
    let (mut depth, mut quote, mut escaped) = (0_usize, None, false);
    for (i, c) in text.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None => match c {
                '"' | '\'' => quote = Some(c),
                '{' => depth += 1,
                '}' if depth == 0 => return Some(i),
                '}' => depth -= 1,
                _ => {}
            },
        }
    }
    None
}

fn place(source: &str, at: usize, message: String) -> CompileError {
    let before = source.get(..at).unwrap_or_default();
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let line = number(before.matches('\n').count() + 1);
    let column = number(before.rsplit('\n').next().unwrap_or_default().chars().count() + 1);
    CompileError { message, line, column, pointer: String::new() }
}

/// An error of an interpolation, at its place in the whole text.
fn moved(source: &str, start: usize, e: CompileError) -> CompileError {
    let outer = place(source, start, e.message);
    let column = if e.line == 1 { outer.column + e.column - 1 } else { e.column };
    CompileError { line: outer.line + e.line - 1, column, ..outer }
}

/// A JSON value whose strings are templates, at any depth.
#[derive(Debug)]
pub struct JsonTemplate(Node);

#[derive(Debug)]
enum Node {
    Plain(Value),
    Text(Template),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl JsonTemplate {
    /// Compiles every string.
    ///
    /// # Errors
    /// The first that does not compile, with its JSON pointer.
    pub fn compile(source: &Value, roots: &[&str]) -> Result<Self, CompileError> {
        node(source, roots, &mut String::new()).map(Self)
    }

    /// The value, with every string evaluated.
    ///
    /// # Errors
    /// The first that fails, with its JSON pointer.
    pub fn eval(&self, inputs: &Inputs<'_>) -> Result<Value, EvalError> {
        eval(&self.0, inputs, &mut String::new())
    }

    /// Dotted paths that it reads.
    pub fn references(&self) -> BTreeSet<String> {
        let mut out = BTreeSet::new();
        let mut stack = vec![&self.0];
        while let Some(n) = stack.pop() {
            match n {
                Node::Plain(_) => {}
                Node::Text(t) => out.extend(t.references()),
                Node::List(items) => stack.extend(items),
                Node::Map(entries) => stack.extend(entries.iter().map(|(_, n)| n)),
            }
        }
        out
    }
}

fn node(v: &Value, roots: &[&str], pointer: &mut String) -> Result<Node, CompileError> {
    Ok(match v {
        Value::String(s) => {
            let t = Template::compile(s, roots).map_err(|e| CompileError { pointer: pointer.clone(), ..e })?;
            match t.parts() {
                [Part::Text(text)] => Node::Plain(Value::String(text.clone())),
                _ => Node::Text(t),
            }
        }
        Value::Array(items) => {
            let each = |(i, item): (usize, &Value)| below(pointer, &i.to_string(), |p| node(item, roots, p));
            Node::List(items.iter().enumerate().map(each).collect::<Result<_, _>>()?)
        }
        Value::Object(map) => {
            let each = |(k, item): (&String, &Value)| Ok((k.clone(), below(pointer, k, |p| node(item, roots, p))?));
            Node::Map(map.iter().map(each).collect::<Result<_, CompileError>>()?)
        }
        plain => Node::Plain(plain.clone()),
    })
}

fn eval(n: &Node, inputs: &Inputs<'_>, pointer: &mut String) -> Result<Value, EvalError> {
    Ok(match n {
        Node::Plain(v) => v.clone(),
        Node::Text(t) => t.eval(inputs).map_err(|e| EvalError { pointer: pointer.clone(), ..e })?,
        Node::List(items) => {
            let each = |(i, item): (usize, &Node)| below(pointer, &i.to_string(), |p| eval(item, inputs, p));
            Value::Array(items.iter().enumerate().map(each).collect::<Result<_, _>>()?)
        }
        Node::Map(entries) => {
            let mut out = serde_json::Map::new();
            for (k, item) in entries {
                out.insert(k.clone(), below(pointer, k, |p| eval(item, inputs, p))?);
            }
            Value::Object(out)
        }
    })
}

fn below<T>(pointer: &mut String, key: &str, f: impl FnOnce(&mut String) -> T) -> T {
    let len = pointer.len();
    pointer.push('/');
    pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
    let out = f(pointer);
    pointer.truncate(len);
    out
}
