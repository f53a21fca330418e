//! Bounds that keep a hostile author from the machine: checked on the tree when compiled, on the data when run.
//!
//! Evaluation cannot be interrupted, so its work is bounded beforehand: comprehensions at most two deep over lists that are capped.

use cel::common::ast::{EntryExpr, Expr};

/// Longest source, in bytes: longer chains of operators could overflow the parser's stack.
pub(crate) const SOURCE_MAX: usize = 2048;
/// Deepest tree that may run on an ordinary thread.
pub(crate) const DEPTH_MAX: usize = 128;
/// Most nodes of one expression.
pub(crate) const NODES_MAX: usize = 2000;
/// Deepest nesting of `map`, `filter`, `all`, `exists`.
pub(crate) const COMPREHENSIONS_MAX: usize = 2;
/// Stack of the compiling thread.
pub(crate) const STACK: usize = 16 * 1024 * 1024;
/// Longest list an expression with one level of comprehension may see.
pub(crate) const LIST_MAX: usize = 100_000;
/// Longest list an expression with nested comprehensions may see.
pub(crate) const NESTED_LIST_MAX: usize = 1000;
/// Most values taken over from the data for one evaluation.
pub(crate) const VALUES_MAX: usize = 200_000;
/// Most bytes that walking lists may make: the longest text that is read, once for each turn. A short list of long texts passes and so
/// does a long list of short ones; a payload that holds one of each would otherwise grow by the length of its list.
pub(crate) const WALKED_BYTES_MAX: usize = 256 * 1024 * 1024;

/// What a tree measures.
#[derive(Default, Clone, Copy, Debug)]
pub(crate) struct Measure {
    pub(crate) depth: usize,
    pub(crate) nodes: usize,
    pub(crate) comprehensions: usize,
}

/// Children of a node, each with how many comprehensions it adds.
pub(crate) fn children(expr: &Expr) -> Vec<(&Expr, usize)> {
    let mut out: Vec<(&Expr, usize)> = Vec::new();
    match expr {
        Expr::Call(c) => {
            out.extend(c.target.iter().map(|t| (&t.expr, 0)));
            out.extend(c.args.iter().map(|a| (&a.expr, 0)));
        }
        Expr::Comprehension(c) => {
            out.push((&c.iter_range.expr, 0));
            for inner in [&c.accu_init, &c.loop_cond, &c.loop_step, &c.result] {
                out.push((&inner.expr, 1));
            }
        }
        Expr::List(l) => out.extend(l.elements.iter().map(|e| (&e.expr, 0))),
        Expr::Map(m) => m.entries.iter().for_each(|e| entry(&e.expr, &mut out)),
        Expr::Struct(s) => s.entries.iter().for_each(|e| entry(&e.expr, &mut out)),
        Expr::Select(s) => out.push((&s.operand.expr, 0)),
        Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => {}
    }
    out
}

fn entry<'a>(e: &'a EntryExpr, out: &mut Vec<(&'a Expr, usize)>) {
    match e {
        EntryExpr::StructField(f) => out.push((&f.value.expr, 0)),
        EntryExpr::MapEntry(m) => {
            out.push((&m.key.expr, 0));
            out.push((&m.value.expr, 0));
        }
    }
}

/// Measures a tree without recursion: the tree may be deeper than the stack.
pub(crate) fn measure(root: &Expr) -> Measure {
    let mut out = Measure::default();
    let mut stack = vec![(root, 1, 0)];
    while let Some((expr, depth, comprehensions)) = stack.pop() {
        out.nodes += 1;
        out.depth = out.depth.max(depth);
        let here = comprehensions + usize::from(matches!(expr, Expr::Comprehension(_)));
        out.comprehensions = out.comprehensions.max(here);
        stack.extend(children(expr).into_iter().map(|(c, n)| (c, depth + 1, comprehensions + n)));
    }
    out
}

/// Whether the pattern of every `matches` is written in the source, or in the configuration. A pattern is compiled each time it is used,
/// and one that came with the data could be made to take as long and as much memory as its author likes.
pub(crate) fn patterns_are_fixed(root: &Expr) -> bool {
    let mut stack = vec![root];
    while let Some(expr) = stack.pop() {
        if let Expr::Call(c) = expr
            && c.func_name == "matches"
            && !c.args.last().is_some_and(|pattern| is_fixed(&pattern.expr))
        {
            return false;
        }
        stack.extend(children(expr).into_iter().map(|(c, _)| c));
    }
    true
}

fn is_fixed(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(_) => true,
        Expr::Select(s) => is_fixed(&s.operand.expr),
        Expr::Ident(name) => name == "config",
        _ => false,
    }
}
