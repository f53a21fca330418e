//! `tollgate db migrate`: the schema, its roles and their grants.

use clap::Args;
use serde_json::json;
use tollgate_store::{Login, migrate};

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// The command line.
#[derive(Debug, Args)]
pub struct Migrate {
    /// An administrator's URL, such as postgres://postgres@host/database; the tables are this login's
    #[arg(long, value_name = "URL", env = "DATABASE_ADMIN_URL", hide_env_values = true)]
    admin_url: Option<String>,
}

/// Migrates.
///
/// # Errors
/// When there is no URL, or the database says no.
pub async fn run(cx: &Context, what: Migrate) -> Result<(), Failure> {
    let none = || {
        let why = "there is no administrator's URL: set DATABASE_ADMIN_URL, or give --admin-url postgres://user@host/database; \
             it is the login that owns the tables, and no service runs as it (an embedded store migrates itself when it is opened)";
        Failure::new(Exit::Usage, why)
    };
    let url = what.admin_url.filter(|u| !u.is_empty()).ok_or_else(none)?;
    let login = Login::parse(&url)?;
    let (from, to) = migrate(&login).await?;
    if cx.out.json {
        cx.out.value(&json!({"from": from, "to": to, "database": login.shown()}));
        return Ok(());
    }
    let shown = login.shown();
    cx.out.line(match from {
        0 => format!("{shown}: made at schema version {to}"),
        from if from == to => format!("{shown}: at schema version {to} already"),
        from => format!("{shown}: from schema version {from} to {to}"),
    });
    if from == 0 {
        cx.out.line("Services log in as members of its roles:");
        cx.out.line("  CREATE ROLE serve_1 LOGIN PASSWORD '...' IN ROLE tollgate_serve;");
        cx.out.line("  CREATE ROLE worker_1 LOGIN PASSWORD '...' IN ROLE tollgate_worker;");
    }
    Ok(())
}
