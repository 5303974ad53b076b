//! Whether a database is sound as a structure: what is wrong with it refuses its deployment.
//!
//! Expressions are not looked at; a bad one deploys and carries its error.

mod ambiguity;
mod names;
mod references;
mod relationships;

use evercube_base::{Diagnostic, Error, Result, Severity};

use crate::objects::graph::{Graph, MODEL};
use crate::objects::kinds::Kind;
use crate::tabular::Database;

/// Levels with a meaning known here.
const LOWEST_LEVEL: u32 = 1200;
const HIGHEST_LEVEL: u32 = 1702;

/// Faults and doubts about a database. With an error the database is refused; with warnings alone
/// it deploys.
pub fn validate(database: &Database) -> Vec<Diagnostic> {
    let mut findings = Findings(Vec::new());
    level(database, &mut findings);
    let graph = match Graph::of(database) {
        Ok(graph) => graph,
        Err(error) => {
            findings.error(String::new(), error.message);
            return findings.0;
        }
    };
    names::check(database, &graph, &mut findings);
    references::check(&graph, &mut findings);
    let ends = relationships::check(&database.model, &mut findings);
    ambiguity::check(&ends, &mut findings);
    findings.0
}

/// Refuses what no database can be called, where only a name is given.
///
/// # Errors
/// `Invalid`, saying why.
pub fn check_database_name(name: &str) -> Result<()> {
    names::database_fault(name).map_or(Ok(()), |fault| Err(Error::invalid(fault)))
}

fn level(database: &Database, findings: &mut Findings) {
    match database.compatibility_level {
        Some(level) if level < LOWEST_LEVEL => findings.error(
            String::new(),
            format!(
                "the compatibility level {level} is from before tabular metadata; levels from \
                 {LOWEST_LEVEL} on are served: upgrade the model with its design tool"
            ),
        ),
        Some(level) if level > HIGHEST_LEVEL => findings.warning(
            String::new(),
            format!(
                "the compatibility level {level} is newer than {HIGHEST_LEVEL}; what is new in it \
                 is kept but has no effect"
            ),
        ),
        _ => {}
    }
}

/// What was found, in the order of looking.
struct Findings(Vec<Diagnostic>);

impl Findings {
    fn error(&mut self, object: String, message: String) {
        self.0.push(Diagnostic { severity: Severity::Error, object, message, span: None });
    }
    fn warning(&mut self, object: String, message: String) {
        self.0.push(Diagnostic { severity: Severity::Warning, object, message, span: None });
    }
}

/// The path of an object as people write it: `Sales[Amount]`, `role 'US'/table 'Customer'`.
fn label(graph: &Graph, index: usize) -> String {
    let Some(object) = graph.objects.get(index).filter(|_| index != MODEL) else {
        return String::new();
    };
    let parent = object.parent.filter(|p| *p != MODEL);
    let name = graph.name(index);
    if let (Kind::Column | Kind::Measure, Some(table)) = (object.kind, parent) {
        return format!("{}[{}]", table_name(graph.name(table)), name.replace(']', "]]"));
    }
    let word = word(object.kind);
    let own = if name.is_empty() { word } else { format!("{word} '{name}'") };
    match parent {
        None => own,
        Some(parent) => format!("{}/{own}", label(graph, parent)),
    }
}

/// A table's name as expressions write it, quoted where they need it.
fn table_name(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_alphanumeric() || c == '_')
        && name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    if plain { name.to_owned() } else { format!("'{}'", name.replace('\'', "''")) }
}

/// What people call an object of a kind.
fn word(kind: Kind) -> String {
    match kind {
        Kind::TablePermission | Kind::PerspectiveTable => "table".to_owned(),
        Kind::ColumnPermission | Kind::PerspectiveColumn | Kind::GroupByColumn => {
            "column".to_owned()
        }
        Kind::PerspectiveMeasure => "measure".to_owned(),
        Kind::PerspectiveHierarchy => "hierarchy".to_owned(),
        Kind::RoleMembership => "member".to_owned(),
        Kind::Kpi => "KPI".to_owned(),
        other => {
            let mut word = String::new();
            for c in other.spec().name.chars() {
                if c.is_ascii_uppercase() && !word.is_empty() {
                    word.push(' ');
                }
                word.push(c.to_ascii_lowercase());
            }
            word
        }
    }
}
