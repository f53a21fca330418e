//! `tollgate dev`: everything in one process.

use std::time::Duration;

use super::check;
use crate::context::Context;
use crate::failure::Failure;
use crate::keys::Keys;
use crate::node::{Part, Setup};
use crate::serving::{LISTEN, Serving, Stop};
use crate::store_args::StoreArgs;

/// The command line of `dev`.
#[derive(Debug, clap::Args)]
pub struct Dev {
    #[command(subcommand)]
    pub what: Option<DevCommand>,
    /// Address and port; what `tollgate.toml` says when left out, else 127.0.0.1:3001
    #[arg(long)]
    listen: Option<String>,
    #[command(flatten)]
    store: StoreArgs,
}

/// What else `dev` does.
#[derive(Debug, clap::Subcommand)]
pub enum DevCommand {
    /// Offer events of a file to the operators, here and now, with every effect stubbed
    Replay(super::dev_replay::DevReplay),
}

/// Runs it until Ctrl-C or SIGTERM.
///
/// # Errors
/// When the project has faults, the port is taken, or the store does not open.
pub async fn run(cx: &Context, what: Dev) -> Result<(), Failure> {
    if let Some(DevCommand::Replay(replay)) = what.what {
        return super::dev_replay::run(cx, replay).await;
    }
    let (project, assembled) = check::compile(cx).map_err(|f| check::failure(&f))?;
    let data = cx.data_dir(Some(&project));
    let listen = what.listen.or_else(|| project.settings.listen.map(|a| a.to_string())).unwrap_or_else(|| LISTEN.to_owned());
    let (keys, place) = (what.store.keys.clone(), what.store.place()?);
    let setup = Setup { data, project: project.root.clone(), keys, place, worker: crate::options::worker()?, part: Part::All };
    let serving = Serving::start(&setup, Some(&assembled), &listen).await?;
    serving.node.retain(&project.settings.retention, &setup)?;
    Keys::ensure(&serving.node).await?;
    serving.announce()?;
    let stop = Stop::catch()?;
    banner(cx, &project, &serving, &setup);
    stop.wait().await;
    if !cx.out.json {
        cx.out.line("\nstopping: calls under way are awaited");
    }
    serving.stop(Duration::ZERO).await;
    Ok(())
}

/// What a server says when it is ready.
pub fn banner(cx: &Context, project: &tollgate_spec::Project, serving: &Serving, setup: &Setup) {
    let data = &setup.data;
    if cx.out.json {
        cx.out.line(
            serde_json::json!({"url": format!("http://{}", serving.addr), "data": data, "bundle": project.bundle.digest()}).to_string(),
        );
        return;
    }
    let b = &project.bundle;
    cx.out.line(format!("{} {}", cx.out.paint(1, "tollgate"), project.settings.name));
    cx.out.line(format!("  listening  http://{}  (API: /openapi.json, metrics: /metrics)", serving.addr));
    cx.out.line(format!("  data       {}", data.display()));
    cx.out.line(format!("  store      {}", setup.place.shown(&serving.node.home)));
    cx.out.line(format!("  keys       {}", data.join(crate::client::KEYS_FILE).display()));
    cx.out.line(format!("  project    {}", super::check::counts(b)));
    let hooks: Vec<&str> = b.connectors.values().filter(|c| c.webhook.is_some()).map(|c| c.name.as_str()).collect();
    for hook in hooks {
        cx.out.line(format!("  webhooks   http://{}/v1/hooks/{hook}", serving.addr));
    }
    cx.out.line("Ctrl-C stops it; nothing is lost.");
}
