//! `evercube bench`: what this machine does with data of the program's own.

use std::path::Path;
use std::time::{Duration, Instant};

use evercube_base::DateTime;

use crate::bench::QUERIES;
use crate::bench::clients::{self, millis, percentile};
use crate::bench::report::{QueryFigure, Report, ScaleFigure};
use crate::bench::server::{Kept, Server, ask, write_data};
use crate::demo::retail;
use crate::failure::{Failure, Outcome};
use crate::output::print;
use crate::termination::Termination;

/// Measure queries, loading, memory, restart and many clients on data of its own
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  evercube bench --scale 1 --markdown")]
pub struct Bench {
    /// Size of the data: 1 is six million rows
    #[arg(long, value_name = "N", default_value_t = 1.0)]
    scale: f64,
    /// Several sizes instead, without many clients: how each part grows
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    growth: Vec<f64>,
    /// Threads for queries [default: the processors the process may use]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Numbers of clients to try at once
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "1,8,32,128")]
    clients: Vec<usize>,
    /// How long each number of clients is tried
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    seconds: u64,
    /// Print the figures as JSON
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print the figures as Markdown tables, as docs/performance.md has them
    #[arg(long)]
    markdown: bool,
}

const ROWS: f64 = 6_000_000.0;
const FIXED: &str = "EVALUATE ROW(\"x\", 1)";
const COLD_RUNS: usize = 5;
const WARM_RUNS: usize = 21;
const FIXED_RUNS: usize = 201;

pub async fn run(args: &Bench) -> Outcome {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let mut report = Report {
        version: env!("CARGO_PKG_VERSION"),
        date: today(),
        processor: processor(),
        processors,
        threads: args.threads.unwrap_or(processors),
        scales: Vec::new(),
    };
    let scales = if args.growth.is_empty() { vec![args.scale] } else { args.growth.clone() };
    let mut termination = Termination::listen()?;
    for scale in scales {
        let folder = std::env::temp_dir().join(format!("evercube-bench-{}", std::process::id()));
        let figure = tokio::select! {
            figure = measure(args, &folder, scale, report.threads) => figure,
            () = termination.comes() => Err(Failure::Refused("stopped".into())),
        };
        // Left where it is when it cannot be removed: it lies in the system's temporary folder.
        let _removed = std::fs::remove_dir_all(&folder);
        report.scales.push(figure?);
    }
    match args.json {
        true => {
            let text = serde_json::to_string_pretty(&report)
                .map_err(|e| Failure::Refused(format!("the figures cannot be written: {e}")))?;
            print(&format!("{text}\n"))
        }
        false => print(&report.markdown()),
    }
}

async fn measure(args: &Bench, folder: &Path, scale: f64, threads: usize) -> Outcome<ScaleFigure> {
    if !(scale > 0.0 && scale <= 1000.0) {
        return Err(Failure::Usage("a scale is a number above 0, at most 1000".into()));
    }
    let rows = (scale * ROWS) as usize;
    let mut figure = ScaleFigure { scale, rows, ..ScaleFigure::default() };
    write_data(folder, rows).await?;
    let server = Server::start(folder, threads, Kept::Results).await?;
    load(&server, &mut figure).await?;
    server.stop().await;
    let begun = Instant::now();
    let server = Server::start(folder, threads, Kept::Results).await?;
    ask(&server.client, QUERIES[0].1).await?;
    figure.restart_seconds = begun.elapsed().as_secs_f64();
    figure.fixed_p50_ms = median(&server, FIXED, FIXED_RUNS).await?;
    for (name, query) in QUERIES {
        let cold_ms = cold(&server, query).await?;
        let warm_p50_ms = median(&server, query, WARM_RUNS).await?;
        figure.queries.push(QueryFigure { name, cold_ms, cold_one_thread_ms: None, warm_p50_ms });
    }
    server.stop().await;
    if args.growth.is_empty() {
        let server = Server::start(folder, threads, Kept::Nothing).await?;
        for clients in &args.clients {
            let lasts = Duration::from_secs(args.seconds);
            figure.clients.push(clients::measure(&server, *clients, lasts).await?);
        }
        server.stop().await;
    }
    if threads > 1 && args.growth.is_empty() {
        let server = Server::start(folder, 1, Kept::Results).await?;
        for (of, (_, query)) in figure.queries.iter_mut().zip(QUERIES) {
            of.cold_one_thread_ms = Some(cold(&server, query).await?);
        }
        server.stop().await;
    }
    Ok(figure)
}

async fn load(server: &Server, figure: &mut ScaleFigure) -> Outcome {
    server.deploy(retail::MODEL).await?;
    let before = server.processor_seconds();
    let begun = Instant::now();
    server.refresh().await?;
    figure.load_seconds = begun.elapsed().as_secs_f64();
    let busy = before.zip(server.processor_seconds()).map(|(a, b)| b - a);
    figure.load_rows_per_cpu_second = busy.filter(|b| *b > 0.0).map(|b| figure.rows as f64 / b);
    figure.load_peak_mb = server.memory("VmHWM");
    figure.memory_mb = server.memory("VmRSS");
    figure.disk_mb = server.disk();
    Ok(())
}

/// The best time with nothing known from before.
async fn cold(server: &Server, query: &str) -> Outcome<f64> {
    ask(&server.client, query).await?;
    let mut best = Duration::MAX;
    for _ in 0..COLD_RUNS {
        server.clear_cache().await?;
        best = best.min(ask(&server.client, query).await?);
    }
    Ok(millis(best))
}

async fn median(server: &Server, query: &str, runs: usize) -> Outcome<f64> {
    ask(&server.client, query).await?;
    let mut times = Vec::with_capacity(runs);
    for _ in 0..runs {
        times.push(ask(&server.client, query).await?);
    }
    times.sort_unstable();
    Ok(millis(percentile(&times, 0.5)))
}

/// In UTC, as 2026-01-31.
fn today() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let micros = since.map_or(0, |d| i64::try_from(d.as_micros()).unwrap_or(0));
    let (year, month, day) = DateTime::from_unix_micros(micros).unwrap_or_default().ymd();
    format!("{year:04}-{month:02}-{day:02}")
}

/// The processor's name, where the system tells it.
fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|l| l.strip_prefix("model name")?.split_once(':'));
    name.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, n)| n.trim().to_owned())
}
