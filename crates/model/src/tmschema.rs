//! The rowsets of tabular metadata (`TMSCHEMA_…`), made from a model.

mod cells;

use evercube_base::{DataType, DateTime, Result, Rowset, RowsetColumn};

use crate::ids::ObjectIds;
use crate::objects::graph::Graph;
use crate::objects::specs;
use crate::tabular::Database;

/// What the model itself does not say.
pub trait ModelFacts {
    /// What is wrong with an object's expression; `None` is fine. Objects are named as
    /// `Sales[Amount]` for columns, measures and calculation items, as `Sales` for calculated
    /// tables, as `role 'US'/table 'Customer'` for row filters.
    fn state(&self, object: &str) -> Option<String>;
    /// When a partition was last filled; `None` before the first time.
    fn refreshed(&self, table: &str, partition: &str) -> Option<DateTime>;
    fn modified(&self) -> DateTime;
    fn structure_modified(&self) -> DateTime;
    /// Type of a measure's result.
    fn measure_type(&self, _measure: &str) -> Option<DataType> {
        None
    }
    /// Type of a column whose type the model leaves to its expression.
    fn column_type(&self, _table: &str, _column: &str) -> Option<DataType> {
        None
    }
    /// Number of the model's version.
    fn version(&self) -> u64;
}

/// One metadata rowset of a database, or `None` for a name of no rowset of model objects.
///
/// To answer several at once take a [`Metadata`].
pub fn rowset(
    name: &str,
    database: &Database,
    ids: &ObjectIds,
    facts: &dyn ModelFacts,
) -> Option<Rowset> {
    Metadata::new(database, ids).ok()?.rowset(name, facts)
}

/// The columns of a metadata rowset, whatever the model.
pub fn columns(name: &str) -> Option<Vec<RowsetColumn>> {
    let spec = spec_of(name)?;
    Some(spec.fields.iter().map(|f| RowsetColumn::new(f.column, f.kind())).collect())
}

/// A database made ready for any number of metadata rowsets.
#[derive(Debug)]
pub struct Metadata {
    graph: Graph,
}

impl Metadata {
    /// Objects that `ids` does not know get numbers that it has not given yet.
    pub fn new(database: &Database, ids: &ObjectIds) -> Result<Self> {
        let mut graph = Graph::of(database)?;
        ids.clone().number(&mut graph);
        Ok(Self { graph })
    }

    /// One metadata rowset, or `None` for a name of no rowset of model objects.
    pub fn rowset(&self, name: &str, facts: &dyn ModelFacts) -> Option<Rowset> {
        let spec = spec_of(name)?;
        let mut rowset =
            Rowset::new(format!("TMSCHEMA_{}", spec.rowset), columns(name).unwrap_or_default());
        let source = cells::Source { graph: &self.graph, facts };
        for (index, _) in self.graph.all().filter(|(_, o)| o.kind == spec.kind) {
            rowset.rows.push(spec.fields.iter().map(|f| source.cell(index, f)).collect());
        }
        Some(rowset)
    }
}

fn spec_of(name: &str) -> Option<&'static crate::objects::kinds::Spec> {
    let upper = name.to_ascii_uppercase();
    let rowset = upper.strip_prefix("TMSCHEMA_")?;
    specs::ALL.iter().find(|s| s.rowset == rowset)
}

#[cfg(test)]
mod tests;
