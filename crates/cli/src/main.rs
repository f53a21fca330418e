//! The one binary: parses the command line, runs one command, ends with its exit code.

mod bench;
mod exit;
mod failure;
mod node;
mod output;
mod system;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::exit::Exit;
use crate::output::Output;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Agents and automations act on real systems: each action allowed, once, and provable.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, after_help = exit::HELP)]
struct Cli {
    /// Machines read this: JSON on standard output
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure this machine: rates and latencies, beside what its disk can do
    #[command(subcommand)]
    Bench(bench::Bench),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let out = Output::new(cli.json);
    let done = match cli.command {
        Command::Bench(what) => bench::run(out, what).await,
    };
    match done {
        Ok(()) => Exit::Done.into(),
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit.into()
        }
    }
}
