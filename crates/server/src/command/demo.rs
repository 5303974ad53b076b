//! `evercube demo`: the main job, shown on data of its own.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Parser as _;
use serde_json::Value as Json;

use crate::cli::CommandLine;
use crate::client::{Client, Connection, Secrets, json, request_id};
use crate::demo::{connection, group::Group, retail};
use crate::failure::{Failure, Outcome};
use crate::termination::Termination;

/// Show the main job: three servers in three regions, a model, its data, queries, a killed server
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  evercube demo --once")]
pub struct Demo {
    /// End after the tour instead of staying up until Ctrl-C
    #[arg(long)]
    once: bool,
    /// Rows of the fact table
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    rows: usize,
}

const DATABASE: &str = "Retail";
const QUERIES: [(&str, &str); 3] = [
    (
        "Revenue by year, with growth",
        "EVALUATE SUMMARIZECOLUMNS('Date'[Year], \"Revenue\", [Revenue], \"Growth %\", ROUND([Growth %] * 100, 1), \"Margin %\", ROUND([Margin %] * 100, 1)) ORDER BY 'Date'[Year]",
    ),
    (
        "The three best categories",
        "EVALUATE TOPN(3, SUMMARIZECOLUMNS(Product[Category], \"Revenue\", [Revenue], \"Customers\", [Customers]), [Revenue]) ORDER BY [Revenue] DESC",
    ),
    (
        "Countries and their share",
        "EVALUATE SUMMARIZECOLUMNS(Store[Country], \"Orders\", [Orders], \"Share %\", ROUND([Share of All Stores] * 100, 1)) ORDER BY Store[Country]",
    ),
];
/// How long servers may take to come up or back.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the tour runs.
struct Tour {
    group: Group,
    client: Client,
    url: String,
}

pub async fn run(args: &Demo) -> Outcome {
    let folder = std::env::temp_dir().join(format!("evercube-demo-{}", std::process::id()));
    let sources = folder.join("sources");
    std::fs::create_dir_all(&sources)
        .map_err(|e| Failure::Refused(format!("cannot make {}: {e}", sources.display())))?;
    let mut termination = Termination::listen()?;
    let outcome = tokio::select! {
        shown = tour(args, &folder, &sources) => shown,
        () = termination.comes() => Ok(()),
    };
    // Left where it is when it cannot be removed: it lies in the system's temporary folder.
    let _removed = std::fs::remove_dir_all(&folder);
    outcome
}

async fn tour(args: &Demo, folder: &Path, sources: &Path) -> Outcome {
    println!("A retailer's sales, {} rows, as Parquet files in {}", args.rows, sources.display());
    let begun = Instant::now();
    let (to, rows) = (sources.to_owned(), args.rows);
    let written = tokio::task::spawn_blocking(move || retail::write(&to, rows)).await;
    written
        .map_err(|e| Failure::Refused(format!("the data was not written: {e}")))?
        .map_err(|e| Failure::Refused(e.to_string()))?;
    println!("  written in {:.1} s\n", begun.elapsed().as_secs_f64());
    println!("Three servers in three regions, and a gateway in front of them");
    let group = Group::start(folder)?;
    let url = format!("http://{}", group.gateway_address);
    let at = Connection { server: url.clone(), user: None, token_file: None, ca: None };
    let client = Client::new(&at, None, &Secrets::default())?;
    let mut tour = Tour { group, client, url };
    tour.all_ready().await?;
    tour.command(&["status"]).await?;
    let model = sources.join("retail.bim");
    let parameter = format!("DataFolder={}", sources.display());
    tour.command(&["deploy", &model.to_string_lossy(), "--parameter", &parameter]).await?;
    tour.command(&["refresh", DATABASE]).await?;
    for (title, query) in QUERIES {
        println!("{title}");
        tour.command(&["query", DATABASE, query]).await?;
    }
    tour.failover().await?;
    println!("Connect to it:");
    println!(
        "  ADOMD.NET, DAX Studio: Data Source={}/xmla;Catalog={DATABASE};User ID=any;Password=any",
        tour.url
    );
    println!("  evercube query --server {} {DATABASE} \"EVALUATE Store\"", tour.url);
    if !args.once {
        println!("\nRunning until Ctrl-C.");
        // A signal ends the tour where it is, and its processes with it.
        std::future::pending::<()>().await;
    }
    tour.group.stop().await;
    Ok(())
}

