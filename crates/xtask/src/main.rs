//! `cargo xtask sim …`: builds the simulation as the tests do, and runs it.

use std::path::Path;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("sim") => sim(&arguments.collect::<Vec<_>>()),
        _ => {
            eprintln!("usage: cargo xtask sim --seed N [--count M] [--mutation NAME] [--history]");
            ExitCode::from(2)
        }
    }
}

fn sim(arguments: &[String]) -> ExitCode {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // The whole workspace is selected so that nothing is built with other features than usually.
    let build = ["build", "--locked", "--release", "--workspace", "--bin", "sim"];
    let built = Command::new(cargo).current_dir(&workspace).args(build).status();
    if !built.is_ok_and(|s| s.success()) {
        return ExitCode::FAILURE;
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(workspace.join("target"), Into::into);
    let run = Command::new(target.join("release/sim")).args(arguments).status();
    let code = run.ok().and_then(|s| s.code()).and_then(|c| u8::try_from(c).ok());
    ExitCode::from(code.unwrap_or(1))
}
