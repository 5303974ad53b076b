//! `sim --seed N [--count M]`: lives through the worlds of these seeds, each in a process of its
//! own, since what a world leaves behind in one would not be the same in the next.

use std::io::{Error, Result};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Parser;
use evercube_sim::mutation::Mutation;
use evercube_sim::report::{Report, Summary};
use evercube_sim::run::simulate;

#[derive(Parser)]
#[command(about = "Lives through simulated worlds, and says what went wrong in them")]
struct Arguments {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds, one after another.
    #[arg(long, default_value_t = 1)]
    count: u64,
    /// Plants a fault that the checks must find.
    #[arg(long, default_value = "none")]
    mutation: Mutation,
    /// Prints the whole history, not only that of a world in which something went wrong.
    #[arg(long)]
    history: bool,
    /// Lives through one world in this process.
    #[arg(long, hide = true)]
    here: bool,
}

fn main() -> ExitCode {
    let asked = Arguments::parse();
    if asked.here {
        let report = simulate(asked.seed, asked.mutation, asked.history);
        println!("{}", serde_json::to_string(&report).unwrap_or_default());
        return ExitCode::SUCCESS;
    }
    match all(&asked) {
        Ok(summary) => {
            print!("{summary}");
            if let Some((seed, _)) = summary.failed.first() {
                println!("again: cargo xtask sim --seed {seed} --mutation {}", asked.mutation);
                return ExitCode::FAILURE;
            }
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("the simulation could not be run: {e}");
            ExitCode::FAILURE
        }
    }
}

/// The world of one seed, in a process of its own.
fn child(asked: &Arguments, seed: u64, history: bool) -> Result<Report> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--here", "--seed", &seed.to_string()]);
    command.args(["--mutation", &asked.mutation.to_string()]);
    if history {
        command.arg("--history");
    }
    let output = command.stderr(Stdio::piped()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines: Vec<&str> = text.lines().collect();
    let report = lines.pop().and_then(|last| serde_json::from_str(last).ok());
    if history {
        lines.iter().for_each(|line| println!("{line}"));
    }
    report.ok_or_else(|| {
        let said = String::from_utf8_lossy(&output.stderr);
        Error::other(format!("seed {seed} ended early ({}): {said}", output.status))
    })
}

fn all(asked: &Arguments) -> Result<Summary> {
    let next = AtomicU64::new(0);
    let summary = Mutex::new(Ok(Summary::default()));
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= asked.count {
                        return;
                    }
                    let report = child(asked, asked.seed + n, asked.history);
                    let mut all = summary.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    match (&mut *all, report) {
                        (Ok(all), Ok(report)) => all.add(&report),
                        (Ok(_), Err(e)) => *all = Err(e),
                        (Err(_), _) => return,
                    }
                }
            });
        }
    });
    let summary = summary.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)?;
    // What went wrong first is told from its beginning.
    if let Some((seed, _)) = summary.failed.first()
        && !asked.history
    {
        child(asked, *seed, true)?;
    }
    Ok(summary)
}
