//! The demo's course: deliver, let people answer, deliver again, replay, verify.

use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::http::Method;
use clap::Args;
use serde_json::json;
use tokio::net::TcpListener;
use tollgate_core::spec::Transport;

use super::deliver::{deliver, read};
use super::people::{Said, answer};
use super::stage::Stage;
use super::table::Tally;
use super::tracker::Tracker;
use crate::bench::Ground;
use crate::client::Client;
use crate::commands::check;
use crate::commands::receipts;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::node::assemble;
use crate::settle::settle;

const MARK: &str = "this-folder-is-made-by-tollgate-demo";

/// The demo's command line.
#[derive(Debug, Args)]
pub struct Demo {
    /// The example's folder
    #[arg(long, default_value = "examples/github-triage")]
    example: PathBuf,
    /// The data folder; made anew each time
    #[arg(long, default_value = ".tollgate-demo")]
    folder: PathBuf,
    /// The store: `embedded` in one process, `private` for a Postgres server of its own with a control plane and two workers, or an
    /// administrator's URL for the same on a database of its own there
    #[arg(long, default_value = "embedded", value_name = "WHERE", value_parser = Ground::parse)]
    store: Ground,
}

/// Runs it.
///
/// # Errors
/// When anything does not add up.
pub async fn run(cx: &Context, what: Demo) -> Result<(), Failure> {
    if !what.example.is_dir() {
        let shown = what.example.display();
        return Err(Failure::plain(format!(
            "there is no example at `{shown}`: run the demo in a checkout of Tollgate's repository, or name the folder with --example"
        )));
    }
    let folder = fresh(&what.folder)?;
    let tracker_token = random();
    let tracker = Tracker::new(&tracker_token);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    let app = tracker.clone().router();
    tokio::spawn(async move { axum::serve(listener, app).await });

    let (project, assembled) = compiled(cx, &what.example, &base, &folder)?;
    let stage = Stage::start(&what.store, &folder, &project, &assembled).await?;
    let client = Arc::new(Client::http(stage.url(), stage.key())?);
    say(cx, &stage.line());
    say(cx, &format!("tracker  {base}, which answers late or not at all now and then\n"));
    let outcome = course(cx, &what, &client, &tracker, &tracker_token, &folder).await;
    std::fs::write(folder.join("public-key.txt"), stage.public_key())?;
    let stays = stage.stop().await?;
    let tally = outcome?;
    if cx.out.json {
        cx.out.value(&tally.json())
    } else {
        tally.print(cx.out)
    }
    let faults = tally.faults();
    if !faults.is_empty() {
        return Err(Failure::new(Exit::Failed, format!("the demo does not add up:\n  {}", faults.join("\n  "))));
    }
    next(cx, &folder, stays);
    Ok(())
}

async fn course(cx: &Context, what: &Demo, client: &Arc<Client>, tracker: &Tracker, token: &str, folder: &Path) -> Result<Tally, Failure> {
    let hook_secret = random();
    for (name, value) in [("github_webhook", hook_secret.as_str()), ("tracker_token", token)] {
        client.json(Method::PUT, &format!("/v1/secrets/{name}"), Some(&json!({"value": value}))).await?;
    }
    let deliveries = Arc::new(read(&what.example.join("data/deliveries.jsonl"))?);
    let count = deliveries.len() as u64;
    let bar = bar(cx, count);
    let reports = folder.join("reports");

    bar.set_message("delivering 255 webhooks");
    let first = deliver(client, &deliveries, &hook_secret, &bar).await?;
    bar.set_message("waiting for the last answers");
    settle(client).await?;
    let mut said = Said::default();
    // An answer may bring the next question: another alert of the same kind that had waited for it.
    while answer(client, tracker, &mut said).await? > 0 {
        settle(client).await?;
    }
    let (effects, files) = (tracker.effects(), count_files(&reports));

    bar.reset();
    bar.set_message("delivering everything again");
    let second = deliver(client, &deliveries, &hook_secret, &bar).await?;
    settle(client).await?;
    bar.set_message("replaying the log through the live gate");
    let replayed = replay(client).await?;
    settle(client).await?;
    bar.finish_and_clear();

    let export = folder.join("export.jsonl");
    let answer = client.send(Method::GET, "/v1/receipts/export", None, &[]).await?;
    if !answer.status.is_success() {
        return Err(crate::client::refusal(&answer));
    }
    std::fs::write(&export, &answer.body)?;
    let report = receipts::check(BufReader::new(std::fs::File::open(&export)?), None, None)
        .map_err(|e| Failure::new(Exit::NotVerified, format!("the export does not verify: {e}")))?;
    let (runs, plans) = count_runs(client).await?;
    let (effects, files) = ([effects, tracker.effects()], [files, count_files(&reports)]);
    Ok(Tally { rounds: [first, second], replayed, runs, plans, effects, files, said, report })
}

