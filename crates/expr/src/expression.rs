//! One compiled expression.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use cel::common::ast::Expr;
use cel::{Context, Env, Program, Value as Cel};
use serde_json::Value;

use crate::convert::{Taken, take, to_json};
use crate::error::{CompileError, EvalError, from_cel};
use crate::inputs::Inputs;
use crate::limits::{self, Measure, measure};

/// The standard functions, and nothing that knows time, randomness or can make a text grow without bound.
static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// A CEL expression, ready to run on any thread.
pub struct Expression {
    source: String,
    program: Program,
    /// By root: the paths below it that are read.
    reads: BTreeMap<String, Vec<Vec<String>>>,
    measure: Measure,
}

impl std::fmt::Debug for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Expression({})", self.source)
    }
}

impl Expression {
    /// Compiles a source that may read these roots.
    ///
    /// # Errors
    /// When it is not CEL, reads something else, or is beyond the limits.
    pub fn compile(source: &str, roots: &[&str]) -> Result<Self, CompileError> {
        if source.len() > limits::SOURCE_MAX {
            return Err(at(1, 1, format!("an expression has at most {} bytes, not {}", limits::SOURCE_MAX, source.len())));
        }
        // A long chain makes a deep tree, which must be measured and, if refused, dropped where the stack is large.
        let (text, known): (String, Vec<String>) = (source.to_owned(), roots.iter().map(|r| (*r).to_owned()).collect());
        let work = move || parse(&text, &known);
        let thread = std::thread::Builder::new().name("expr-compile".to_owned()).stack_size(limits::STACK).spawn(work);
        let joined = thread.map_err(|e| at(1, 1, format!("the compiler did not start: {e}")))?.join();
        joined.unwrap_or_else(|_| Err(at(1, 1, "the expression cannot be compiled".to_owned())))
    }

    /// The source.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Dotted paths that it reads, as far as they are written out: `event.payload.issue.id`.
    pub fn references(&self) -> BTreeSet<String> {
        let dotted = |root: &String, path: &Vec<String>| std::iter::once(root).chain(path).cloned().collect::<Vec<_>>().join(".");
        self.reads.iter().flat_map(|(root, paths)| paths.iter().map(move |p| dotted(root, p))).collect()
    }

    /// Evaluates.
    ///
    /// # Errors
    /// When an operation fails, a member is missing, or the data is beyond the limits.
    pub fn eval(&self, inputs: &Inputs<'_>) -> Result<Value, EvalError> {
        to_json(&self.run(inputs)?)
    }

    /// Evaluates a condition.
    ///
    /// # Errors
    /// As [`Self::eval`], and when the result is not a boolean.
    pub fn eval_bool(&self, inputs: &Inputs<'_>) -> Result<bool, EvalError> {
        match self.run(inputs)? {
            Cel::Bool(b) => Ok(b),
            _ => Err(EvalError::new("a condition must be true or false")),
        }
    }

    fn run(&self, inputs: &Inputs<'_>) -> Result<Cel, EvalError> {
        let mut context = Context::with_env(Arc::clone(&ENV));
        let mut taken = Taken { values: 0, longest_list: 0, longest_text: 0 };
        for (root, paths) in &self.reads {
            let Some(value) = inputs.get(root) else { continue };
            context.add_variable_from_value(root.as_str(), take(value, paths, &mut taken)?);
        }
        let longest = match self.measure.comprehensions {
            0 => usize::MAX,
            1 => limits::LIST_MAX,
            _ => limits::NESTED_LIST_MAX,
        };
        if taken.longest_list > longest {
            return Err(EvalError::new(format!(
                "the expression would walk a list of {}: at most {longest} are allowed here",
                taken.longest_list
            )));
        }
        let turns = u32::try_from(self.measure.comprehensions).map_or(usize::MAX, |n| taken.longest_list.saturating_pow(n));
        if self.measure.comprehensions > 0 && turns.saturating_mul(taken.longest_text) > limits::WALKED_BYTES_MAX {
            return Err(EvalError::new(format!(
                "the expression would walk a list of {} beside a text of {} bytes: that could make more than {} MiB",
                taken.longest_list,
                taken.longest_text,
                limits::WALKED_BYTES_MAX >> 20
            )));
        }
        self.program.execute(&context).map_err(|e| from_cel(&e))
    }
}

fn at(line: u32, column: u32, message: String) -> CompileError {
    CompileError { message, line, column, pointer: String::new() }
}

