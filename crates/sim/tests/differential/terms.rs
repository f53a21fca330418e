//! On what terms steps wait, and what a deployment says of them.

use std::collections::BTreeSet;

use tollgate_core::scope::Scope;
use tollgate_core::terms::{Labels, Limit, Rules, Terms, label_of};

use crate::ops::Op;

fn gpu() -> BTreeSet<String> {
    BTreeSet::from(["gpu".to_owned()])
}

/// The terms of a kind.
pub fn terms(scope: &Scope, kind: u8) -> Terms {
    let (tool, tenant) = (Limit::tool(scope, "t.x", None), Limit::tenant(scope));
    let key = |k| Limit::tool(scope, "t.x", Some(k));
    match kind {
        1 => Terms::new(0, 9, []),
        2 => Terms::new(label_of(&gpu()), 0, []),
        3 => Terms::new(0, 0, [key("a"), tenant]),
        4 => Terms::new(0, 2, [key("b")]),
        5 => Terms::new(label_of(&gpu()), 0, [tool, tenant]),
        _ => Terms::default(),
    }
}

/// What a session has: mostly everything.
pub fn has(kind: u8) -> Labels {
    match kind {
        0 => Labels(Some(BTreeSet::new())),
        1 => Labels(Some(gpu())),
        _ => Labels(None),
    }
}

/// The rules that allow so many at once; none allow any number.
pub fn rules(scope: &Scope, most: u32) -> Rules {
    let (tool, tenant) = (Limit::tool(scope, "t.x", None), Limit::tenant(scope));
    let maxima = if most == 0 { Vec::new() } else { vec![(tool.class, most), (tenant.class, most + 1)] };
    Rules { maxima, labels: vec![gpu()] }
}

/// Every scope has some to begin with.
pub fn rules_of_all() -> [Op; 3] {
    [0, 1, 2].map(|scope| Op::Deploy { scope, most: 1 + scope })
}
