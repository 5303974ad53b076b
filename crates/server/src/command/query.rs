//! `evercube query`: DAX or a query of schema rowsets in, tables out.

use std::path::PathBuf;

use serde_json::json as object;

use super::credentials::Account;
use crate::client::{json, percent_encode, request_id};
use crate::failure::{Failure, Outcome};
use crate::output::{Format, Results, print};

/// Run a DAX query, or SELECT … FROM $SYSTEM.…, and print its results
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  evercube query --server http://127.0.0.1:8383 Sales \
    'EVALUATE TOPN(5, Orders)' --format csv")]
pub struct Query {
    #[command(flatten)]
    account: Account,
    /// Name of the database
    database: String,
    #[command(flatten)]
    text: QueryText,
    /// How to print the results
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Read the database as it was at a version number or time
    #[arg(long, value_name = "VERSION|TIME")]
    at: Option<String>,
    /// How fresh the answer must be: strong, session, any, or bounded:2s [default: session]
    #[arg(long, value_name = "LEVEL")]
    read: Option<String>,
}

/// The query, on the command line or in a file.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct QueryText {
    /// The query, as 'EVALUATE …'
    query: Option<String>,
    /// Read the query from a file; - is standard input
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl QueryText {
    pub fn read(&self) -> Outcome<String> {
        let Some(file) = &self.file else { return Ok(self.query.clone().unwrap_or_default()) };
        let text = if file.as_os_str() == "-" {
            std::io::read_to_string(std::io::stdin())
        } else {
            std::fs::read_to_string(file)
        };
        text.map(|t| t.trim_start_matches('\u{feff}').to_owned()).map_err(|e| {
            Failure::Usage(format!("cannot read the query in '{}': {e}", file.display()))
        })
    }
}

pub async fn run(args: &Query) -> Outcome {
    let mut body = object!({ "query": args.text.read()? });
    if let Some(at) = &args.at {
        body["at"] = at.as_str().into();
    }
    let mut path = format!("/api/v1/databases/{}/query", percent_encode(&args.database));
    if let Some(level) = &args.read {
        path.push_str(&format!("?read={}", percent_encode(level)));
    }
    let client = args.account.client()?;
    let bytes = client.post_json(&path, &body, &request_id()?).await?;
    let results: Results = json(&bytes)?;
    match args.format {
        // The server's own text: numbers stay exactly as they were sent.
        Format::Json => print(&format!("{}\n", String::from_utf8_lossy(&bytes).trim_end())),
        format => print(&results.to_text(format)),
    }
}
