//! `evercube deploy`: a model file becomes a database.

use std::path::PathBuf;

use bytes::Bytes;

use super::{WriteAnswer, credentials::Account};
use crate::client::{json, percent_encode, request_id};
use crate::failure::{Failure, Outcome};
use crate::output::print;

/// Deploy a model file (createOrReplace); data of unchanged partitions is kept
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  evercube deploy --server http://127.0.0.1:8383 sales.bim \
    --database Sales --parameter Folder=/data/sales")]
pub struct Deploy {
    #[command(flatten)]
    account: Account,
    /// Model file: database JSON or a TMSL command, told apart by content
    file: PathBuf,
    /// Name of the database; else the file's own name, else the name of the file
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// Replaces the value of a shared M parameter; may be given several times
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<(String, String)>,
}

pub async fn run(args: &Deploy) -> Outcome {
    let body = std::fs::read(&args.file).map_err(|e| {
        Failure::Usage(format!("cannot read the model '{}': {e}", args.file.display()))
    })?;
    let mut query = Vec::new();
    if let Some(name) = &args.database {
        query.push(format!("database={}", percent_encode(name)));
    }
    if let Some(stem) = args.file.file_stem() {
        query.push(format!("stem={}", percent_encode(&stem.to_string_lossy())));
    }
    for (name, value) in &args.parameters {
        query.push(format!("parameter={}", percent_encode(&format!("{name}={value}"))));
    }
    let path = format!("/api/v1/deploy?{}", query.join("&"));
    let client = args.account.client()?;
    let deployed = client.post(&path, Bytes::from(body), &request_id()?).await;
    // What a server is sent has no name of a file there.
    let deployed = deployed.map_err(|failure| match failure {
        Failure::Refused(why) => Failure::Refused(format!("{}: {why}", args.file.display())),
        other => other,
    })?;
    let answer: WriteAnswer = json(&deployed)?;
    answer.warn();
    print(&format!("deployed '{}' as version {}\n", args.file.display(), answer.seq))
}

fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".into()),
    }
}
