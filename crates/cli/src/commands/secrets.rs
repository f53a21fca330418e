//! `tollgate secrets`: values come from a prompt or from standard input, never from an argument.

use std::io::{IsTerminal, Read};

use axum::http::Method;
use clap::Subcommand;
use serde_json::json;
use zeroize::Zeroizing;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{text, time};
use crate::path::part;

/// What to do with secrets.
#[derive(Debug, Subcommand)]
pub enum Secrets {
    /// Store a secret: type it at the prompt, or pipe it in
    Set {
        /// Its name, as specs use it
        name: String,
    },
    /// List names, versions and times; values never leave the vault
    List,
    /// Remove a secret
    Rm {
        /// Its name
        name: String,
    },
}

/// Runs it.
///
/// # Errors
/// When the server says no.
pub async fn run(cx: &Context, what: Secrets) -> Result<(), Failure> {
    match what {
        Secrets::Set { name } => {
            let value = read(&name)?;
            let body = Zeroizing::new(json!({"value": value.as_str()}).to_string());
            let client = cx.client().await?;
            let answer = client.send(Method::PUT, &format!("/v1/secrets/{}", part(&name)), Some(body.as_bytes().to_vec()), &[]).await?;
            if !answer.status.is_success() {
                return Err(crate::client::refusal(&answer));
            }
            let v = answer.json()?;
            if cx.out.json { cx.out.value(&v) } else { cx.out.line(format!("{name} is set (version {})", text(&v, "/version"))) }
        }
        Secrets::List => {
            let v = cx.client().await?.json(Method::GET, "/v1/secrets", None).await?;
            if cx.out.json {
                cx.out.value(&v);
                return Ok(());
            }
            let rows: Vec<_> = v["data"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|s| vec![text(s, "/name"), text(s, "/version"), time(s, "/updated_at")])
                .collect();
            if rows.is_empty() {
                cx.out.line("no secrets");
            } else {
                cx.out.table(&["name", "version", "set"], &rows);
            }
        }
        Secrets::Rm { name } => {
            cx.client().await?.json(Method::DELETE, &format!("/v1/secrets/{}", part(&name)), None).await?;
            if cx.out.json {
                cx.out.value(&json!({"object": "secret", "name": name, "removed": true}));
            } else {
                cx.out.line(format!("{name} is removed"));
            }
        }
    }
    Ok(())
}

/// One line from a pipe, or a prompt that shows nothing.
fn read(name: &str) -> Result<Zeroizing<String>, Failure> {
    let stdin = std::io::stdin();
    let mut value = Zeroizing::new(String::new());
    if stdin.is_terminal() {
        *value = rpassword::prompt_password(format!("{name}: "))?;
    } else {
        stdin.lock().take(1 << 20).read_to_string(&mut value)?;
        let end = value.trim_end_matches(['\n', '\r']).len();
        value.truncate(end);
    }
    if value.is_empty() {
        return Err(Failure::new(Exit::Failed, "no value was given: type it at the prompt, or pipe it in"));
    }
    Ok(value)
}
