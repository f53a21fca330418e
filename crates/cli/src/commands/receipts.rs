//! `tollgate receipts`: what happened, what was refused, and the proof of it.

use std::fs::File;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};

use axum::http::Method;
use clap::Subcommand;
use serde_json::{Value, json};
use tollgate_core::ledger::{PublicKey, Report, SignedCheckpoint, VerifyFailure, verify};

use super::page::{Listing, Page};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{text, time};
use crate::path::{part, query};
use crate::recompute::Recomputers;

/// What to do with receipts.
#[derive(Debug, Subcommand)]
pub enum Receipts {
    /// List receipts, newest first
    List {
        #[command(flatten)]
        page: Page,
        /// Only those about this action, `act_…`
        #[arg(long)]
        action: Option<String>,
    },
    /// Show one
    Show {
        /// The receipt, `rc_…`
        id: String,
    },
    /// Write a signed export that anyone can check
    Export {
        /// The file; standard output when left out
        #[arg(long, short)]
        output: Option<PathBuf>,
        /// Only entries about this action in full; the others as hashes
        #[arg(long)]
        action: Option<String>,
    },
    /// Print the public key that exports are verified with: give it to whoever verifies, apart from the export
    Key,
    /// Print the newest signed checkpoint, for a witness to keep; `verify --checkpoint` takes it
    Checkpoint,
    /// Check an export: nothing but the file and the public key is needed
    Verify {
        /// The export
        file: PathBuf,
        /// The public key in hex, or a file that holds it; without it the file's own key is used, which proves less
        #[arg(long)]
        key: Option<String>,
        /// A checkpoint kept by a witness: detects a log that was cut back or forked
        #[arg(long)]
        checkpoint: Option<PathBuf>,
    },
}

/// Runs it.
///
/// # Errors
/// When the server says no, or the export does not verify.
pub async fn run(cx: &Context, what: Receipts) -> Result<(), Failure> {
    match what {
        Receipts::List { page, action } => list(cx, page, action).await,
        Receipts::Show { id } => {
            let v = cx.client().await?.json(Method::GET, &format!("/v1/receipts/{}", part(&id)), None).await?;
            if cx.out.json {
                cx.out.value(&v)
            } else {
                super::entry::show(cx, &v)
            }
            Ok(())
        }
        Receipts::Export { output, action } => export(cx, output, action).await,
        Receipts::Key => {
            let v = checkpoint(cx).await?;
            if cx.out.json {
                cx.out.value(&json!({"public_key": v["public_key"]}))
            } else {
                cx.out.line(text(&v, "/public_key"))
            }
            Ok(())
        }
        Receipts::Checkpoint => {
            let v = checkpoint(cx).await?;
            if v["checkpoint"].is_null() {
                return Err(Failure::plain("nothing is signed yet: the log is empty"));
            }
            cx.out.value(&v["checkpoint"]);
            Ok(())
        }
        Receipts::Verify { file, key, checkpoint } => verified(cx, &file, key, checkpoint),
    }
}

async fn list(cx: &Context, page: Page, action: Option<String>) -> Result<(), Failure> {
    let listing = Listing {
        path: "/v1/receipts",
        filters: vec![("action", action)],
        header: &["receipt", "time", "disposition", "reason", "verdict", "tool", "principal"],
        row,
        none: "no receipts",
    };
    page.print(cx, listing).await
}

fn row(r: &Value) -> Vec<String> {
    let body = |k: &str| text(r, &format!("/leaf/body/{k}"));
    vec![text(r, "/id"), time(r, "/at"), body("disposition"), body("reason"), body("verdict"), body("of/tool"), body("of/principal")]
}

async fn checkpoint(cx: &Context) -> Result<Value, Failure> {
    cx.client().await?.json(Method::GET, "/v1/checkpoint", None).await
}

async fn export(cx: &Context, output: Option<PathBuf>, action: Option<String>) -> Result<(), Failure> {
    let path = query("/v1/receipts/export", &[("action", action)]);
    let answer = cx.client().await?.send(Method::GET, &path, None, &[]).await?;
    if !answer.status.is_success() {
        return Err(crate::client::refusal(&answer));
    }
    match output {
        None => cx.out.bytes(&answer.body),
        Some(file) => {
            write(&file, &answer.body)?;
            let lines = answer.body.iter().filter(|b| **b == b'\n').count();
            let shown = file.display();
            if cx.out.json {
                cx.out.value(&json!({"file": file, "lines": lines}));
            } else {
                cx.out.line(format!("{lines} lines written to {shown}; check them with `tollgate receipts verify {shown}`"));
            }
        }
    }
    Ok(())
}

/// Writes an export. What could not be written whole is taken away: half an export only looks like tampering.
fn write(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |e: std::io::Error| Failure::plain(format!("`{}` cannot be written: {e}", file.display()));
    let mut out = File::create(file).map_err(failed)?;
    out.write_all(bytes).and_then(|()| if file.is_file() { out.sync_all() } else { Ok(()) }).map_err(|e| {
        if file.is_file() {
            // It failed already; what is left of the file changes nothing about that.
            let _ = std::fs::remove_file(file);
        }
        failed(e)
    })
}

fn verified(cx: &Context, file: &PathBuf, key: Option<String>, checkpoint: Option<PathBuf>) -> Result<(), Failure> {
    let open = File::open(file).map_err(|e| Failure::plain(format!("`{}` cannot be read: {e}", file.display())))?;
    if file.is_dir() {
        return Err(Failure::plain(format!("`{}` is a folder: give the file of an export", file.display())));
    }
    let key = key.map(|k| public_key(&k)).transpose()?;
    let witness = checkpoint.map(|p| read_checkpoint(&p)).transpose()?;
    match check(BufReader::new(open), key.as_ref(), witness.as_ref()) {
        Ok(report) => {
            if cx.out.json {
                cx.out.value(&json!({"verified": true, "report": &report}))
            } else {
                cx.out.line(format!("{} verifies", file.display()));
                cx.out.line(report.to_string().trim_end());
            }
            Ok(())
        }
        Err(e) => {
            if cx.out.json {
                cx.out.value(&json!({"verified": false, "error": e.to_string()}));
            }
            Err(Failure::new(Exit::NotVerified, format!("`{}` does not verify: {e}", file.display())))
        }
    }
}

/// Checks an export, asking policy again for each verdict.
pub fn check(file: impl std::io::BufRead, key: Option<&PublicKey>, witness: Option<&SignedCheckpoint>) -> Result<Report, VerifyFailure> {
    let recomputers = Recomputers::default();
    verify(file, key, witness, &|artifact, request| recomputers.verdict(artifact, request))
}

fn public_key(text: &str) -> Result<PublicKey, Failure> {
    let hex = std::fs::read_to_string(text).unwrap_or_else(|_| text.to_owned());
    PublicKey::from_hex(hex.trim())
        .ok_or_else(|| Failure::plain(format!("`{text}` is neither a public key (64 lower-case hex digits) nor a file that holds one")))
}

fn read_checkpoint(path: &PathBuf) -> Result<SignedCheckpoint, Failure> {
    let shown = path.display();
    let bytes = std::fs::read(path).map_err(|e| Failure::plain(format!("`{shown}` cannot be read: {e}")))?;
    serde_json::from_slice(&bytes).map_err(|e| Failure::plain(format!("`{shown}` is not a signed checkpoint: {e}")))
}
