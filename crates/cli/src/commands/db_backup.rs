//! `tollgate db backup` and `tollgate db restore`: the embedded store as one file, whole or not there.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::context::Context;
use crate::failure::Failure;

/// The command line of `backup`.
#[derive(Debug, Args)]
pub struct Backup {
    /// The file; nothing is overwritten
    file: PathBuf,
}

/// The command line of `restore`.
#[derive(Debug, Args)]
pub struct Restore {
    /// A backup
    file: PathBuf,
    /// Take the place of the store that is there; it is kept under another name
    #[arg(long)]
    replace: bool,
}

/// Copies the store, also while it runs.
///
/// # Errors
/// When there is no store, the file is there, or the copy does not check.
pub async fn backup(cx: &Context, what: Backup) -> Result<(), Failure> {
    let (store, file) = (cx.data_of_project().join("store.db"), what.file.clone());
    let bytes = super::db::blocking(move || tollgate_store::backup(&store, &file)).await?;
    if cx.out.json {
        cx.out.value(&json!({"file": what.file, "bytes": bytes}));
        return Ok(());
    }
    cx.out.line(format!("{bytes} bytes written to {} and checked", what.file.display()));
    cx.out.line("Without the data folder's master.key and ledger.key it cannot be used: keep them elsewhere, apart from it.");
    Ok(())
}

/// Puts a backup back.
///
/// # Errors
/// When a process has the store, one is there, or the backup is damaged.
pub async fn restore(cx: &Context, what: Restore) -> Result<(), Failure> {
    let (data, file) = (cx.data_of_project(), what.file.clone());
    let now = crate::system::ids().now();
    let mark = what.replace.then(|| format!("replaced-{}", now.as_millis()));
    let _home = crate::node::Home::open(&data).map_err(crate::node::NodeError::from)?;
    let store = data.join("store.db");
    let kept = super::db::blocking(move || tollgate_store::restore(&file, &store, mark.as_deref(), now)).await?;
    if cx.out.json {
        cx.out.value(&json!({"restored": what.file, "kept": kept}));
        return Ok(());
    }
    if let Some(kept) = kept {
        cx.out.line(format!("the store that was there is kept as {}", kept.display()));
    }
    cx.out.line("Restored. It forgot what happened since the backup: whoever opens it first begins an epoch that holds all writes.");
    cx.out.line("Next: tollgate db epoch list");
    Ok(())
}
