//! Filter contexts: which rows of each table an expression sees.
//!
//! A context is a list of filters over model columns. A filter reaches a table when its columns
//! lie in the table's *expanded table* (the table and everything on the one side of it), and over
//! relationships that filter in both directions or join many to many.

use std::collections::BTreeSet;
use std::sync::Arc;

use evercube_store::{BitSet, ColumnId, RelationshipId, StoreVersion, TableId};
use evercube_work::tick;

use crate::compiled_model::CompiledModel;

mod expansion;
mod paths;
mod restriction;
mod table_filter;

pub(crate) use paths::PlainPaths;

/// Where at most one row in so many is wanted, each is looked up for itself.
pub(crate) const SPARSE: usize = 16;

/// One filter. Codes are those of the columns in the version at hand.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Filter {
    /// The column has one of these values (code 0 is blank).
    Column { column: ColumnId, codes: Arc<BitSet> },
    /// The columns together have one of these combinations.
    Tuples { columns: Vec<ColumnId>, tuples: Arc<Vec<Vec<u32>>> },
    /// These rows of a table, its blank row last; filters every column of the expanded table but
    /// those in `without`.
    Rows {
        table: TableId,
        rows: Arc<BitSet>,
        without: Vec<ColumnId>,
        /// Relationships as they were where the rows were found, which expand the table: set where
        /// `USERELATIONSHIP` or `CROSSFILTER` has made them others since.
        relationships: Option<Arc<FilterContext>>,
    },
}

impl Filter {
    /// Whether the filter is on this column.
    pub fn is_on(&self, column: ColumnId) -> bool {
        match self {
            Self::Column { column: c, .. } => *c == column,
            Self::Tuples { columns, .. } => columns.contains(&column),
            Self::Rows { table, without, .. } => {
                *table == column.table && !without.contains(&column)
            }
        }
    }
}

/// How filters pass a relationship, and how `CROSSFILTER` changes that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    None,
    /// From the one side, the `to` of the relationship, to the many side.
    OneWay,
    /// The other way alone, which only relationships of many to many can.
    Reversed,
    Both,
}

impl Direction {
    /// Whether filters on the `to` side of the relationship reach its `from` side.
    pub(crate) fn is_forward(self) -> bool {
        matches!(self, Self::OneWay | Self::Both)
    }

    /// Whether filters on the `from` side of the relationship reach its `to` side.
    pub(crate) fn is_backward(self) -> bool {
        matches!(self, Self::Reversed | Self::Both)
    }
}

/// Filters in force together, and the relationships as `USERELATIONSHIP` and `CROSSFILTER` left them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct FilterContext {
    pub filters: Vec<Filter>,
    /// Rows that roles let through, of every table that they reach: nothing removes these, and
    /// they reach no other table.
    pub secured: Arc<Vec<Filter>>,
    /// The filters are those of roles: they flow as the model secures, not as it filters.
    pub by_security: bool,
    /// Relationships switched on, the inner ones last; others between the same tables are off.
    pub used: Vec<RelationshipId>,
    pub directions: Vec<(RelationshipId, Direction)>,
}

/// Works out visible rows of one version under contexts.
#[derive(Debug, Clone, Copy)]
pub struct Visibility<'a> {
    pub model: &'a CompiledModel,
    pub store: &'a StoreVersion,
}

impl FilterContext {
    /// Drops every filter on the columns: what an explicit filter on them does first.
    pub fn remove(&mut self, columns: &[ColumnId]) {
        let mut kept = Vec::new();
        for filter in self.filters.drain(..) {
            match filter {
                Filter::Tuples { columns: of, tuples } => {
                    let stay: Vec<usize> =
                        (0..of.len()).filter(|i| !columns.contains(&of[*i])).collect();
                    if stay.len() == of.len() {
                        kept.push(Filter::Tuples { columns: of, tuples });
                    } else if !stay.is_empty() {
                        // What remains is the projection onto the other columns.
                        let project = |t: &Vec<u32>| stay.iter().map(|i| t[*i]).collect();
                        let left: BTreeSet<Vec<u32>> =
                            tuples.iter().inspect(|_| tick()).map(project).collect();
                        kept.push(Filter::Tuples {
                            columns: stay.iter().map(|i| of[*i]).collect(),
                            tuples: Arc::new(left.into_iter().collect()),
                        });
                    }
                }
                Filter::Rows { table, rows, mut without, relationships } => {
                    without.extend(
                        columns
                            .iter()
                            .filter(|c| !without.contains(c))
                            .copied()
                            .collect::<Vec<_>>(),
                    );
                    kept.push(Filter::Rows { table, rows, without, relationships });
                }
                f if columns.iter().any(|c| f.is_on(*c)) => {}
                f => kept.push(f),
            }
        }
        self.filters = kept;
    }
}

#[cfg(test)]
mod tests;
