//! The last step of every change: what is calculated, whether the data holds together, and what
//! the one who changed it should know.

use std::sync::Arc;

use evercube_base::{Diagnostic, Error, ErrorKind, Result, Severity};
use evercube_engine::{CompiledModel, QueryContext};
use evercube_model::ids::ObjectIds;
use evercube_model::tabular::Database;
use evercube_store::{Manifest, ObjectDir, StoreVersion, TableData};

use crate::change::calculated::{Failures, compute, has_calculated, infer_columns};
use crate::change::keep::{Side, keep};
use crate::versions::{LoadedVersion, StoredModel};

/// What a finished state is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub database: Database,
    pub ids: ObjectIds,
    pub manifest: Manifest,
    /// Rows came, went, or are to be computed again.
    pub data_changed: bool,
    pub current: Option<Arc<LoadedVersion>>,
}

#[derive(Debug)]
pub(crate) struct Finished {
    pub model: StoredModel,
    pub manifest: Manifest,
    pub messages: Vec<Diagnostic>,
    /// Holds the segments that were read, so that the version's loader finds them.
    pub tables: Vec<Arc<TableData>>,
}

/// Computes, checks and stores; blocks for as long as that takes.
pub(crate) fn finish(
    objects: &ObjectDir,
    mut parts: Parts,
    context: &QueryContext,
) -> Result<Finished> {
    let previous = parts.current.clone();
    let previous = previous.as_deref();
    let same = previous.filter(|v| !parts.data_changed && computes_the_same(v, &parts.database));
    let mut failures = Failures::new();
    let mut tables = Vec::new();
    if let Some(version) = same {
        parts.manifest = version.manifest.clone();
        failures.clone_from(&version.model.failures);
    } else {
        infer_columns(&mut parts.database, &mut failures);
        let ids = ObjectIds::assign(Some(&parts.ids), &parts.database);
        let side = Side { database: &parts.database, ids: &ids };
        parts.manifest = keep(side, &parts.manifest, side, &mut Vec::new());
        let compiled = CompiledModel::compile(&parts.database);
        let load = |database: &Database, compiled: &CompiledModel, manifest: &Manifest| {
            crate::loader::table_list(objects, database, compiled, manifest, previous)
        };
        tables = load(&parts.database, &compiled, &parts.manifest)?;
        if has_calculated(&parts.database) {
            compute(
                objects,
                &mut parts.database,
                &mut parts.manifest,
                tables,
                context,
                &mut failures,
            )?;
            let compiled = CompiledModel::compile(&parts.database);
            tables = load(&parts.database, &compiled, &parts.manifest)?;
        }
        check_relationships(&parts.database, &tables)?;
    }
    let ids = ObjectIds::assign(Some(&parts.ids), &parts.database);
    let messages = states(&parts.database, &failures);
    let model = StoredModel { database: parts.database, ids, failures };
    Ok(Finished { model, manifest: parts.manifest, messages, tables })
}

/// Whether nothing that is computed can come out otherwise than in `version`.
fn computes_the_same(version: &LoadedVersion, database: &Database) -> bool {
    let (old, new) = (&version.model.database.model, &database.model);
    old.tables == new.tables
        && old.relationships == new.relationships
        && old.culture == new.culture
        && old.collation == new.collation
}

/// Indexes every relationship; the error names its columns and the value.
fn check_relationships(database: &Database, tables: &[Arc<TableData>]) -> Result<()> {
    let compiled = CompiledModel::compile(database);
    for relationship in compiled.relationships() {
        let def = relationship.def;
        let name = |id| {
            let column = compiled.column_info(id);
            format!("{}[{}]", compiled.table(id.table).name, column.name)
        };
        StoreVersion::new(tables.to_vec(), &[def]).map_err(|e| {
            e.context(format!(
                "column {} (the one side of the relationship with {})",
                name(def.to),
                name(def.from)
            ))
        })?;
    }
    Ok(())
}

/// Expressions that do not work, as warnings: they deploy, and say so.
fn states(database: &Database, failures: &Failures) -> Vec<Diagnostic> {
    let compiled = CompiledModel::compile(database);
    let mut found = Vec::new();
    for state in compiled.states() {
        let Some(e) = &state.error else { continue };
        // Errors of the parser say their place themselves.
        let place = state.place.filter(|_| !e.message.contains(" line "));
        let place = place
            .map_or_else(String::new, |(line, column)| format!(" (line {line}, column {column})"));
        found.push(warning(state.object.clone(), format!("{}{place}", e.message), e.span));
    }
    for (object, message) in failures {
        if !found.iter().any(|d| d.object == *object) {
            found.push(warning(object.clone(), message.clone(), None));
        }
    }
    found
}

pub(crate) fn warning(object: String, message: String, span: Option<(usize, usize)>) -> Diagnostic {
    Diagnostic { severity: Severity::Warning, object, message, span }
}

/// One error that lists every finding.
pub(crate) fn refused(database: &str, findings: &[Diagnostic]) -> Error {
    let mut lines: Vec<String> = Vec::new();
    for d in findings {
        lines.push(if d.object.is_empty() {
            d.message.clone()
        } else {
            format!("{}: {}", d.object, d.message)
        });
    }
    let message = format!("The model of '{database}' cannot be deployed: {}", lines.join("\n"));
    Error::new(ErrorKind::Invalid, message)
}