fn parse(source: &str, roots: &[String]) -> Result<Expression, CompileError> {
    let program = ENV.compile(source).map_err(|e| syntax(source, &e))?;
    let measure = measure(&program.expression().expr);
    if measure.depth > limits::DEPTH_MAX {
        return Err(at(1, 1, format!("the expression is nested {} deep: at most {} is allowed", measure.depth, limits::DEPTH_MAX)));
    }
    if measure.nodes > limits::NODES_MAX {
        return Err(at(1, 1, format!("the expression has {} parts: at most {} are allowed", measure.nodes, limits::NODES_MAX)));
    }
    if measure.comprehensions > limits::COMPREHENSIONS_MAX {
        return Err(at(1, 1, format!("`map`, `filter`, `all` and `exists` may be nested {} deep", limits::COMPREHENSIONS_MAX)));
    }
    if !limits::patterns_are_fixed(&program.expression().expr) {
        return Err(at(1, 1, "the pattern of `matches` is written as a text, or comes from `config`: never from the data".to_owned()));
    }
    let references = program.references();
    for name in references.variables() {
        // Names that macros make up begin with `@` or an underscore pair; the walk below sees what they range over.
        if !roots.iter().any(|r| r == name) && !bound(&program.expression().expr, name) {
            return Err(at(1, 1, format!("`{name}` is not known here: there is {}", list(roots))));
        }
    }
    for function in references.functions() {
        if !KNOWN.contains(&function) && !function.starts_with(['_', '@', '!', '-']) {
            return Err(at(1, 1, format!("there is no function `{function}`")));
        }
    }
    let reads = reads(&program.expression().expr, roots);
    Ok(Expression { source: source.to_owned(), program, reads, measure })
}

/// Functions of the standard environment by the names authors write.
const KNOWN: &[&str] = &[
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "string",
    "int",
    "uint",
    "double",
    "bool",
    "bytes",
    "type",
    "dyn",
    "duration",
    "timestamp",
    "getFullYear",
    "getMonth",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
    "has",
    "max",
    "min",
    "optional.of",
    "optional.none",
    "optional.ofNonZeroValue",
    "of",
    "none",
    "ofNonZeroValue",
    "hasValue",
    "value",
    "or",
    "orValue",
    "optMap",
    "optFlatMap",
    "in",
];

fn list(names: &[String]) -> String {
    names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
}

/// Whether a comprehension binds this name somewhere.
fn bound(root: &Expr, name: &str) -> bool {
    let mut stack = vec![root];
    while let Some(e) = stack.pop() {
        if let Expr::Comprehension(c) = e
            && (c.iter_var == name || c.accu_var == name || c.iter_var2.as_deref() == Some(name))
        {
            return true;
        }
        stack.extend(limits::children(e).into_iter().map(|(c, _)| c));
    }
    matches!(name, "int" | "uint" | "double" | "bool" | "string" | "bytes" | "list" | "map" | "null_type" | "type" | "optional")
}

/// The static paths below each root that an expression reads.
fn reads(root: &Expr, roots: &[String]) -> BTreeMap<String, Vec<Vec<String>>> {
    let mut out: BTreeMap<String, BTreeSet<Vec<String>>> = BTreeMap::new();
    let mut stack = vec![root];
    while let Some(e) = stack.pop() {
        if let Some((name, path)) = path_of(e)
            && roots.iter().any(|r| r == name)
        {
            out.entry(name.to_owned()).or_default().insert(path);
            continue;
        }
        stack.extend(limits::children(e).into_iter().map(|(c, _)| c));
    }
    out.into_iter().map(|(root, paths)| (root, paths.into_iter().collect())).collect()
}

/// `a.b.c` as root and path, presence tests included; anything else is none.
fn path_of(expr: &Expr) -> Option<(&str, Vec<String>)> {
    let mut path = Vec::new();
    let mut here = expr;
    loop {
        match here {
            Expr::Ident(name) => {
                path.reverse();
                return Some((name, path));
            }
            Expr::Select(s) => {
                path.push(s.field.clone());
                here = &s.operand.expr;
            }
            _ => return None,
        }
    }
}

/// The parser's first complaint in words for people.
fn syntax(source: &str, e: &cel::ParseErrors) -> CompileError {
    let Some(first) = e.errors.first() else { return at(1, 1, "the expression is not valid CEL".to_owned()) };
    let number = |n: isize| u32::try_from(n).unwrap_or(1).max(1);
    let message = if source.trim().is_empty() {
        "the expression is empty".to_owned()
    } else if first.msg.contains("<EOF>") {
        "the expression ends too early: something is not closed or an operand is missing".to_owned()
    } else if let Some(token) = first.msg.split('\'').nth(1) {
        format!("`{token}` does not belong here")
    } else {
        "this is not valid CEL".to_owned()
    };
    at(number(first.pos.0), number(first.pos.1), message)
}
