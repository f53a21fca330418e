//! The command line: global options, and which command they go to.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use tollgate_core::scope::Mode;

use crate::bench::{self, Bench};
use crate::commands::{
    actions, approvals, check, db, dev, events, init, operators, receipts, replay, runs, schema, secrets, serve, worker,
};
use crate::context::Context;
use crate::demo;
use crate::exit;
use crate::failure::Failure;
use crate::output::Output;

/// Where help lists what every command takes.
const GLOBAL: &str = "Options of every command";

/// Agents and automations act on real systems: each action allowed, once, and provable.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, after_help = exit::HELP)]
pub struct Cli {
    /// For machines: JSON on standard output, errors as JSON on standard error
    #[arg(long, global = true, help_heading = GLOBAL)]
    json: bool,
    /// The project folder
    #[arg(long, global = true, default_value = ".", value_name = "FOLDER", help_heading = GLOBAL)]
    project: PathBuf,
    /// The data folder; what `tollgate.toml` says when left out
    #[arg(long, global = true, value_name = "FOLDER", help_heading = GLOBAL)]
    data: Option<PathBuf>,
    /// Whose data: `live`, or `test`, where tools lead to test systems or stubs
    #[arg(long, global = true, value_enum, default_value_t = ModeArg::Live, help_heading = GLOBAL)]
    mode: ModeArg,
    /// A server elsewhere; its key is read from TOLLGATE_API_KEY
    #[arg(long, global = true, env = "TOLLGATE_URL", hide_env_values = true, help_heading = GLOBAL)]
    url: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ModeArg {
    Live,
    Test,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a small project that runs
    Init {
        /// The folder; that of `--project` when left out
        folder: Option<PathBuf>,
        /// The project's name; that of the folder when left out
        #[arg(long)]
        name: Option<String>,
    },
    /// Look for every fault of the project
    Check,
    /// Print the JSON Schemas of the spec kinds, for editors
    Schema {
        /// Only this kind: `Connector`, `Operator`, `Policy` or `settings`
        kind: Option<String>,
    },
    /// Run everything in one process: server, worker, store
    Dev(dev::Dev),
    /// Run a control plane: server, positions, checkpoints. Steps are the workers'; several may run over one Postgres
    Serve(serve::Serve),
    /// Run a worker: it takes steps, and nothing else; any number may run over one Postgres
    Worker(worker::Worker),
    /// Watch real webhooks become governed, receipted actions
    Demo(demo::Demo),
    /// Events: send, import, list, follow
    #[command(subcommand)]
    Events(events::Events),
    /// Runs: what became of an event, hop by hop
    #[command(subcommand)]
    Runs(runs::Runs),
    /// Actions: submit one, list, show
    #[command(subcommand)]
    Actions(actions::Actions),
    /// What waits for a person, and the person's answer
    #[command(subcommand)]
    Approvals(approvals::Approvals),
    /// What happened, what was refused, and the proof of it
    #[command(subcommand)]
    Receipts(receipts::Receipts),
    /// Offer recorded events again, through the gate as it is now
    Replay(replay::Replay),
    /// Who proposes, and whether it may
    #[command(subcommand)]
    Operators(operators::Operators),
    /// Secrets: set, list, remove
    #[command(subcommand)]
    Secrets(secrets::Secrets),
    /// The database: its schema
    #[command(subcommand)]
    Db(db::Db),
    /// Measure this machine: rates and latencies, beside what its disk can do
    #[command(subcommand)]
    Bench(Bench),
}

impl Cli {
    /// Structured logs on standard error: for people on a terminal, JSON lines elsewhere. `RUST_LOG` says how much.
    pub fn log(&self) {
        let runs_on = matches!(self.command, Command::Dev(dev::Dev { what: None, .. }) | Command::Serve(_) | Command::Worker(_));
        let default = if runs_on { "info" } else { "error" };
        let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| default.into());
        let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
        if std::io::stderr().is_terminal() {
            builder.with_ansi(std::env::var_os("NO_COLOR").is_none()).init();
        } else {
            builder.json().flatten_event(true).with_span_list(false).init();
        }
    }

    /// Machines read what it prints.
    pub const fn json(&self) -> bool {
        self.json
    }

    /// Runs the command.
    ///
    /// # Errors
    /// Why it did not do what was asked, with the exit code.
    pub async fn run(self) -> Result<(), Failure> {
        let cx = Context {
            out: Output::new(self.json),
            project: self.project,
            data: self.data,
            mode: match self.mode {
                ModeArg::Live => Mode::Live,
                ModeArg::Test => Mode::Test,
            },
            url: self.url,
            key: std::env::var("TOLLGATE_API_KEY").ok().filter(|k| !k.is_empty()),
        };
        match self.command {
            Command::Init { folder, name } => init::run(&cx, folder.as_deref(), name),
            Command::Check => check::run(&cx),
            Command::Schema { kind } => schema::run(&cx, kind.as_deref()),
            Command::Dev(what) => dev::run(&cx, what).await,
            Command::Serve(what) => serve::run(&cx, what).await,
            Command::Worker(what) => worker::run(&cx, what).await,
            Command::Demo(what) => demo::run(&cx, what).await,
            Command::Events(what) => events::run(&cx, what).await,
            Command::Runs(what) => runs::run(&cx, what).await,
            Command::Actions(what) => actions::run(&cx, what).await,
            Command::Approvals(what) => approvals::run(&cx, what).await,
            Command::Receipts(what) => receipts::run(&cx, what).await,
            Command::Replay(what) => replay::run(&cx, what).await,
            Command::Operators(what) => operators::run(&cx, what).await,
            Command::Secrets(what) => secrets::run(&cx, what).await,
            Command::Db(what) => db::run(&cx, what).await,
            Command::Bench(what) => bench::run(cx.out, what).await,
        }
    }
}
