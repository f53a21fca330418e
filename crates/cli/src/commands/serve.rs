//! `tollgate serve`: the control plane of an installation whose processes share a Postgres.

use std::time::Duration;

use super::check;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::keys::Keys;
use crate::node::{Part, Place, Setup};
use crate::serving::{LISTEN, Serving, Stop};
use crate::store_args::StoreArgs;

/// The command line of `serve`.
#[derive(Debug, clap::Args)]
pub struct Serve {
    /// Address and port; what `tollgate.toml` says when left out, else 127.0.0.1:3001
    #[arg(long)]
    listen: Option<String>,
    #[command(flatten)]
    store: StoreArgs,
    /// Leave the active bundle as it is, and need no project folder
    #[arg(long)]
    no_deploy: bool,
    /// How long a stopping server goes on serving while /readyz says that it leaves: longer than a balancer takes to notice
    #[arg(long, value_name = "SPAN", default_value = "2s", value_parser = tollgate_core::time::parse_span)]
    drain: Duration,
}

/// Runs it until Ctrl-C or SIGTERM.
///
/// # Errors
/// When the project has faults, the port is taken, or the database cannot be used.
pub async fn run(cx: &Context, what: Serve) -> Result<(), Failure> {
    let place = Place::Postgres(what.store.access()?);
    let worker = crate::options::worker()?;
    let (project, assembled) = match what.no_deploy {
        true => (None, None),
        false => check::compile(cx).map(|(p, a)| (Some(p), Some(a))).map_err(|f| {
            let hint = "(a control plane that deploys nothing starts with --no-deploy)";
            Failure::new(Exit::Faults, format!("{}\n{hint}", check::failure(&f).message))
        })?,
    };
    let data = cx.data_dir(project.as_ref());
    let said = what.listen.or_else(|| project.as_ref()?.settings.listen.map(|a| a.to_string()));
    let root = project.as_ref().map_or_else(|| cx.project.clone(), |p| p.root.clone());
    let setup = Setup { data, project: root, keys: what.store.keys.clone(), place, worker, part: Part::Control };
    let serving = Serving::start(&setup, assembled.as_ref(), &said.unwrap_or_else(|| LISTEN.to_owned())).await?;
    if let Some(project) = &project {
        serving.node.retain(&project.settings.retention, &setup)?;
    }
    let stop = Stop::catch()?;
    Keys::first(&serving.node).await?;
    serving.announce()?;
    say(cx, &serving, &setup);
    stop.wait().await;
    if !cx.out.json {
        cx.out.line("\nstopping: requests are answered until the balancer has noticed");
    }
    serving.stop(what.drain).await;
    Ok(())
}

fn say(cx: &Context, serving: &Serving, setup: &Setup) {
    let store = setup.place.shown(&serving.node.home);
    if cx.out.json {
        let url = format!("http://{}", serving.addr);
        cx.out.line(serde_json::json!({"url": url, "data": setup.data, "store": store}).to_string());
        return;
    }
    cx.out.line(format!("{} control plane; steps are taken by `tollgate worker`", cx.out.paint(1, "tollgate")));
    cx.out.line(format!("  listening  http://{}  (API: /openapi.json, metrics: /metrics)", serving.addr));
    cx.out.line(format!("  store      {store}"));
    cx.out.line(format!("  data       {}", setup.data.display()));
    let keys = setup.keys.as_ref().unwrap_or(&setup.data);
    cx.out.line(format!("  keys       {}  (workers need its master.key)", keys.display()));
}
