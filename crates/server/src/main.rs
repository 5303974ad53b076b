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
mod tls;
mod transport;
mod webhook;

use std::process::ExitCode;

use clap::Parser as _;

#[global_allocator]
static ALLOCATOR: evercube_work::Counting<mimalloc::MiMalloc> =
    evercube_work::Counting(mimalloc::MiMalloc);

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
    match runtime.block_on(line.command.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("evercube: {failure}");
            failure.exit_code()
        }
    }
}
