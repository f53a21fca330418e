//! Which operators an event is offered to: globs over dotted types.

use crate::event::Event;
use crate::id::RunId;
use crate::ports::{Active, IdSource, NewRun};
use crate::spec::Ordering;
use crate::terms::{Governed, Part};

/// The runs that an event leads to: one per operator whose globs match and that is not paused, none of a tenant that is suspended. What
/// comes while an operator is paused waits for a replay. `only` narrows it to one operator.
pub fn offers(active: &Active, event: &Event, only: Option<&str>, ids: &IdSource) -> Vec<NewRun> {
    let bundle = &active.bundle;
    let operators = bundle.spec.operators.values().filter(|o| only.is_none_or(|name| name == o.name));
    operators
        .filter(|_| !active.suspended)
        .filter(|o| !active.paused_operators.contains(&o.name))
        .filter(|o| o.on.iter().any(|glob| matches(glob, &event.event_type)))
        .map(|o| NewRun {
            id: RunId::from_bytes(ids.uuid()),
            operator: o.name.clone(),
            bundle: bundle.digest,
            strict: o.ordering == Ordering::Strict,
            terms: {
                let key = o
                    .dispatch
                    .concurrency
                    .as_ref()
                    .and_then(|c| c.key.as_ref())
                    .and_then(|_| bundle.reasoner.concurrency_key(&o.name, event));
                let part = Part { name: &o.name, dispatch: &o.dispatch, key: key.as_deref() };
                Governed { scope: event.scope, spec: &bundle.spec }.asking(part)
            },
        })
        .collect()
}

/// Whether a glob matches an event type. `*` matches exactly one segment, `**` any number, none included.
pub fn matches(glob: &str, event_type: &str) -> bool {
    let glob: Vec<&str> = glob.split('.').collect();
    let text: Vec<&str> = event_type.split('.').collect();
    segments(&glob, &text)
}

/// Greedy with one point of return, so that no glob costs more than its length times the text's.
fn segments(glob: &[&str], text: &[&str]) -> bool {
    let (mut g, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match glob.get(g) {
            Some(&"**") => {
                retry = Some((g, t));
                g += 1;
            }
            Some(p) if *p == "*" || text.get(t) == Some(p) => {
                g += 1;
                t += 1;
            }
            _ => match retry {
                Some((rg, rt)) => {
                    retry = Some((rg, rt + 1));
                    g = rg + 1;
                    t = rt + 1;
                }
                None => return false,
            },
        }
    }
    glob.iter().skip(g).all(|p| *p == "**")
}

/// Says what is wrong with a glob, if anything.
pub fn check_glob(glob: &str) -> Result<(), String> {
    if glob.is_empty() {
        return Err("a glob is not empty: write `issues.opened`, `issues.*` or `**`".to_owned());
    }
    for segment in glob.split('.') {
        if segment.is_empty() {
            return Err(format!("`{glob}` has an empty segment"));
        }
        if segment.contains('*') && segment != "*" && segment != "**" {
            return Err(format!("`{segment}` in `{glob}`: a star stands alone between dots; `*` is one segment, `**` any number"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_match_whole_segments() {
        for (glob, text, want) in [
            ("issues.opened", "issues.opened", true),
            ("issues.opened", "issues.closed", false),
            ("issues.*", "issues.opened", true),
            ("issues.*", "issues", false),
            ("issues.*", "issues.a.b", false),
            ("issues.**", "issues", true),
            ("issues.**", "issues.a.b", true),
            ("**", "a", true),
            ("**.opened", "a.b.opened", true),
            ("**.opened", "opened", true),
            ("a.**.b.*.c", "a.x.b.y.b.z.c", true),
            ("a.**.b.*.c", "a.x.b.y.c.c", false),
            ("*", "a.b", false),
        ] {
            assert_eq!(matches(glob, text), want, "{glob} on {text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn agrees_with_plain_recursion(glob in "(a|b|\\*|\\*\\*)(\\.(a|b|\\*|\\*\\*)){0,5}", text in "(a|b)(\\.(a|b)){0,6}") {
            fn slow(g: &[&str], t: &[&str]) -> bool {
                match (g.first(), t.first()) {
                    (None, None) => true,
                    (Some(&"**"), _) => slow(&g[1..], t) || (!t.is_empty() && slow(g, &t[1..])),
                    (Some(p), Some(s)) => (*p == "*" || p == s) && slow(&g[1..], &t[1..]),
                    _ => false,
                }
            }
            let (g, t): (Vec<_>, Vec<_>) = (glob.split('.').collect(), text.split('.').collect());
            proptest::prop_assert_eq!(matches(&glob, &text), slow(&g, &t));
        }
    }
}