impl Tour {
    /// Shows a command line and carries it out.
    async fn command(&self, words: &[&str]) -> Outcome {
        let quoted = |w: &&str| match w.contains([' ', '(', '\'', '"']) {
            true => format!("\"{}\"", w.replace('"', "\\\"")),
            false => (*w).to_owned(),
        };
        let shown: Vec<String> = words.iter().map(quoted).collect();
        println!("$ evercube {} --server {}", shown.join(" "), self.url);
        let server = ["--server", self.url.as_str()];
        let all = ["evercube"].iter().chain(words).chain(&server).copied();
        let line = CommandLine::try_parse_from(all).map_err(|e| Failure::Usage(e.to_string()))?;
        Box::pin(line.command.run()).await?;
        println!();
        Ok(())
    }

    async fn status(&self) -> Outcome<Json> {
        json(&self.client.get("/api/v1/status").await?)
    }

    /// Waits until every server is ready.
    async fn all_ready(&self) -> Outcome {
        let begun = Instant::now();
        loop {
            if let Ok(status) = self.status().await {
                let servers = status["servers"].as_array().map_or(&[][..], Vec::as_slice);
                let ready = servers.iter().filter(|s| s["state"] == "ready").count();
                if ready == crate::demo::group::REGIONS.len() {
                    return Ok(());
                }
            }
            if begun.elapsed() > PATIENCE {
                return Err(Failure::Refused(format!(
                    "the servers were not ready within {} s",
                    PATIENCE.as_secs()
                )));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Kills the leader under an open connection and shows what the connection saw.
    async fn failover(&mut self) -> Outcome {
        let status = self.status().await?;
        let leader = status["leader"].as_str().unwrap_or_default().to_owned();
        let region = leader.trim_end_matches("-1").to_owned();
        println!(
            "One open connection asks for the revenue over and over; meanwhile the leader, {leader}, is killed"
        );
        let stop = Arc::new(AtomicBool::new(false));
        let path = format!("/api/v1/databases/{DATABASE}/query");
        let body =
            serde_json::json!({ "query": "EVALUATE ROW(\"Revenue\", [Revenue])" }).to_string();
        let asking = tokio::spawn(connection::ask(
            self.group.gateway_address,
            path,
            body,
            Arc::clone(&stop),
        ));
        tokio::time::sleep(Duration::from_millis(500)).await;
        let killed = Instant::now();
        if let Some((id, ended)) = self.group.kill(&region).await? {
            println!("  kill -9 {id}: {ended}");
        }
        // The next write shows that the group has a leader again.
        let refresh = serde_json::json!({ "type": "full", "objects": [{ "table": "Store" }] });
        let path = format!("/api/v1/databases/{DATABASE}/refresh");
        self.client.post_json(&path, &refresh, &request_id()?).await?;
        let write = killed.elapsed();
        tokio::time::sleep(Duration::from_millis(500)).await;
        stop.store(true, Ordering::Relaxed);
        let seen = asking
            .await
            .map_err(|e| Failure::Refused(format!("the connection's task ended early: {e}")))?;
        if let Some(why) = seen.failure {
            return Err(Failure::Refused(format!("the open connection failed: {why}")));
        }
        println!(
            "  the connection: {} answers, none failed, {}; the longest took {} ms",
            seen.answers,
            if seen.different == 1 { "all the same" } else { "not all the same" },
            seen.longest.as_millis()
        );
        println!("  the next write was committed {} ms after the kill", write.as_millis());
        self.group.start_server(&region)?;
        self.all_ready().await?;
        println!("  {leader} was started again and has caught up\n");
        self.command(&["verify", DATABASE]).await
    }
}
