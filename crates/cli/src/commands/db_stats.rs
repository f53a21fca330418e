//! `tollgate db stats`: sizes, queues, what waits longest.

use clap::Args;
use serde_json::json;
use tollgate_core::ports::StoreStats;
use tollgate_core::time::Timestamp;

use crate::context::Context;
use crate::failure::Failure;
use crate::store_args::StoreArgs;

/// The command line.
#[derive(Debug, Args)]
pub struct Stats {
    #[command(flatten)]
    store: StoreArgs,
}

/// Prints what there is; reads only, also while the store is in use.
///
/// # Errors
/// When the store cannot be read.
pub async fn run(cx: &Context, what: Stats) -> Result<(), Failure> {
    let stats = crate::node::stats(&super::db::setup(cx, &what.store)?).await?;
    if cx.out.json {
        cx.out.value(&value(&stats));
        return Ok(());
    }
    let at = |t: Option<Timestamp>| t.map_or_else(|| "-".to_owned(), |t| t.to_string());
    let lines = [
        ("engine", format!("{}, schema version {}", stats.engine, stats.schema_version)),
        ("size", format!("{} bytes, of which {} are free; write-ahead log {}", stats.bytes, stats.free_bytes, stats.wal_bytes)),
        (
            "steps",
            format!(
                "{} ready, {} held, {} timers; the oldest ready since {}",
                stats.ready,
                stats.held,
                stats.timers,
                at(stats.oldest_ready)
            ),
        ),
        ("runs", format!("the oldest open one since {}", at(stats.oldest_open_run))),
        ("ledger", format!("{} entries wait for a position", stats.unsequenced)),
        ("epoch", format!("{}{}", stats.epoch, if stats.held_by_epoch { ", which holds all writes" } else { "" })),
    ];
    for (name, text) in lines {
        cx.out.line(format!("{name:<8}{text}"));
    }
    let rows: Vec<Vec<String>> = stats.tables.iter().map(|(name, t)| vec![name.clone(), t.rows.to_string(), t.bytes.to_string()]).collect();
    cx.out.table(&["table", "rows", "bytes"], &rows);
    Ok(())
}

fn value(s: &StoreStats) -> serde_json::Value {
    let tables: serde_json::Map<_, _> = s.tables.iter().map(|(n, t)| (n.clone(), json!({"rows": t.rows, "bytes": t.bytes}))).collect();
    json!({
        "engine": s.engine, "schema_version": s.schema_version, "bytes": s.bytes, "free_bytes": s.free_bytes, "wal_bytes": s.wal_bytes,
        "ready": s.ready, "held": s.held, "timers": s.timers, "oldest_ready": s.oldest_ready, "oldest_open_run": s.oldest_open_run,
        "unsequenced": s.unsequenced, "epoch": s.epoch, "held_by_epoch": s.held_by_epoch, "tables": tables,
    })
}
