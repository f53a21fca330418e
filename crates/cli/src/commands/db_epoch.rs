//! `tollgate db epoch`: a restored store goes on when a person has said what became of each step that was open.

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tollgate_core::ports::{Actor, DeskError};
use tollgate_worker::{EpochReport, OpenStep, step_id};

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::node::{Node, actor};
use crate::store_args::StoreArgs;

/// The command line.
#[derive(Debug, Args)]
pub struct Epoch {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    store: StoreArgs,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum What {
    /// Hold all writes: after a database was restored, or a standby that lagged was promoted
    Begin,
    /// What was open when the epoch began, and how much of the log is missing
    List,
    /// Say of a step whether it was carried out since the backup
    Resolve {
        /// The action, `act_…`, or the run, `run_…`, whose operator was not asked yet
        step: Option<String>,
        /// It was carried out: it is not again
        #[arg(long, conflicts_with_all = ["not_applied", "all_applied", "all_not_applied"])]
        applied: bool,
        /// It was not: it goes on when the epoch ends
        #[arg(long, conflicts_with_all = ["all_applied", "all_not_applied"])]
        not_applied: bool,
        /// Every step that is left was carried out
        #[arg(long, conflicts_with_all = ["step", "all_not_applied"])]
        all_applied: bool,
        /// No step that is left was carried out
        #[arg(long, conflicts_with = "step")]
        all_not_applied: bool,
    },
    /// Lift the hold, when every step is resolved
    End,
}

/// Does it.
///
/// # Errors
/// When a process has the store, or it says no.
pub async fn run(cx: &Context, what: Epoch) -> Result<(), Failure> {
    let setup = super::db::setup(cx, &what.store)?;
    let by = actor(cx.mode);
    let label = by.principal.label();
    match what.what {
        What::Begin => {
            let node = Node::open_in_epoch(&setup).await?;
            list(cx, &node).await
        }
        What::List => list(cx, &Node::open(&setup).await?).await,
        What::Resolve { step, applied, not_applied, all_applied, all_not_applied } => {
            let word = match (applied || all_applied, not_applied || all_not_applied, &step) {
                (true, false, _) => true,
                (false, true, _) => false,
                _ => return Err(Failure::new(Exit::Usage, "say what became of it: --applied or --not-applied")),
            };
            let node = Node::open(&setup).await?;
            let steps = match step {
                Some(step) if applied || not_applied => vec![step],
                None if all_applied || all_not_applied => left(&node).await?,
                _ => return Err(Failure::new(Exit::Usage, "name the step, or say --all-applied or --all-not-applied")),
            };
            resolve(cx, &node, &by, &steps, word).await
        }
        What::End => {
            let node = Node::open(&setup).await?;
            let epoch = node.epochs().end(&label).await?;
            if cx.out.json {
                cx.out.value(&json!({"epoch": epoch.number, "ended_at": epoch.ended_at}));
            } else {
                cx.out.line(format!("epoch {} holds nothing any more", epoch.number));
            }
            Ok(())
        }
    }
}

async fn left(node: &Node) -> Result<Vec<String>, DeskError> {
    let report = node.epochs().report().await?;
    let steps = report.into_iter().flat_map(|r| r.steps).filter(|s| s.step.resolved.is_none());
    Ok(steps.map(|s| step_id(&s.step)).collect())
}

async fn resolve(cx: &Context, node: &Node, by: &Actor, steps: &[String], applied: bool) -> Result<(), Failure> {
    for step in steps {
        node.epochs().resolve(by, step, applied).await?;
    }
    let word = if applied { "applied" } else { "not_applied" };
    if cx.out.json {
        cx.out.value(&json!({"resolved": steps, "as": word}));
    } else {
        cx.out.line(format!("{} resolved: {word}", steps.len()));
    }
    Ok(())
}

async fn list(cx: &Context, node: &Node) -> Result<(), Failure> {
    let report = node.epochs().report().await?;
    let Some(report) = report else {
        if cx.out.json {
            cx.out.value(&Value::Null);
        } else {
            cx.out.line("no epoch: this store was never restored");
        }
        return Ok(());
    };
    if cx.out.json {
        cx.out.value(&value(&report));
        return Ok(());
    }
    let epoch = &report.epoch;
    cx.out.line(match epoch.ended_at {
        None => format!("epoch {} holds all writes since {}", epoch.number, epoch.began_at),
        Some(at) => format!("epoch {} ended {at}", epoch.number),
    });
    for (log, missing) in &report.logs {
        let mode = log.scope.mode.as_str();
        cx.out.line(match (missing, &log.kept) {
            (_, None) => format!("{mode}: {} entries; no checkpoint was kept outside, so nobody knows how many are missing", log.size),
            (0, _) => format!("{mode}: {} entries, none missing that was signed", log.size),
            (n, _) => format!("{mode}: {} entries, {n} signed ones are missing: what they say may have happened", log.size),
        });
    }
    let rows: Vec<Vec<String>> = report.steps.iter().map(row).collect();
    if rows.is_empty() {
        cx.out.line("nothing was open");
    } else {
        cx.out.table(&["step", "state", "tool", "entity", "key", "resolved", "its intent and key"], &rows);
    }
    if epoch.ended_at.is_none() {
        cx.out.line("Say of each: tollgate db epoch resolve STEP --applied | --not-applied; then: tollgate db epoch end");
        cx.out.line("What senders deliver again since the backup is new to this store: their keys are not known to it.");
    }
    Ok(())
}

fn row(s: &OpenStep) -> Vec<String> {
    let resolved = match s.step.resolved {
        None => "-",
        Some(true) => "applied",
        Some(false) => "not applied",
    };
    let Some(a) = &s.action else {
        return vec![
            step_id(&s.step),
            "not planned".into(),
            "-".into(),
            "-".into(),
            "-".into(),
            resolved.into(),
            "its operator is asked anew".into(),
        ];
    };
    let known = match (&a.open, a.attempts.in_doubt) {
        (Some(_), _) => "intent without an end; key reserved",
        (None, true) => "in doubt",
        _ => "-",
    };
    let text = |t: &Option<String>| t.clone().unwrap_or_else(|| "-".to_owned());
    vec![
        step_id(&s.step),
        a.state.to_string(),
        a.proposal.tool.clone(),
        text(&a.proposal.entity_key),
        text(&a.proposal.idempotency_key),
        resolved.to_owned(),
        known.to_owned(),
    ]
}

fn value(r: &EpochReport) -> Value {
    let logs: Vec<Value> = r
        .logs
        .iter()
        .map(|(l, missing)| json!({"mode": l.scope.mode.as_str(), "size": l.size, "missing": l.kept.as_ref().map(|_| missing)}))
        .collect();
    let steps: Vec<Value> = r
        .steps
        .iter()
        .map(|s| {
            let a = s.action.as_ref();
            json!({
                "step": step_id(&s.step), "run": s.step.run, "resolved": s.step.resolved,
                "state": a.map(|a| a.state.to_string()), "tool": a.map(|a| a.proposal.tool.clone()),
                "entity_key": a.and_then(|a| a.proposal.entity_key.clone()), "key": a.and_then(|a| a.proposal.idempotency_key.clone()),
                "open_intent": a.and_then(|a| a.open.as_ref().map(|o| o.intent)), "in_doubt": a.map(|a| a.attempts.in_doubt),
            })
        })
        .collect();
    json!({"epoch": r.epoch.number, "began_at": r.epoch.began_at, "ended_at": r.epoch.ended_at, "logs": logs, "steps": steps})
}
