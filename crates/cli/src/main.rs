//! The one binary: parses the command line, runs one command, ends with its exit code.

mod bench;
mod cli;
mod client;
mod commands;
mod context;
mod demo;
mod exit;
mod failure;
mod keys;
mod node;
mod options;
mod output;
mod path;
mod recompute;
mod settle;
mod system;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;
use crate::exit::Exit;
use crate::output::Output;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.log();
    match cli.run().await {
        Ok(()) => match Output::lost() {
            None => Exit::Done.into(),
            Some(e) => {
                eprintln!("error: standard output took not everything: {e}");
                Exit::Failed.into()
            }
        },
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit.into()
        }
    }
}
