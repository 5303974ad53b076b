//! `cargo xtask sim …` builds the simulation as the tests do, and runs it; `cargo xtask deny` holds
//! what the workspace builds on against `deny.toml`.

mod deny;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("sim") => sim(&arguments.collect::<Vec<_>>()),
        Some("deny") => deny(),
        _ => {
            eprintln!(
                "usage: cargo xtask sim [--world servers] --seed N [--count M] [--mutation NAME] [--history]"
            );
            eprintln!("       cargo xtask deny");
            ExitCode::from(2)
        }
    }
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn deny() -> ExitCode {
    match deny::run(&workspace()) {
        Ok(found) if found.is_empty() => ExitCode::SUCCESS,
        Ok(found) => {
            found.iter().for_each(|problem| eprintln!("{problem}"));
            ExitCode::FAILURE
        }
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

fn sim(arguments: &[String]) -> ExitCode {
    let workspace = workspace();
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