/// The project, with the tracker where it listens today, and reports below the data folder.
fn compiled(cx: &Context, example: &Path, base: &str, folder: &Path) -> Result<(PathBuf, crate::node::Assembled), Failure> {
    let cx = Context { project: example.to_owned(), data: None, url: None, key: None, ..*cx };
    let (project, _) = check::compile(&cx).map_err(|f| check::failure(&f))?;
    let mut bundle = project.bundle.clone();
    if let Some(tracker) = bundle.connectors.get_mut("tracker") {
        tracker.config.insert("base".to_owned(), json!(base));
    }
    if let Some(reports) = bundle.connectors.get_mut("reports") {
        reports.transport = Transport::Files { root: folder.join("reports").to_string_lossy().into_owned() };
    }
    std::fs::create_dir_all(folder.join("reports"))?;
    let assembled = assemble(Arc::new(bundle), &project.root).map_err(|f| Failure::new(Exit::Faults, f.lines().join("\n")))?;
    Ok((project.root, assembled))
}

/// An empty folder of the demo's own: never one that it did not make.
fn fresh(folder: &Path) -> Result<PathBuf, Failure> {
    if folder.exists() {
        if !folder.join(MARK).exists() {
            return Err(Failure::plain(format!("`{}` was not made by the demo: give another folder with --folder", folder.display())));
        }
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join(MARK), "")?;
    Ok(folder.canonicalize()?)
}

fn random() -> String {
    data_encoding::HEXLOWER.encode(&crate::system::ids().random::<24>())
}

fn say(cx: &Context, text: &str) {
    if !cx.out.json {
        cx.out.line(text);
    }
}

fn bar(cx: &Context, count: u64) -> indicatif::ProgressBar {
    if cx.out.json {
        return indicatif::ProgressBar::hidden();
    }
    let bar = indicatif::ProgressBar::new(count);
    let style = indicatif::ProgressStyle::with_template("{bar:40} {pos}/{len}  {msg}");
    bar.set_style(style.unwrap_or_else(|_| indicatif::ProgressStyle::default_bar()));
    bar
}

async fn replay(client: &Client) -> Result<u64, Failure> {
    let mut state = client.json(Method::POST, "/v1/replays", Some(&json!({}))).await?;
    let id = state["id"].as_str().unwrap_or_default().to_owned();
    while state["status"] == "running" {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        state = client.json(Method::GET, &format!("/v1/replays/{id}"), None).await?;
    }
    Ok(state["runs"].as_u64().unwrap_or(0))
}

async fn count_runs(client: &Client) -> Result<(u64, u64), Failure> {
    let (mut runs, mut plans, mut cursor) = (0, 0, None::<String>);
    loop {
        let path = cursor.as_ref().map_or("/v1/runs?limit=100".to_owned(), |c| format!("/v1/runs?limit=100&cursor={c}"));
        let page = client.json(Method::GET, &path, None).await?;
        let data = page["data"].as_array().map(Vec::as_slice).unwrap_or_default();
        runs += data.len() as u64;
        plans += data.iter().filter(|r| r["state"] != "no_plan" && r["state"] != "proposal_failed").count() as u64;
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            return Ok((runs, plans));
        }
    }
}

/// Reports in all folders below.
fn count_files(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    entries
        .map(|e| e.path())
        .map(|path| if path.is_dir() { count_files(&path) } else { u64::from(path.extension().is_some_and(|x| x == "md")) })
        .sum()
}

fn next(cx: &Context, folder: &Path, stays: bool) {
    let shown = pathdiff(folder);
    let lists = format!("tollgate --data {shown}/data runs list\n  tollgate --data {shown}/data receipts list\n  ");
    let lists = if stays { lists } else { String::new() };
    let verify = format!("tollgate receipts verify {shown}/export.jsonl --key {shown}/public-key.txt");
    say(cx, &format!("\nEvery number above comes from the tracker's own book or from a verified export. Look further:\n  {lists}{verify}"));
}

/// The folder as the user would type it.
fn pathdiff(folder: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    folder.strip_prefix(&here).unwrap_or(folder).display().to_string()
}
