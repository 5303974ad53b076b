//! Deploying model files, and what a model's sources look like before anything is read.

use evercube_base::{Diagnostic, Result, Severity};
use evercube_model::tabular::Database;
use evercube_model::tmsl::deploy_command;

use crate::call::{Call, WriteAnswer};
use crate::change::finish::warning;
use crate::objects::blocking;
use crate::refresh::plan::{has_source, not_readable};
use crate::refresh::run::shared_expressions;
use crate::service::Service;

/// A model file and how to deploy it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeployRequest {
    /// The file as it is: a database or a TMSL command, in any of their encodings.
    pub text: Vec<u8>,
    /// The file's name without its extension.
    pub stem: Option<String>,
    pub database: Option<String>,
    /// Values for shared expressions, by name.
    pub parameters: Vec<(String, String)>,
}

impl Service {
    /// Creates or replaces a database by a model file, keeping the data of unchanged partitions.
    pub async fn deploy(&self, call: &Call, request: DeployRequest) -> Result<WriteAnswer> {
        let DeployRequest { text, stem, database, parameters } = request;
        let read = move || deploy_command(&text, stem.as_deref(), database.as_deref(), &parameters);
        let command = blocking(read).await?;
        Box::pin(self.execute(call, command, "deploy")).await
    }
}

/// Findings about the sources of all partitions and shared expressions, each under its object.
pub(crate) fn check_sources(database: &Database) -> Vec<Diagnostic> {
    let expressions = shared_expressions(database);
    let model = &database.model;
    let mut found: Vec<Diagnostic> = Vec::new();
    for (name, _) in &expressions {
        let findings = evercube_sources::check_expression(&expressions, &model.data_sources, name);
        found.extend(placed(findings, &format!("expression '{name}'")));
    }
    let shared: Vec<String> = found.iter().map(|d| d.message.clone()).collect();
    for table in &model.tables {
        for partition in table.partitions.iter().filter(|p| has_source(p)) {
            let object = format!("table '{}'/partition '{}'", table.name, partition.name);
            if let Some(why) = not_readable(partition) {
                found.push(warning(object, why, None));
                continue;
            }
            let findings =
                evercube_sources::check(&expressions, &model.data_sources, &partition.source);
            // What is wrong inside of a shared expression is said once, there.
            found.extend(placed(findings, &object).filter(|d| !shared.contains(&d.message)));
        }
    }
    found.sort_by_key(|d| d.severity != Severity::Error);
    found
}

fn placed(findings: Vec<Diagnostic>, object: &str) -> impl Iterator<Item = Diagnostic> {
    findings.into_iter().map(move |d| Diagnostic { object: object.to_owned(), ..d })
}
