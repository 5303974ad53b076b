//! The binary `evercube`.

mod bench;
mod cli;
mod client;
mod command;
mod config;
mod demo;
mod failure;
mod gateway;
mod http;
mod issuer;
mod output;
mod process;
mod termination;
mod tls;
mod transport;
mod webhook;

use std::process::ExitCode;

use clap::Parser as _;

#[global_allocator]
static ALLOCATOR: evercube_work::Counting<mimalloc::MiMalloc> =
    evercube_work::Counting(mimalloc::MiMalloc);

/// How long work on threads may take to end once a command is done.
const LAST_WORK: std::time::Duration = std::time::Duration::from_secs(2);

fn main() -> ExitCode {
    let line = cli::CommandLine::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_stack_size(evercube_service::STACK)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("evercube: cannot start the threads of the process: {e}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(line.command.run());
    // Queries that do not end have no part in how long a stop takes.
    runtime.shutdown_timeout(LAST_WORK);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("evercube: {}", output::visible(&failure.to_string()));
            failure.exit_code()
        }
    }
}
