//! A run as a timeline: what happened when, and what it waits for now.

use serde_json::Value;
use tollgate_core::time::Timestamp;

use super::actions::{because, standing};
use crate::context::Context;
use crate::output::{text, time};

/// A hop: when, what kind, and what happened.
struct Hop {
    at: String,
    kind: &'static str,
    what: String,
}

/// Prints a run.
pub fn show(cx: &Context, run: &Value) {
    let reason = run["reason"].as_str().map(|r| format!("  {r}")).unwrap_or_default();
    cx.out.line(format!("{}  {}{reason}", cx.out.paint(1, &text(run, "/id")), text(run, "/state")));
    cx.out.line(format!("  {}  by {}", time(run, "/created_at"), text(run, "/principal")));
    let hops = hops(run);
    let start = hops.first().and_then(|h| Timestamp::parse(&h.at));
    for hop in &hops {
        let after = match (start, Timestamp::parse(&hop.at)) {
            (Some(start), Some(at)) => after(at.since(start)),
            _ => hop.at.clone(),
        };
        cx.out.line(format!("  {after:>12}  {:<10}  {}", hop.kind, hop.what));
    }
}

fn hops(run: &Value) -> Vec<Hop> {
    let hop = |at: &str, kind, what| Hop { at: text(run, at), kind, what };
    let for_what = run["event_id"].as_str().map_or("submitted directly".to_owned(), |e| format!("created for {e}"));
    let mut hops = vec![hop("/created_at", "run", for_what)];
    if run["planned_at"].is_string() {
        hops.push(hop("/planned_at", "plan", planned(run)));
    }
    let actions = run["actions"].as_array().map(Vec::as_slice).unwrap_or_default();
    for action in actions {
        hops.extend(action["hops"].as_array().into_iter().flatten().map(|h| of_action(action, h)));
    }
    hops.sort_by(|a, b| a.at.cmp(&b.at));
    // Where it stands is no moment of the past: it comes last, whenever it began.
    for action in actions.iter().filter(|a| a["disposition"].is_null() || a["state"] == "unknown") {
        hops.push(Hop { at: text(action, "/updated_at"), kind: "now", what: format!("{}: {}", text(action, "/tool"), standing(action)) });
    }
    hops
}

fn planned(run: &Value) -> String {
    let who = text(run, "/principal");
    match (run["state"].as_str(), run["action_count"].as_u64()) {
        (Some("proposal_failed"), _) => format!("{who} could not propose"),
        (_, None | Some(0)) => format!("{who} proposed nothing"),
        (_, Some(1)) => format!("{who} proposed 1 action"),
        (_, Some(n)) => format!("{who} proposed {n} actions"),
    }
}

fn of_action(action: &Value, h: &Value) -> Hop {
    let tool = text(action, "/tool");
    let of = |k: &str| text(h, &format!("/{k}"));
    let by = h["by"].as_str().map(|b| format!(" by {b}")).unwrap_or_default();
    let (kind, what) = match h["kind"].as_str().unwrap_or_default() {
        "intent" => ("intent", format!("attempt {}", of("attempt"))),
        "attempt" => ("attempt", format!("attempt {} {}{by}", of("attempt"), of("word"))),
        "evidence" => ("evidence", format!("attempt {} {} after all", of("attempt"), of("word"))),
        "receipt" => ("receipt", because(&of("word"), h["reason"].as_str(), action["detail"].as_str())),
        "approval" => ("approval", format!("{} in `{}`{by}", of("word"), of("reason"))),
        "resolution" => ("resolution", format!("resolved as {}{by}", of("word"))),
        _ => ("entry", String::new()),
    };
    Hop { at: of("at"), kind, what: format!("{tool}: {what}") }
}

/// A span as people read it: three figures and a unit that fits.
fn after(span: std::time::Duration) -> String {
    let seconds = span.as_secs_f64();
    match span.as_secs() {
        0 => format!("+{:.1} ms", seconds * 1000.0),
        1..=99 => format!("+{seconds:.1} s"),
        100..=5999 => format!("+{:.1} min", seconds / 60.0),
        6000..=172_799 => format!("+{:.1} h", seconds / 3600.0),
        _ => format!("+{:.1} days", seconds / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::after;

    #[test]
    fn spans_are_readable() {
        let spans = [400, 999_949, 1_000_000, 99_900_000, 100_000_000, 6_000_000_000, 172_800_000_000].map(Duration::from_micros);
        assert_eq!(spans.map(after), ["+0.4 ms", "+999.9 ms", "+1.0 s", "+99.9 s", "+1.7 min", "+1.7 h", "+2.0 days"]);
    }
}
