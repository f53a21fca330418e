//! The one binary: parses the command line, runs one command, ends with its exit code.

mod bench;
mod child;
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
mod serving;
mod settle;
mod store_args;
mod system;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.log();
    let json = cli.json();
    let lost = || Output::lost().map_or(Ok(()), |e| Err(Failure::plain(format!("standard output took not everything: {e}"))));
    match cli.run().await.and_then(|()| lost()) {
        Ok(()) => Exit::Done.into(),
        Err(failure) => {
            if json {
                eprintln!("{}", failure.json())
            } else {
                eprintln!("error: {}", crate::output::harmless(&failure.to_string(), false))
            }
            failure.exit.into()
        }
    }
}
