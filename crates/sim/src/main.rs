//! `sim --seed N [--count M]`: lives through the worlds of these seeds, each in a process of its
//! own, since what a world leaves behind in one would not be the same in the next.

use std::io::{Error, Result, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::{Parser, ValueEnum};
use evercube_sim::mutation::Mutation;
use evercube_sim::report::{Report, Summary};
use evercube_sim::run;
use evercube_sim::servers::{self, Planted};

#[derive(Parser)]
#[command(about = "Lives through simulated worlds, and says what went wrong in them")]
struct Arguments {
    /// What the world is made of.
    #[arg(long, value_enum, default_value_t = World::Metastore)]
    world: World,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds, one after another.
    #[arg(long, default_value_t = 1)]
    count: u64,
    /// Plants a fault that the checks must find.
    #[arg(long, default_value = "none")]
    mutation: String,
    /// Prints the whole history, not only that of a world in which something went wrong.
    #[arg(long)]
    history: bool,
    /// Lives through one world in this process.
    #[arg(long, hide = true)]
    here: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum World {
    /// Members of a group, with its consensus and replicated state.
    Metastore,
    /// Whole servers, with data, queries and backups.
    Servers,
}

impl Arguments {
    fn mutation<T: FromStr<Err = String>>(&self) -> Result<T> {
        self.mutation.parse().map_err(Error::other)
    }

    fn world(&self) -> String {
        self.world.to_possible_value().map_or_else(String::new, |v| v.get_name().to_owned())
    }
}

fn main() -> ExitCode {
    let asked = Arguments::parse();
    let done = if asked.here { here(&asked) } else { all(&asked).map(|s| tell(&asked, &s)) };
    done.unwrap_or_else(|e| {
        eprintln!("the simulation could not be run: {e}");
        ExitCode::FAILURE
    })
}

fn tell(asked: &Arguments, summary: &Summary) -> ExitCode {
    print!("{summary}");
    let Some((seed, _)) = summary.failed.first() else { return ExitCode::SUCCESS };
    let (world, mutation) = (asked.world(), &asked.mutation);
    println!("again: cargo xtask sim --world {world} --seed {seed} --mutation {mutation}");
    ExitCode::FAILURE
}

/// Lives through one world. It ends with the process: what runs in it is not waited for.
fn here(asked: &Arguments) -> Result<ExitCode> {
    let report = match asked.world {
        World::Metastore => run::simulate(asked.seed, asked.mutation()?, asked.history),
        World::Servers => {
            let folder = folder_of(std::process::id());
            std::fs::create_dir_all(&folder)?;
            let report = servers::simulate(asked.seed, asked.mutation()?, &folder, asked.history);
            std::fs::remove_dir_all(&folder)?;
            report
        }
    };
    println!("{}", serde_json::to_string(&report)?);
    std::io::stdout().flush()?;
    std::process::exit(0)
}

/// Where the disks of the world lie that this process lives in: in memory, where that can be had.
fn folder_of(process: u32) -> PathBuf {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    parent.join(format!("evercube-sim-{process}"))
}

/// The world of one seed, in a process of its own.
fn child(asked: &Arguments, seed: u64, history: bool) -> Result<Report> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--here", "--world", &asked.world(), "--seed", &seed.to_string()]);
    command.args(["--mutation", &asked.mutation]);
    if history {
        command.arg("--history");
    }
    let started = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let folder = folder_of(started.id());
    let output = started.wait_with_output()?;
    // It is gone already, unless the world ended early.
    let _gone = std::fs::remove_dir_all(folder);
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
    match asked.world {
        World::Metastore => drop(asked.mutation::<Mutation>()?),
        World::Servers => drop(asked.mutation::<Planted>()?),
    }
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
