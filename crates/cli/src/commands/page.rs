//! Lists as commands print them: one page, what to say when nothing is there, and how to see more.

use axum::http::Method;
use serde_json::Value;

use crate::client::Client;
use crate::context::Context;
use crate::failure::Failure;
use crate::path::query;

/// Which page.
#[derive(Debug, clap::Args)]
pub struct Page {
    /// How many, 1 to 100
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// Go on where a page ended: its `next_cursor`
    #[arg(long)]
    cursor: Option<String>,
}

/// What is listed.
pub struct Listing<'a> {
    /// The route.
    pub path: &'a str,
    /// Its filters.
    pub filters: Vec<(&'a str, Option<String>)>,
    /// The columns.
    pub header: &'a [&'a str],
    /// A row of them.
    pub row: fn(&Value) -> Vec<String>,
    /// What is said when there is nothing.
    pub none: &'a str,
}

impl Page {
    /// Prints it.
    ///
    /// # Errors
    /// When the server says no.
    pub async fn print(self, cx: &Context, what: Listing<'_>) -> Result<(), Failure> {
        let mut params = vec![("limit", Some(self.limit.to_string()))];
        params.extend(what.filters);
        params.push(("cursor", self.cursor));
        let v = cx.client().await?.json(Method::GET, &query(what.path, &params), None).await?;
        if cx.out.json {
            cx.out.value(&v);
            return Ok(());
        }
        let rows: Vec<_> = v["data"].as_array().into_iter().flatten().map(what.row).collect();
        if rows.is_empty() {
            cx.out.line(what.none);
            return Ok(());
        }
        cx.out.table(what.header, &rows);
        if let Some(next) = v["next_cursor"].as_str() {
            cx.out.aside(&format!("there are more: add --cursor {next}"));
        }
        Ok(())
    }
}

/// Every page of a list.
///
/// # Errors
/// When the server says no.
pub async fn all(client: &Client, path: &str, filters: &[(&str, Option<String>)]) -> Result<Vec<Value>, Failure> {
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let mut params = vec![("limit", Some("100".to_owned()))];
        params.extend_from_slice(filters);
        params.push(("cursor", cursor));
        let mut page = client.json(Method::GET, &query(path, &params), None).await?;
        if let Value::Array(data) = page["data"].take() {
            found.extend(data);
        }
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            return Ok(found);
        }
    }
}
